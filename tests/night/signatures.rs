//! Who may announce: each scheme accepts what is signed, and refuses everything else without storing it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{inline, names, outcomes, unsigned};
use crate::support::{
    program::Workspace,
    receiver::{Receiver, hmac, hmac_base64},
};

const SECRET: &str = "n1ght-5ecret";

fn signed(scheme: &str) -> Workspace {
    Workspace::new()
        .set("SERVE__SIGNATURE", scheme)
        .set("HOOK_SECRET", SECRET)
}

/// The envelope around a batch, its resource as a JSON string; with the resource's text.
fn envelope(batch_no: &str) -> (String, String) {
    let resource = inline(batch_no, 1).to_string();
    let body = json!({"eventType": "x", "resource": resource, "createTime": "1774888600000", "id": batch_no});
    (body.to_string(), resource)
}

/// Posts with each of `headers`; every one is refused and nothing is stored.
async fn refused(
    workspace: &Workspace,
    receiver: &Receiver,
    body: &str,
    wrong: &[&[(&str, &str)]],
) {
    let before = names(workspace, "inbox");
    for headers in wrong {
        let (status, text) = receiver.post(body, headers).await;
        assert_eq!(status, 401, "{headers:?}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["error"], "the signature is missing or wrong");
    }
    assert_eq!(names(workspace, "inbox"), before);
}

async fn accepted(
    workspace: &Workspace,
    receiver: &Receiver,
    body: &str,
    headers: &[(&str, &str)],
) {
    let before = names(workspace, "inbox").len();
    let (status, text) = receiver.post(body, headers).await;
    assert_eq!(status, 200, "{headers:?}: {text}");
    assert_eq!(names(workspace, "inbox").len(), before + 1);
}

#[tokio::test]
async fn the_signed_resource_is_the_default() {
    let workspace = Workspace::new().set("HOOK_SECRET", SECRET);
    let receiver = Receiver::start(&workspace);
    let (body, resource) = envelope("B1");
    let right = hmac_base64(SECRET, &resource);
    let of_body = hmac_base64(SECRET, &body);
    let another = hmac_base64("another", &resource);
    let wrong: [&[(&str, &str)]; 5] = [
        &[],
        &[("Signature", "")],
        &[("Signature", &of_body)],
        &[("Signature", &another)],
        &[("X-Signature", &right)],
    ];
    refused(&workspace, &receiver, &body, &wrong).await;
    // The signature of another announcement.
    let (other, _) = envelope("B2");
    refused(&workspace, &receiver, &other, &[&[("Signature", &right)]]).await;
    accepted(&workspace, &receiver, &body, &[("Signature", &right)]).await;
    // A resource that is an object is signed as it is written.
    let object = inline("B3", 1).to_string();
    let body = format!("{{\"resource\": {object}, \"id\": \"x\"}}");
    let right = hmac_base64(SECRET, &object);
    accepted(&workspace, &receiver, &body, &[("Signature", &right)]).await;
}

#[tokio::test]
async fn the_signed_body_in_hexadecimal_or_base64_and_a_header_of_ones_own() {
    let workspace =
        signed("body-hmac-sha256").set("SERVE__SIGNATURE_HEADER", "X-Hub-Signature-256");
    let receiver = Receiver::start(&workspace);
    let sign = |body: &str| -> String {
        let bytes = hmac(SECRET.as_bytes(), body.as_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (body, resource) = envelope("B1");
    let right = sign(&body);
    let of_resource = sign(&resource);
    let wrong: [&[(&str, &str)]; 3] = [
        &[("Signature", &right)],
        &[("X-Hub-Signature-256", &of_resource)],
        &[("X-Hub-Signature-256", "sha256=")],
    ];
    refused(&workspace, &receiver, &body, &wrong).await;
    let name = "X-Hub-Signature-256";
    accepted(
        &workspace,
        &receiver,
        &body,
        &[(name, &format!("sha256={right}"))],
    )
    .await;
    let (body, _) = envelope("B2");
    accepted(&workspace, &receiver, &body, &[(name, &sign(&body))]).await;
    let (body, _) = envelope("B3");
    accepted(
        &workspace,
        &receiver,
        &body,
        &[(name, &hmac_base64(SECRET, &body))],
    )
    .await;
}

#[tokio::test]
async fn standard_webhooks_sign_id_time_and_body() {
    let key = b"a key of twenty-four byt";
    let secret = format!("whsec_{}", BASE64_STANDARD.encode(key));
    let workspace = Workspace::new()
        .set("SERVE__SIGNATURE", "standard-webhooks")
        .set("HOOK_SECRET", &secret);
    let receiver = Receiver::start(&workspace);
    let (body, _) = envelope("B1");
    let now = jiff::Timestamp::now().as_second();
    let sign = |at: i64| {
        let message = format!("msg_1.{at}.{body}");
        format!(
            "v1,{}",
            BASE64_STANDARD.encode(hmac(key, message.as_bytes()))
        )
    };
    let (time, right) = (now.to_string(), sign(now));
    let (old_time, old) = ((now - 1_000).to_string(), sign(now - 1_000));
    let wrong: [&[(&str, &str)]; 4] = [
        &[("webhook-signature", &right)],
        &[
            ("webhook-id", "msg_2"),
            ("webhook-timestamp", &time),
            ("webhook-signature", &right),
        ],
        &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", &old_time),
            ("webhook-signature", &right),
        ],
        // Genuine, but played back long after it was sent.
        &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", &old_time),
            ("webhook-signature", &old),
        ],
    ];
    refused(&workspace, &receiver, &body, &wrong).await;
    let right: &[(&str, &str)] = &[
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", &time),
        ("webhook-signature", &right),
    ];
    accepted(&workspace, &receiver, &body, right).await;
}

#[tokio::test]
async fn several_secrets_are_good_at_once_so_that_they_can_be_changed() {
    let workspace = signed("resource-hmac-sha256").set("HOOK_SECRET", "old-one new-one");
    let file = workspace.write("secrets", "from-file-1\n\n  from-file-2  \n");
    let workspace = workspace.set("SERVE__SECRET_FILE", &file);
    let receiver = Receiver::start(&workspace);
    for (number, secret) in ["old-one", "new-one", "from-file-1", "from-file-2"]
        .iter()
        .enumerate()
    {
        let (body, resource) = envelope(&format!("B{number}"));
        let signature = hmac_base64(secret, &resource);
        accepted(&workspace, &receiver, &body, &[("Signature", &signature)]).await;
    }
    let (body, resource) = envelope("B9");
    let together = hmac_base64("old-one new-one", &resource);
    let empty = hmac_base64("", &resource);
    let wrong: [&[(&str, &str)]; 2] = [&[("Signature", &together)], &[("Signature", &empty)]];
    refused(&workspace, &receiver, &body, &wrong).await;
}

#[test]
fn without_a_secret_nothing_is_served() {
    for workspace in [
        Workspace::new(),
        Workspace::new().set("HOOK_SECRET", "  "),
        Workspace::new().set("SERVE__SECRET_FILE", "/dev/null"),
    ] {
        let ran = workspace.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ran.exit, Some(78), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("no secret to check signatures with"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("REDLEDGER_HOOK_SECRET"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
    let missing = Workspace::new().set("SERVE__SECRET_FILE", "not-there");
    let ran = missing.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.exit, Some(78));
    assert!(
        ran.stderr.contains("not-there can't be read"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn anybody_may_announce_only_where_that_is_said_and_it_is_warned_of() {
    let workspace = unsigned();
    let receiver = Receiver::start(&workspace);
    accepted(&workspace, &receiver, &inline("B1", 1).to_string(), &[]).await;
    let ran = receiver.stop();
    assert!(ran.stderr.contains("WARN"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("anybody who reaches this address"),
        "{}",
        ran.stderr
    );

    let signed = Workspace::new().set("HOOK_SECRET", SECRET);
    let ran = Receiver::start(&signed).stop();
    assert!(!ran.stderr.contains("anybody"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_secret_is_never_printed() {
    let workspace = signed("resource-hmac-sha256");
    let file = workspace.write("secrets", "f1le-5ecret\n");
    let workspace = workspace.set("SERVE__SECRET_FILE", &file);
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command.args(["-vvv", "serve", "--listen", "127.0.0.1:0"]);
    let receiver = Receiver::of(command);
    let (body, resource) = envelope("B1");
    let signature = hmac_base64(SECRET, &resource);
    accepted(&workspace, &receiver, &body, &[("Signature", &signature)]).await;
    refused(&workspace, &receiver, &body, &[&[("Signature", SECRET)]]).await;
    let (_, metrics) = receiver.get("/metrics").await;
    let greeting = receiver.greeting.clone();
    let ran = receiver.stop();
    let mut said = vec![greeting, metrics, ran.stdout, ran.stderr];
    for arguments in [
        &["config", "show"][..],
        &["-vvv", "config", "check"],
        &["-vvv", "run"],
    ] {
        let ran = workspace.run(arguments);
        said.extend([ran.stdout, ran.stderr]);
    }
    for text in &said {
        for secret in [SECRET, "f1le-5ecret", &signature] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(
        said.concat().contains("REDLEDGER_HOOK_SECRET"),
        "the name is no secret"
    );
}

/// Under a scheme that signs the resource alone, whoever has seen one may wrap it anew.
#[tokio::test]
async fn a_signed_resource_that_comes_again_is_as_old_as_it_was_whatever_its_new_envelope_says() {
    for keep in ["90days", "0s"] {
        let workspace = signed("resource-hmac-sha256").set("INBOX__KEEP_DONE", keep);
        let events = "[hook.events]\nx = \"account_negative\"\ny = \"account_repayment\"\n";
        workspace.write("redledger.toml", events);
        let receiver = Receiver::start(&workspace);
        let run = |expected: &[&str]| {
            let ran = workspace.run(&["run", "--format", "json"]);
            assert_eq!(
                (ran.exit, outcomes(&ran)),
                (
                    Some(0),
                    expected.iter().map(|it| (*it).to_owned()).collect()
                )
            );
            let count = "SELECT count(*)::VARCHAR FROM account_negative";
            workspace.query(count).concat()
        };
        let wrapped = |rows: usize, event: &str, time: &str, id: &str| {
            let resource = inline("B1", rows).to_string();
            let signature = hmac_base64(SECRET, &resource);
            let body =
                json!({"eventType": event, "createTime": time, "id": id, "resource": resource});
            (body.to_string(), signature)
        };
        let post = |(body, signature): (String, String)| {
            let receiver = &receiver;
            async move {
                let answer = receiver.post(body, &[("Signature", &signature)]).await;
                assert_eq!(answer.0, 200, "{}", answer.1);
            }
        };
        post(wrapped(2, "x", "1774888600000", "1")).await;
        assert_eq!(run(&["B1 loaded"]), "2");
        post(wrapped(3, "x", "1774888700000", "2")).await;
        assert_eq!(run(&["B1 loaded"]), "3");
        for (event, time) in [
            ("x", "99999999999999"),
            ("y", "1774888800000"),
            ("x", "2026-03-31T00:00:00Z"),
        ] {
            post(wrapped(2, event, time, time)).await;
            assert_eq!(run(&["B1 unchanged"]), "3", "{keep} {event} {time}");
        }
        // Another resource, whose sender can't be asked.
        post(wrapped(5, "y", "1774888900000", "8")).await;
        let ran = workspace.run(&["run", "--format", "json"]);
        assert_eq!(
            (ran.exit, outcomes(&ran)),
            (Some(1), vec!["B1 failed".to_owned()])
        );
        assert!(ran.stdout.contains("is not signed"), "{}", ran.stdout);
        // What the provider signs anew is news.
        post(wrapped(4, "x", "1774888900000", "9")).await;
        assert_eq!(run(&["B1 loaded"]), "4");
    }
}

#[tokio::test]
async fn a_signed_resource_put_into_an_array_is_not_taken_for_a_hook() {
    let workspace = signed("resource-hmac-sha256");
    let receiver = Receiver::start(&workspace);
    let resource = inline("B1", 1).to_string();
    let right = hmac_base64(SECRET, &resource);
    refused(
        &workspace,
        &receiver,
        &format!("[{resource}]"),
        &[&[("Signature", &right)]],
    )
    .await;
}

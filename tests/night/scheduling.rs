//! The scheduling files under `config/` are understood by what reads them, and name flags that exist.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use clap::Parser as _;
use redledger::{cli, error::ExitStatus};
use saphyr::{LoadableYamlNode as _, Yaml};

use crate::support::{checkout::checkout, skipped};

fn config(path: &str) -> PathBuf {
    checkout("config").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(config(path)).expect(path)
}

/// The program understands `words` as a command that `is` what it should be.
#[track_caller]
fn understood<'w>(words: impl IntoIterator<Item = &'w str>, is: fn(&cli::Command) -> bool) {
    let words: Vec<&str> = words.into_iter().collect();
    let parsed =
        cli::Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(is(&parsed.command), "{words:?}");
}

fn is_run(command: &cli::Command) -> bool {
    matches!(command, cli::Command::Run(run) if run.strict && !run.dry_run && run.deadline.is_some())
}

fn is_serve(command: &cli::Command) -> bool {
    matches!(command, cli::Command::Serve(_))
}

/// The value of a unit's key.
#[track_caller]
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    unit.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("{key} is not set"))
}

#[test]
fn the_systemd_units_run_commands_that_exist() {
    let run = read("systemd/redledger-run.service");
    understood(value(&run, "ExecStart").split(' '), is_run);
    let incomplete = ExitStatus::Incomplete.code().to_string();
    assert_eq!(value(&run, "SuccessExitStatus"), incomplete);
    let serve = read("systemd/redledger-serve.service");
    understood(value(&serve, "ExecStart").split(' '), is_serve);
    let settings = ExitStatus::Settings.code().to_string();
    assert_eq!(value(&serve, "RestartPreventExitStatus"), settings);
    assert_eq!(value(&serve, "Restart"), "on-failure");
    assert_eq!(
        value(&serve, "StartLimitIntervalSec"),
        "0",
        "it never gives up"
    );
    let files: u64 = value(&serve, "LimitNOFILE").parse().expect("a number");
    assert!(files >= 16_384, "a sender each");
    let (credential, _) = value(&serve, "LoadCredential")
        .split_once(':')
        .expect("a file");
    let secret = format!("REDLEDGER_SERVE__SECRET_FILE=%d/{credential}");
    assert_eq!(value(&serve, "Environment"), secret);
    for unit in [&run, &serve] {
        assert_eq!(value(unit, "User"), "redledger");
        assert_eq!(value(unit, "OnFailure"), "redledger-failed@%n.service");
        assert_eq!(value(unit, "IPAddressDeny"), "link-local");
        assert_eq!(value(unit, "ProtectSystem"), "strict");
        let data = format!("--data-dir {} ", value(unit, "ReadWritePaths"));
        assert!(
            value(unit, "ExecStart").contains(&data),
            "it may write where it works"
        );
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = Vec::new();
    for name in [
        "redledger-run.service",
        "redledger-run.timer",
        "redledger-serve.service",
    ] {
        // It looks for the program; the one under test is as good.
        let text = read(&format!("systemd/{name}"))
            .replace("/usr/local/bin/redledger", env!("CARGO_BIN_EXE_redledger"))
            .replace("Documentation=man:redledger(1)\n", "");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("to write");
        paths.push(path);
    }
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .args(&paths)
        .output();
    let Ok(verify) = verify else {
        return skipped("systemd's view of the units", "there is no systemd-analyze");
    };
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    if !verify.status.success() && !said.contains("redledger") {
        return skipped("systemd's view of the units", &said);
    }
    assert!(verify.status.success(), "{said}");
    assert!(!said.contains("redledger"), "{said}");
}

#[test]
fn the_units_give_little_away() {
    const MOST: f64 = 1.5;
    for name in ["redledger-run.service", "redledger-serve.service"] {
        let security = Command::new("systemd-analyze")
            .args(["security", "--offline=true"])
            .arg(config(&format!("systemd/{name}")))
            .output();
        let Ok(security) = security else {
            return skipped("what the units give away", "there is no systemd-analyze");
        };
        let said = String::from_utf8_lossy(&security.stdout).into_owned();
        let level = said
            .rsplit_once("exposure level for ")
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<f64>().ok());
        let Some(level) = level else {
            let why = String::from_utf8_lossy(&security.stderr).into_owned();
            return skipped(
                "what the units give away",
                &format!("it tells no level: {said}{why}"),
            );
        };
        assert!(level <= MOST, "{said}");
    }
}

#[test]
fn the_crontab_runs_a_command_that_exists() {
    let crontab = read("cron/redledger");
    let line = crontab
        .lines()
        .find(|line| line.contains("redledger run"))
        .expect("a line");
    assert!(!line.contains('%'), "cron makes a line break of it");
    let command = line
        .split_once("$(")
        .and_then(|(_, rest)| rest.split_once(" 2>&1)"));
    understood(
        command.expect("a command").0.split_ascii_whitespace(),
        is_run,
    );
    assert!(!line.contains("flock"));
    // The shell's part of it: silent for 0 and 3, told for 1 and 2.
    let rest = line.split_once("s=$?; ").expect("the status").1;
    for (status, ends, said) in [(0, 0, ""), (3, 0, ""), (1, 1, "why\n"), (2, 2, "why\n")] {
        let script = format!("logger() {{ :; }}; out=why; s={status}; {rest}");
        let ran = Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("a shell");
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!((ran.status.code(), &*told), (Some(ends), said), "{status}");
    }
}

/// The text at a path of keys and, as numbers, places.
#[track_caller]
fn at<'y>(yaml: &'y Yaml<'y>, path: &str) -> &'y Yaml<'y> {
    path.split('.').fold(yaml, |node, key| {
        let inner = match key.parse::<usize>() {
            Ok(place) => node.as_sequence().and_then(|list| list.get(place)),
            Err(_) => node.as_mapping_get(key),
        };
        inner.unwrap_or_else(|| panic!("{path}: no `{key}`"))
    })
}

#[test]
fn the_cron_job_runs_a_command_that_exists_and_acts_on_its_exit_statuses() {
    let text = read("kubernetes/cronjob.yaml");
    let documents = Yaml::load_from_str(&text).expect("YAML");
    let [job, claim] = &*documents else {
        panic!("{} documents", documents.len());
    };
    let word = |path: &str| at(job, path).as_str().expect(path);
    assert_eq!((word("apiVersion"), word("kind")), ("batch/v1", "CronJob"));
    assert_eq!(word("spec.concurrencyPolicy"), "Forbid");
    let spec = at(job, "spec.jobTemplate.spec");
    assert!(
        at(spec, "backoffLimit")
            .as_integer()
            .is_some_and(|tries| tries > 0)
    );
    let rule = at(spec, "podFailurePolicy.rules.0");
    assert_eq!(at(rule, "action").as_str(), Some("FailJob"));
    let values: Vec<i64> = at(rule, "onExitCodes.values")
        .as_sequence()
        .expect("a list")
        .iter()
        .filter_map(Yaml::as_integer)
        .collect();
    let for_people =
        [ExitStatus::Attention, ExitStatus::Fault].map(|status| i64::from(status.code()));
    assert_eq!(values, for_people, "what trying again does not mend");

    let pod = at(spec, "template.spec");
    // A podFailurePolicy is accepted with this one only.
    assert_eq!(at(pod, "restartPolicy").as_str(), Some("Never"));
    assert_eq!(
        at(pod, "securityContext.runAsNonRoot").as_bool(),
        Some(true)
    );
    let container = at(pod, "containers.0");
    assert_eq!(
        at(container, "name").as_str(),
        at(rule, "onExitCodes.containerName").as_str()
    );
    assert_eq!(
        at(container, "securityContext.readOnlyRootFilesystem").as_bool(),
        Some(true)
    );
    let words = ["command", "args"]
        .into_iter()
        .flat_map(|key| at(container, key).as_sequence().expect("a list"))
        .map(|word| word.as_str().expect("text"));
    understood(words, is_run);
    let claimed = at(pod, "volumes.0.persistentVolumeClaim.claimName").as_str();
    assert_eq!(claimed, at(claim, "metadata.name").as_str());
}

/// Keys and values of a mapping of text.
fn labels(node: &Yaml<'_>) -> BTreeMap<String, String> {
    let pairs = node.as_mapping().expect("a mapping").iter();
    let text = |node: &Yaml<'_>| node.as_str().expect("text").to_owned();
    pairs.map(|(key, value)| (text(key), text(value))).collect()
}

#[test]
fn the_receiver_and_the_job_share_their_volume_and_the_receiver_is_reached() {
    let (job, receiver) = (
        read("kubernetes/cronjob.yaml"),
        read("kubernetes/receiver.yaml"),
    );
    let job = Yaml::load_from_str(&job).expect("YAML");
    let receiver = Yaml::load_from_str(&receiver).expect("YAML");
    let [job, claim] = &*job else { panic!("two") };
    let [deployment, service] = &*receiver else {
        panic!("two")
    };
    let run = at(job, "spec.jobTemplate.spec.template.spec");
    let serve = at(deployment, "spec.template.spec");
    for pod in [run, serve] {
        assert_eq!(at(pod, "enableServiceLinks").as_bool(), Some(false));
        assert_eq!(
            at(pod, "volumes.0.persistentVolumeClaim.claimName").as_str(),
            at(claim, "metadata.name").as_str()
        );
        assert_eq!(
            at(pod, "containers.0.volumeMounts.0.name").as_str(),
            at(pod, "volumes.0.name").as_str()
        );
        assert_eq!(
            at(pod, "securityContext.runAsUser").as_integer(),
            at(run, "securityContext.runAsUser").as_integer(),
            "what one writes the other reads"
        );
    }
    // A volume of one node: both pods are there, at the same time.
    assert_eq!(
        at(claim, "spec.accessModes.0").as_str(),
        Some("ReadWriteOnce")
    );
    let near = at(
        run,
        "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.0",
    );
    assert_eq!(
        at(near, "topologyKey").as_str(),
        Some("kubernetes.io/hostname")
    );
    let pod = labels(at(deployment, "spec.template.metadata.labels"));
    assert_eq!(labels(at(near, "labelSelector.matchLabels")), pod);
    assert_eq!(labels(at(deployment, "spec.selector.matchLabels")), pod);
    assert_eq!(labels(at(service, "spec.selector")), pod);
    assert_eq!(at(deployment, "spec.replicas").as_integer(), Some(1));
    assert_eq!(
        at(deployment, "spec.strategy.type").as_str(),
        Some("Recreate")
    );

    let container = at(serve, "containers.0");
    let words = ["command", "args"]
        .into_iter()
        .flat_map(|key| at(container, key).as_sequence().expect("a list"))
        .map(|word| word.as_str().expect("text"));
    let words: Vec<&str> = words.collect();
    understood(words.iter().copied(), is_serve);
    let port = at(container, "ports.0.containerPort")
        .as_integer()
        .expect("a port");
    assert!(
        words.contains(&&*format!("--listen=0.0.0.0:{port}")),
        "loopback is the pod's own"
    );
    assert_eq!(
        at(service, "spec.ports.0.targetPort").as_str(),
        at(container, "ports.0.name").as_str()
    );
}

//! Breaks at random places, of random kinds.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{PATH, ROWS, Unbroken, all, balances, ingest};
use crate::support::{
    program::Workspace,
    random::Random,
    server::{Fault, Framing, Object, Reply, Request, Server},
};

/// Files broken, each by up to four faults.
const CASES: u64 = 36;

/// What one answer does wrong; each can be mended.
fn faulty(object: &Object, request: &Request, kind: usize, at: usize) -> Reply {
    let reply = object.reply(request);
    let total = object.body.len();
    match kind {
        0..5 => reply.fault(Fault::Close(at)),
        5..10 => reply.fault(Fault::Reset(at)),
        10 => reply.fault(Fault::Stall(at)),
        11..14 => reply
            .framing(Framing::Chunked(1 + at % 5000))
            .fault(Fault::Close(at)),
        14..16 => object.whole().fault(Fault::Close(at)),
        16 => object.whole(),
        17 => Reply::new(503, "busy"),
        18 => Reply::new(500, ""),
        19 if request.from().is_some() => Reply::new(416, ""),
        20 if request.from().is_some() => Reply::new(206, &object.body[at..]).header(
            "Content-Range",
            &format!("bytes {at}-{}/{total}", total - 1),
        ),
        21 => reply
            .framing(Framing::Claims(total))
            .fault(Fault::Reset(at)),
        _ => reply.fault(Fault::Close(0)),
    }
}

#[test]
fn breaks_at_random_bytes_load_what_an_unbroken_stream_loads() {
    let first = Random::seed();
    println!("REDLEDGER_TEST_SEED={first}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let unbroken = Unbroken::load(&runtime, 1);
    // Each file takes one at least; the others are what faults have cost.
    let requests = AtomicUsize::new(0);
    let seeds: Vec<u64> = (0..CASES).map(|case| first.wrapping_add(case)).collect();
    all(
        &seeds,
        |seed| format!("REDLEDGER_TEST_SEED={seed}"),
        |seed| {
            let mut random = Random::new(*seed);
            let mut object = Object::anonymous(balances(ROWS, 0));
            if random.below(3) > 0 {
                object = object.with("ETag", "\"v1\"");
            }
            let faults: Vec<(usize, usize)> = (0..=random.below(4))
                .map(|_| (random.below(23), random.below(object.body.len())))
                .collect();
            let script = faults.clone();
            let server = runtime.block_on(Server::start(move |request| {
                match script.get(request.number) {
                    Some((kind, at)) => faulty(&object, request, *kind, *at),
                    None => object.reply(request),
                }
            }));
            let workspace = Workspace::new().with("IDLE_TIMEOUT", "200ms");
            let hook = workspace.announce(&server.url(PATH), Some(ROWS));
            let ran = ingest(&workspace, &hook);
            requests.fetch_add(server.requests().len(), Ordering::Relaxed);
            let mut complaints = Vec::new();
            if ran.exit != Some(0) {
                complaints.push(format!(
                    "exit {:?}: {} {}",
                    ran.exit, ran.stdout, ran.stderr
                ));
            } else if workspace.rows("account_negative") != unbroken.rows[0] {
                complaints.push("other rows".into());
            }
            if !workspace.leftovers().is_empty() {
                complaints.push(format!("left behind: {:?}", workspace.leftovers()));
            }
            if !complaints.is_empty() {
                complaints.push(format!("after {faults:?}"));
            }
            complaints
        },
    );
    let requests = requests.into_inner();
    assert!(
        requests > seeds.len() * 3 / 2,
        "hardly any fault was met: {requests} requests"
    );
}

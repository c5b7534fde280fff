//! How many announcements the receiver makes durable: one sender after another on one kept connection, then
//! many senders at once. Against `redledger serve` as a process of its own; signed as by default.
//!
//! `cargo bench --bench receiver -- [--announcements N] [--senders N] [--runs N]`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const SECRET: &str = "bench";

struct Options {
    announcements: usize,
    senders: usize,
    runs: usize,
}

fn options() -> Result<Options> {
    let mut options = Options {
        announcements: 1_000,
        senders: 50,
        runs: 3,
    };
    // cargo adds --bench.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or(format!("{word} needs a number"))?
            .parse()?;
        match &*word {
            "--announcements" => options.announcements = value,
            "--senders" => options.senders = value,
            "--runs" => options.runs = value,
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{} cores, load average {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        load.split(' ').next().unwrap_or("?")
    );
    // Not in the system's folder for temporary files, which may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "fsync of a file and its folder alone: {}",
        Spread::of(fsyncs(folder.path(), 200)?)
    );
    for run in 1..=options.runs {
        let data_dir = folder.path().join(format!("run-{run}"));
        let receiver = Receiver::start(&data_dir)?;
        let client = reqwest::Client::new();
        let started = Instant::now();
        let mut waits = Vec::new();
        for number in 0..options.announcements {
            waits.push(announce(&client, &receiver.url, &format!("S{number}")).await?);
        }
        report("one connection", options.announcements, started, waits);

        let each = options.announcements.div_ceil(options.senders);
        let started = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..options.senders {
            let url = receiver.url.clone();
            senders.spawn(async move {
                let client = reqwest::Client::new();
                let mut waits = Vec::new();
                for number in 0..each {
                    waits.push(announce(&client, &url, &format!("M{sender}-{number}")).await?);
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(waits)
            });
        }
        let mut waits = Vec::new();
        while let Some(sender) = senders.join_next().await {
            waits.extend(sender??);
        }
        report(
            &format!("{} senders", options.senders),
            each * options.senders,
            started,
            waits,
        );
        drop(receiver);
        let stored = std::fs::read_dir(data_dir.join("inbox"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .count();
        let sent = options.announcements + each * options.senders;
        if stored != sent {
            return Err(format!("{stored} stored of {sent}").into());
        }
    }
    Ok(())
}

fn report(name: &str, count: usize, started: Instant, waits: Vec<Duration>) {
    let rate = count as f64 / started.elapsed().as_secs_f64();
    println!("{name:>15}: {rate:6.0} a second; {}", Spread::of(waits));
}

/// Percentiles of times.
struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    fn at(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (half, most, all) = (self.at(50), self.at(99), self.at(100));
        write!(
            f,
            "median {half:.1} ms, p99 {most:.1} ms, longest {all:.1} ms"
        )
    }
}

/// What the disk alone takes.
fn fsyncs(folder: &Path, count: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..count {
        let started = Instant::now();
        let path = folder.join(format!("probe-{number}"));
        std::fs::write(&path, [b'x'; 600])?;
        std::fs::File::open(&path)?.sync_all()?;
        std::fs::File::open(folder)?.sync_all()?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Posts a signed announcement; how long its answer took.
async fn announce(client: &reqwest::Client, url: &str, batch_no: &str) -> Result<Duration> {
    let resource = format!(
        "{{\"batchNo\":\"{batch_no}\",\"page\":1,\"size\":1000,\"total\":5000,\"lastPage\":true,\
         \"fileUrl\":\"https://files.example.com/{batch_no}.csv?X-Signature=0123456789abcdef\"}}"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(resource.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let body = serde_json::json!({
        "eventType": "account.negative", "resource": resource, "createTime": "1774888600000", "id": batch_no,
    });
    let started = Instant::now();
    let request = client.post(url).header("Signature", signature);
    let answer = request.body(body.to_string()).send().await?;
    let status = answer.status();
    answer.bytes().await?;
    if !status.is_success() {
        return Err(format!("{batch_no}: {status}").into());
    }
    Ok(started.elapsed())
}

/// `redledger serve` under way.
struct Receiver {
    child: Child,
    url: String,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    fn start(data_dir: &Path) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_redledger"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .env("REDLEDGER_HOOK_SECRET", SECRET)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no stdout")?;
        let mut greeting = String::new();
        BufReader::new(out).read_line(&mut greeting)?;
        let url = greeting.split(' ').find(|word| word.starts_with("http://"));
        let url = url.ok_or("the receiver does not listen")?.to_owned();
        Ok(Self { child, url })
    }
}

//! Running a child and measuring it.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::Result;

/// How often the child's peak is read: Linux keeps the peak itself, only the last moment can be missed.
const POLL: Duration = Duration::from_millis(5);

/// Printed by a child that times only a part of itself, before its seconds.
pub(super) const SECONDS: &str = "seconds: ";

/// One run of a contestant.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Wall time of the process, or of the part that it has timed itself.
    pub(super) seconds: f64,
    /// Most memory it had at any time (VmHWM).
    pub(super) peak_bytes: u64,
    /// What it has left in the table.
    pub(super) contents: String,
}

/// Runs `command` to its end.
pub(super) fn measure(command: &mut Command) -> Result<Measured> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(peak_of(&status_file));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(POLL);
    };
    let wall = started.elapsed().as_secs_f64();
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut output)?;
    }
    if !status.success() {
        return Err(format!("{command:?}: {status}\n{output}").into());
    }
    let own = output
        .lines()
        .find_map(|line| line.strip_prefix(SECONDS)?.parse().ok());
    Ok(Measured {
        seconds: own.unwrap_or(wall),
        peak_bytes,
        contents: String::new(),
    })
}

/// 0 once the process is gone.
fn peak_of(status_file: &str) -> u64 {
    let status = fs::read_to_string(status_file).unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

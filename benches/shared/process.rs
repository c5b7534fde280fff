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

/// Linux counts processor time for user space in hundredths of a second (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Printed by a child that times only a part of itself, before its wall and processor seconds.
const OWN: &str = "own seconds: ";

/// One run of a contestant.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Wall time of the process, or of the part that it has timed itself.
    pub(super) seconds: f64,
    /// Processor time of all its threads: what other processes do shows less in it.
    pub(super) processor_seconds: f64,
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
    let stat_file = format!("/proc/{}/stat", child.id());
    let (mut peak_bytes, mut processor_seconds) = (0, 0.0);
    let status = loop {
        peak_bytes = peak_bytes.max(peak_of(&status_file));
        processor_seconds = processor_seconds_of(&stat_file).max(processor_seconds);
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
    let own = output.lines().find_map(|line| {
        let (wall, processor) = line.strip_prefix(OWN)?.split_once(' ')?;
        wall.parse().ok().zip(processor.parse().ok())
    });
    let (seconds, processor_seconds) = own.unwrap_or((wall, processor_seconds));
    Ok(Measured {
        seconds,
        processor_seconds,
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

/// User and system time of a process, its ended threads included.
fn processor_seconds_of(stat_file: &str) -> f64 {
    let stat = fs::read_to_string(stat_file).unwrap_or_default();
    // The second field is the program's name in parentheses; times are the 14th and 15th (proc_pid_stat(5)).
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

/// A part of this process that is timed by itself.
pub(super) struct OwnPart(Instant, f64);

impl OwnPart {
    pub(super) fn begin() -> Self {
        Self(Instant::now(), processor_seconds_of("/proc/self/stat"))
    }

    /// Tells the parent process.
    pub(super) fn end(self) {
        let wall = self.0.elapsed().as_secs_f64();
        let processor = processor_seconds_of("/proc/self/stat") - self.1;
        println!("{OWN}{wall} {processor}");
    }
}

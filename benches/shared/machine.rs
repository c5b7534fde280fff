//! What the figures were measured on.

use std::fs;

/// Cores, processor, memory, system and engine.
pub(super) fn facts() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or_else(
            || "unknown".to_owned(),
            |(_, value)| value.trim().to_owned(),
        )
    };
    let kilobytes = field("/proc/meminfo", "MemTotal");
    let memory = kilobytes
        .split(' ')
        .next()
        .and_then(|number| number.parse::<f64>().ok())
        .map_or(0.0, |number| number * 1024.0 / 1e9);
    format!(
        "{} cores, {}, {memory:.0} GB memory, {} {}, load average {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        field("/proc/cpuinfo", "model name"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        load_average()
    )
}

/// Of the last minute: others use the machine too.
pub(super) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

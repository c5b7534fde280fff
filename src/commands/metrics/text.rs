//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// Metrics as Prometheus reads them. All are gauges, and their names begin with `redledger_`.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
    name: String,
}

impl Exposition {
    /// Begins a metric; its samples follow.
    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.name = format!("redledger_{name}");
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let name = &self.name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    /// A sample of the metric that was begun last.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&self.name);
        if !labels.is_empty() {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let _ = write!(self.text, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A point in time, given in epoch microseconds.
    pub(super) fn seconds(&mut self, labels: &[(&str, &str)], micros: i64) {
        self.sample(labels, micros as f64 / 1e6);
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_times_are_seconds() {
        let mut out = Exposition::default();
        out.gauge("x_timestamp_seconds", "A \\ and\na line");
        out.seconds(&[("of", "a\"b\\c\nd")], 1_774_888_560_250_000);
        out.seconds(&[], 0);
        assert_eq!(
            out.as_str(),
            "# HELP redledger_x_timestamp_seconds A \\\\ and\\na line\n\
             # TYPE redledger_x_timestamp_seconds gauge\n\
             redledger_x_timestamp_seconds{of=\"a\\\"b\\\\c\\nd\"} 1774888560.25\n\
             redledger_x_timestamp_seconds 0\n"
        );
    }
}

//! Progress on a terminal, for loads that take more than a second.

use std::{
    io::IsTerminal as _,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::feed::Progress;

/// Shown only when there is something to wait for.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);

/// Counts files that are read, of a number that nobody knows; draws nothing where stderr is no terminal.
pub(super) fn spinner(is_shown: bool) -> ProgressBar {
    let bar = if is_shown {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} files  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows the file that is being read.
pub(super) fn each_file(bar: &ProgressBar) -> impl FnMut(&Path) {
    |path| {
        bar.inc(1);
        bar.set_message(path.display().to_string());
    }
}

/// Draws until it is dropped.
pub(super) struct ProgressDisplay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressDisplay {
    pub(super) fn start(wanted: bool, progress: Arc<Progress>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (wanted && std::io::stderr().is_terminal()).then(|| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || draw(&progress, &stop))
        });
        Self { stop, thread }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn draw(progress: &Progress, stop: &AtomicBool) {
    let started = Instant::now();
    let bar = ProgressBar::hidden();
    let known = "{msg}  {bar:24} {bytes}/{total_bytes}  {prefix}  {bytes_per_sec}  {eta} left";
    let unknown = "{msg}  {spinner} {bytes}  {prefix}  {bytes_per_sec}";
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(REDRAW);
        if started.elapsed() < PATIENCE {
            continue;
        }
        if bar.is_hidden() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let expected = load(&progress.expected_bytes);
        if let Ok(style) = ProgressStyle::with_template(if expected > 0 { known } else { unknown })
        {
            bar.set_style(style);
        }
        bar.set_length(expected);
        bar.set_position(load(&progress.bytes));
        let files = match (load(&progress.files.0), load(&progress.files.1)) {
            (_, 0 | 1) => String::new(),
            (done, all) => format!(", file {done} of {all}"),
        };
        bar.set_prefix(format!("{} rows{files}", load(&progress.rows)));
        let label = progress
            .label
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let batches = (load(&progress.batches.0), load(&progress.batches.1));
        bar.set_message(of_batches(batches, started.elapsed()) + &label);
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Such as `batch 3 of 200, 4m left  `; the time is the average so far, carried on.
fn of_batches((done, all): (u64, u64), elapsed: Duration) -> String {
    if all < 2 {
        return String::new();
    }
    let left = elapsed.as_secs_f64() / done.max(1) as f64 * all.saturating_sub(done) as f64;
    let left = match done {
        0 => String::new(),
        _ => format!(", {} left", HumanDuration(Duration::from_secs_f64(left))),
    };
    format!("batch {} of {all}{left}  ", (done + 1).min(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_batches_will_take_is_carried_on_from_those_done() {
        let after = |seconds| Duration::from_secs(seconds);
        assert_eq!(of_batches((0, 1), after(9)), "");
        assert_eq!(of_batches((0, 4), after(9)), "batch 1 of 4  ");
        assert_eq!(
            of_batches((1, 4), after(9)),
            "batch 2 of 4, 27 seconds left  "
        );
        assert_eq!(
            of_batches((4, 4), after(9)),
            "batch 4 of 4, 0 seconds left  "
        );
    }
}

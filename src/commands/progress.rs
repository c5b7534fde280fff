//! Progress on a terminal, for loads that take more than a second.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

/// Shown only when there is something to wait for.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);

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
        bar.set_message(
            progress
                .label
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        );
        bar.tick();
    }
    bar.finish_and_clear();
}

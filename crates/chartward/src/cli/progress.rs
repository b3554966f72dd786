//! Progress on a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

use recover::vault::{Phase, Progress};

use super::sandbox::wait_if_ending;
use crate::output::Output;

/// One line that moves while something long goes on.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that says `what` goes on; hidden when nobody watches.
    pub(crate) fn new(output: Output, what: &'static str) -> Bar {
        let bar = if output.draws_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style());
        bar.set_message(what);
        Bar { bar }
    }

    /// Says how far it is. A `total` of 0 means that nobody knows yet.
    pub(crate) fn at(&self, done: u64, total: u64) {
        wait_if_ending();
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Says how far the vault's engine is.
    pub(crate) fn engine(&self, progress: &Progress) {
        self.now(match progress.phase {
            Phase::Capture => "backing up",
            Phase::Recheck => "looking again",
            Phase::Seal => "sealing",
            Phase::Restore => "restoring",
            Phase::Structure => "checking",
            Phase::ReadData => "reading all",
            Phase::Repack => "copying",
            Phase::Remove => "removing",
            Phase::Copy => "copying",
        });
        self.at(progress.done, progress.total.unwrap_or(0));
    }

    /// Says that something else goes on now.
    pub(crate) fn now(&self, what: &'static str) {
        if self.bar.message() != what {
            self.bar.set_message(what);
        }
    }

    /// Removes the line.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:>12} [{elapsed}] {wide_bar} {percent}% {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

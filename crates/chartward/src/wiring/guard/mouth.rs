//! What the guard says goes out on a thread of its own: a reader that does not read must not hold up every open below the tree.

use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::report::{Report, Shortfall};

const LINES_MAX: usize = 4096;
/// So long the last lines may take once the guard ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The way out; dropped, it waits a moment for what is left.
#[derive(Debug)]
pub(crate) struct Mouth {
    lines: Option<Sender<Report>>,
    ended: Receiver<()>,
    dropped: u64,
}

impl Mouth {
    pub(crate) fn open(mut tell: impl FnMut(Report) + Send + 'static) -> anyhow::Result<Self> {
        let (lines, heard) = bounded(LINES_MAX);
        let (end, ended) = bounded(1);
        let speak = move || {
            heard.iter().for_each(&mut tell);
            let _ = end.send(());
        };
        std::thread::Builder::new()
            .name("mouth".into())
            .spawn(speak)
            .context("start the thread that speaks")?;
        Ok(Self { lines: Some(lines), ended, dropped: 0 })
    }

    /// Never waits.
    pub(crate) fn say(&mut self, report: Report) {
        let Some(lines) = &self.lines else { return };
        if self.dropped > 0
            && lines.try_send(Report::Shortfall(Shortfall::Lines { lines: self.dropped })).is_ok()
        {
            self.dropped = 0;
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(report) {
            self.dropped += 1;
        }
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.lines.take();
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_read_holds_up_nobody_and_hears_what_it_missed() {
        let (go, wait) = bounded::<()>(0);
        let (out, heard) = crossbeam_channel::unbounded();
        let mut mouth = Mouth::open(move |report| {
            let _ = wait.recv();
            let _ = out.send(report);
        })
        .unwrap();
        for events in 0..LINES_MAX as u64 + 100 {
            mouth.say(Report::Missed { events });
        }
        drop(go);
        while heard.len() < LINES_MAX {
            std::thread::yield_now();
        }
        mouth.say(Report::Missed { events: 0 });
        drop(mouth);
        let lost: Vec<u64> = heard
            .iter()
            .filter_map(|report| match report {
                Report::Shortfall(Shortfall::Lines { lines }) => Some(lines),
                _ => None,
            })
            .collect();
        assert!(matches!(lost.as_slice(), [99 | 100]), "{lost:?}");
    }
}

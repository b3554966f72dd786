//! What the guard says goes out on a thread of its own: a reader that does not read must not hold up every open below the tree.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::report::{Report, Shortfall};

const LINES_MAX: usize = 4096;
/// So long the last lines may take once the guard ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

type Tell = Box<dyn FnMut(Report) + Send>;

/// The way out; dropped, it waits a moment for what is left.
pub(crate) struct Mouth {
    /// Until the first line: signals are taken over before there is one, and threads inherit that.
    silent: Option<Tell>,
    speaking: Option<(Sender<Report>, Receiver<()>)>,
    dropped: u64,
}

impl Mouth {
    pub(crate) fn new(tell: impl FnMut(Report) + Send + 'static) -> Self {
        Self { silent: Some(Box::new(tell)), speaking: None, dropped: 0 }
    }

    /// Never waits.
    pub(crate) fn say(&mut self, report: Report) {
        if let Some(tell) = self.silent.take() {
            self.speaking = speak(tell);
        }
        let Some((lines, _)) = &self.speaking else { return };
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

fn speak(mut tell: Tell) -> Option<(Sender<Report>, Receiver<()>)> {
    let (lines, heard) = bounded::<Report>(LINES_MAX);
    let (end, ended) = bounded(1);
    let speak = move || {
        heard.iter().for_each(&mut tell);
        let _ = end.send(());
    };
    // Without a thread it protects in silence, as it does when its reader is gone.
    std::thread::Builder::new().name("mouth".into()).spawn(speak).ok()?;
    Some((lines, ended))
}

impl Drop for Mouth {
    fn drop(&mut self) {
        if let Some((lines, ended)) = self.speaking.take() {
            drop(lines);
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_read_holds_up_nobody_and_hears_what_it_missed() {
        let (go, wait) = bounded::<()>(0);
        let (out, heard) = crossbeam_channel::unbounded();
        let mut mouth = Mouth::new(move |report| {
            let _ = wait.recv();
            let _ = out.send(report);
        });
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

//! What a watcher says goes out on a thread of its own: a reader that does not read must cost no packet and no line.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

const REPORTS_MAX: usize = 4_096;
/// So long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The way out; dropped, it waits a moment for what is left.
pub(crate) struct Voice<R> {
    speaking: Option<(Sender<R>, Receiver<()>)>,
    lost: u64,
}

impl<R: Send + 'static> Voice<R> {
    pub(crate) fn new(mut tell: impl FnMut(R) + Send + 'static) -> Self {
        let (reports, heard) = bounded::<R>(REPORTS_MAX);
        let (end, ended) = bounded(1);
        let speak = move || {
            heard.iter().for_each(&mut tell);
            let _ = end.send(());
        };
        // Without a thread it watches in silence; the store has it all.
        let thread = std::thread::Builder::new().name("voice".into()).spawn(speak);
        Self { speaking: thread.ok().map(|_| (reports, ended)), lost: 0 }
    }

    /// Never waits. What finds no room is counted.
    pub(crate) fn say(&mut self, report: R) {
        let said = self.speaking.as_ref().is_some_and(|(reports, _)| reports.try_send(report).is_ok());
        self.lost += u64::from(!said);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

impl<R> Drop for Voice<R> {
    fn drop(&mut self) {
        if let Some((reports, ended)) = self.speaking.take() {
            drop(reports);
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }
}

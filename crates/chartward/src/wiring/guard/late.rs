//! Late verdicts: whoever has unjudged writes and waits for longer than two seconds is frozen by a thread of its own, while the
//! judging one is still busy; the verdict decides whether it goes on. Nobody with unjudged writes is waved through.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use act::NeverTouch;
use act::freeze::{self, Applied};
use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use jiff::Timestamp;
use observe::files::fanotify::Board;
use schema::Outcome;

/// So long a verdict may take.
pub(super) const HELD_MAX: Duration = Duration::from_secs(2);
const LOOKS_EVERY: Duration = Duration::from_millis(200);
/// A process that was let go again is not frozen anew within this time.
const ONCE_IN: Duration = Duration::from_secs(10);

/// The thread; dropped, it ends.
#[derive(Debug)]
pub(super) struct Late {
    /// Whom it froze.
    pub(super) frozen: Receiver<Provisional>,
    armed: Arc<AtomicBool>,
    _end: Sender<()>,
}

/// Somebody who is frozen until the verdict is there.
#[derive(Debug)]
pub(super) struct Provisional {
    pub(super) pid: i32,
    pub(super) applied: Applied,
    /// It lies in the state folder, so that a person can release whom a guard that died had frozen.
    pub(super) plan: Option<PathBuf>,
}

impl Late {
    pub(super) fn watch(
        board: Arc<Board>,
        never: NeverTouch,
        state: PathBuf,
        armed: bool,
    ) -> anyhow::Result<Self> {
        let (end, ended) = bounded(0);
        let (send, frozen) = unbounded();
        let armed = Arc::new(AtomicBool::new(armed));
        let watch = Watcher { board, never, state, armed: Arc::clone(&armed), send, done: HashMap::new() };
        let thread = std::thread::Builder::new().name("late".into());
        thread.spawn(move || watch.run(&ended)).context("start the thread for late verdicts")?;
        Ok(Self { frozen, armed, _end: end })
    }

    pub(super) fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::Relaxed);
    }
}

struct Watcher {
    board: Arc<Board>,
    never: NeverTouch,
    state: PathBuf,
    armed: Arc<AtomicBool>,
    send: Sender<Provisional>,
    done: HashMap<(i32, u64), Instant>,
}

impl Watcher {
    fn run(mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOKS_EVERY) == Err(RecvTimeoutError::Timeout) {
            if self.armed.load(Ordering::Relaxed) {
                self.look(HELD_MAX);
            }
        }
    }

    fn look(&mut self, held_max: Duration) {
        self.done.retain(|_, at| at.elapsed() < ONCE_IN);
        for process in self.board.late(held_max) {
            if self.done.insert(process, Instant::now()).is_none() {
                self.freeze(process);
            }
        }
    }

    fn freeze(&self, process: (i32, u64)) {
        let now = Timestamp::now();
        let plan = freeze::plan(&[process], "its writes could not be judged in time", now);
        let actions = freeze::apply(&plan, &self.never, now);
        if actions.iter().any(|action| action.outcome == Outcome::NeverTouch) {
            freeze::undo(&actions, now);
            return;
        }
        let applied = Applied { plan, actions };
        // Without a plan it is let go by this guard alone.
        let plan = freeze::remember(&self.state, &applied).ok();
        let _ = self.send.send(Provisional { pid: process.0, applied, plan });
    }
}

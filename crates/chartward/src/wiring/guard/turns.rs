//! One after the other: of an actor under suspicion, only one open for writing of a file that holds something is under way at a time.
//!
//! Eight processes that each take one file have harmed eight files before the first of them opens its second. With the first harm seen, the
//! others wait until the file that is under way is closed and judged. Whoever keeps its files open for good waits in vain, and is not made to
//! wait again for a while.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use observe::files::fanotify::Waiting;
use observe::files::{Actor, Intent};

use super::{Guard, Report};

/// So long one waits for the others at most.
const PATIENCE: Duration = Duration::from_millis(50);
/// Between two looks, where nobody opens anything.
pub(super) const LOOKS_EVERY: Duration = Duration::from_millis(1);
/// Who waited in vain does not wait again within this time.
const SPENT_FOR: Duration = Duration::from_secs(10);
const WAITING_MAX: usize = 64;
const SPENT_MAX: usize = 64;

/// Who waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: Vec<Turn>,
    /// Who waited in vain, and when.
    spent: Vec<(Actor, Instant)>,
}

#[derive(Debug)]
struct Turn {
    actor: Actor,
    waiting: Waiting,
    until: Instant,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn is_spent(&mut self, actor: Actor) -> bool {
        self.spent.retain(|(_, at)| at.elapsed() < SPENT_FOR);
        self.spent.iter().any(|(spent, _)| *spent == actor)
    }

    fn spend(&mut self, actor: Actor) {
        if self.spent.len() < SPENT_MAX {
            self.spent.push((actor, Instant::now()));
        }
    }
}

impl Guard {
    /// Gives it back where it may pass at once.
    pub(super) fn wait_for_its_turn(
        &mut self,
        actor: Actor,
        waiting: Waiting,
        intent: Intent,
    ) -> Option<Waiting> {
        let holds_something = || waiting.file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0);
        let waits = intent == Intent::Write
            && self.turns.waiting.len() < WAITING_MAX
            && self.gate.suspects(actor.number())
            && self.tracker.at_work_on(actor, 1) > 0
            && !self.tracker.writes(actor, &waiting.file)
            && !self.turns.is_spent(actor)
            && holds_something();
        if !waits {
            return Some(waiting);
        }
        self.turns.waiting.push(Turn { actor, waiting, until: Instant::now() + PATIENCE });
        None
    }

    /// Judges those who wait, and lets pass whose turn it is, one of each actor.
    pub(super) fn take_turns(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        if self.turns.is_empty() {
            return Ok(());
        }
        self.past(tell)?;
        let actors: BTreeSet<Actor> = self.turns.waiting.iter().map(|turn| turn.actor).collect();
        for actor in actors {
            let stopped = self.judge_before(actor, tell)?;
            self.set_right(&stopped, tell)?;
        }
        self.refuse_turns();
        for Turn { actor, waiting, until } in std::mem::take(&mut self.turns.waiting) {
            let in_vain = Instant::now() >= until;
            if in_vain {
                self.turns.spend(actor);
            }
            if in_vain || self.tracker.at_work_on(actor, 1) == 0 {
                self.let_pass(actor, waiting, Intent::Write);
            } else {
                self.turns.waiting.push(Turn { actor, waiting, until });
            }
        }
        Ok(())
    }

    /// Of those who were stopped: who waits in an open does not come to rest.
    pub(super) fn refuse_turns(&mut self) {
        for turn in std::mem::take(&mut self.turns.waiting) {
            if self.is_stopped(turn.actor) {
                turn.waiting.deny();
            } else {
                self.turns.waiting.push(turn);
            }
        }
    }
}

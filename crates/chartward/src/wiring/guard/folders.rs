//! Folders that an attacker renamed: they get their names back before the files in them are looked for.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use act::put_back::{Aside, Bench};
use jiff::Timestamp;
use observe::files::{Actor, Touch};

use super::Guard;

const MOVES_MAX: usize = 1024;

/// One rename of a folder.
#[derive(Debug)]
struct Move {
    at: Timestamp,
    actor: Actor,
    from: PathBuf,
    to: PathBuf,
}

/// Renames of folders, oldest first.
#[derive(Debug, Default)]
pub(super) struct Moves(VecDeque<Move>);

impl Moves {
    /// Takes note of one.
    pub(super) fn note(&mut self, actor: Actor, at: Timestamp, from: &Path, to: &Path) {
        if self.0.len() >= MOVES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Move { at, actor, from: from.to_owned(), to: to.to_owned() });
    }

    /// Takes out those of one actor, newest first.
    fn take(&mut self, actor: Actor) -> impl Iterator<Item = Move> + use<> {
        let (own, others): (VecDeque<_>, _) = self.0.drain(..).partition(|moved| moved.actor == actor);
        self.0 = others;
        own.into_iter().rev()
    }
}

impl Guard {
    /// Renames back what holds a harmed file or was moved since the first harm, and lets the touches follow. Other folders stay: moving
    /// them was no harm.
    pub(super) fn rename_folders_back(
        &mut self,
        actor: Actor,
        since: Option<Timestamp>,
        harmed: &mut [Touch],
        aside: &Aside,
    ) {
        for Move { at, from, to, .. } in self.moves.take(actor) {
            let is_below = |path: &Path| path.starts_with(&to);
            let holds_harm = harmed
                .iter()
                .any(|touch| is_below(&touch.path_before) || touch.path_now.as_deref().is_some_and(is_below));
            let Some(((tree, now), (_, before))) = self.relative(&to).zip(self.relative(&from)) else {
                continue;
            };
            let bench = Bench { tree: tree.as_fd(), aside };
            let is_part_of_it = holds_harm || since.is_some_and(|since| at >= since);
            if !is_part_of_it || bench.rename_folder(&now, &before).is_err() {
                continue;
            }
            let back = |path: &Path| path.strip_prefix(&to).ok().map(|rest| from.join(rest));
            for touch in harmed.iter_mut() {
                if let Some(path) = back(&touch.path_before) {
                    touch.path_before = path;
                }
                if let Some(path) = touch.path_now.as_deref().and_then(back) {
                    touch.path_now = Some(path);
                }
            }
            self.tracker.directory_renamed(&to, &from);
        }
    }
}

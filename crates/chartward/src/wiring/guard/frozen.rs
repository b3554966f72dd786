//! An actor that stands still, and what keeps it so: a file in the state folder, or this guard alone while that takes none.

use std::path::{Path, PathBuf};

use act::freeze::{self, Applied};

/// An actor that was stopped.
pub(super) struct Frozen {
    pub(super) applied: Applied,
    pub(super) plan: Held,
    /// Id of the stop.
    pub(super) stop: String,
}

/// What keeps an actor frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// A file in the state folder, for as long as it is there.
    By(PathBuf),
    /// This guard alone: the state folder takes no file, and is asked again and again.
    ByThisGuard,
    /// Nothing: it had ended before.
    Nobody,
}

impl Frozen {
    pub(super) fn is_held(&self) -> bool {
        match &self.plan {
            Held::By(plan) => plan.exists(),
            Held::ByThisGuard => true,
            Held::Nobody => false,
        }
    }

    /// Writes down, once there is room, what so far only this guard knows. Gives the file and the stop that it belongs to.
    pub(super) fn write_down(&mut self, state: &Path) -> Option<(String, PathBuf)> {
        if self.plan != Held::ByThisGuard {
            return None;
        }
        let plan = freeze::remember(state, &self.applied).ok()?;
        self.plan = Held::By(plan.clone());
        Some((self.stop.clone(), plan))
    }
}

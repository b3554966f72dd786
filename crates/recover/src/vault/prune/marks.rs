//! Which packs are to be removed, since when. The list lies in files of our own, sealed like everything else; a stock restic never looks
//! there and finds packs that no index lists, which it does not mind.

use std::collections::HashSet;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::super::file_kind::FileKind;
use super::super::id::Id;
use super::super::repository::Vault;
use crate::Error;

/// How long a machine has been up: time that nobody can set forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Which start of the machine.
    pub boot: String,
    /// Seconds since then, those asleep among them.
    pub seconds: i64,
}

impl Uptime {
    /// Of this machine, if it tells.
    pub fn here() -> Option<Uptime> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Uptime { boot, seconds: clock_gettime(ClockId::Boottime).tv_sec })
    }
}

/// A moment by two clocks: one that may be set wrong, one that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// What the clock says.
    pub at: Timestamp,
    /// How long the machine has been up.
    pub uptime: Option<Uptime>,
}

impl Moment {
    /// The present.
    pub fn now() -> Moment {
        Moment { at: Timestamp::now(), uptime: Uptime::here() }
    }
}

/// A list of packs that were marked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MarkFile {
    pub(crate) at: Timestamp,
    pub(crate) uptime: Option<Uptime>,
    pub(crate) packs: Vec<Id>,
}

impl MarkFile {
    pub(crate) fn new(now: &Moment, packs: Vec<Id>) -> MarkFile {
        MarkFile { at: now.at, uptime: now.uptime.clone(), packs }
    }

    /// Whether the packs were marked so long ago.
    pub(crate) fn is_due(&self, delay: SignedDuration, now: &Moment) -> bool {
        is_due(self.at, self.uptime.as_ref(), delay, now)
    }
}

/// Whether something is so long ago. A clock that was set forward since the same start of the machine shortens nothing.
pub(crate) fn is_due(at: Timestamp, uptime: Option<&Uptime>, delay: SignedDuration, now: &Moment) -> bool {
    let by_clock = now.at.duration_since(at);
    let by_uptime = match (uptime, &now.uptime) {
        (Some(then), Some(now)) if then.boot == now.boot => {
            SignedDuration::from_secs(now.seconds.saturating_sub(then.seconds))
        }
        _ => by_clock,
    };
    by_clock.min(by_uptime) >= delay
}

impl Vault {
    /// The lists of marked packs with the names of their files. One that cannot be read marks nothing; it is noted.
    pub(crate) fn marks(&self) -> Result<Vec<(Id, MarkFile)>, Error> {
        let mut marks = Vec::new();
        for (id, _) in self.backend.list(FileKind::Mark)? {
            let read = self.load_file(FileKind::Mark, "list of packs to remove", &id).and_then(|text| {
                serde_json::from_slice(&text).map_err(|e| Error::Damaged {
                    what: "list of packs to remove",
                    id: id.to_string(),
                    cause: e.to_string(),
                })
            });
            match read {
                Ok(mark) => marks.push((id, mark)),
                Err(error) => self.note(format!("{error}; the packs stay")),
            }
        }
        Ok(marks)
    }

    /// Packs that a prune is to remove. An index that lists one of them takes it back.
    pub(crate) fn marked_packs(&self) -> Result<HashSet<Id>, Error> {
        Ok(self.marks()?.into_iter().flat_map(|(_, mark)| mark.packs).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_forward_shortens_no_delay() {
        let at = |text: &str, uptime: Option<(&str, i64)>| Moment {
            at: text.parse().unwrap(),
            uptime: uptime.map(|(boot, seconds)| Uptime { boot: boot.to_owned(), seconds }),
        };
        let delay = SignedDuration::from_hours(24);
        let mark = MarkFile::new(&at("2018-10-16T05:40:00Z", Some(("a", 1000))), Vec::new());
        for (now, due) in [
            (at("2018-10-17T05:39:59Z", None), false),
            (at("2018-10-17T05:40:00Z", None), true),
            (at("2018-10-30T05:40:00Z", Some(("a", 2000))), false),
            (at("2018-10-17T06:00:00Z", Some(("a", 1000 + 86_400))), true),
            (at("2018-10-17T06:00:00Z", Some(("b", 5))), true),
            (at("2017-01-01T00:00:00Z", Some(("a", 1000 + 86_400))), false),
        ] {
            assert_eq!(mark.is_due(delay, &now), due, "{now:?}");
        }
    }
}

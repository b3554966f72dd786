//! What our own watchers say of themselves.

use schema::{Act, Action, Outcome};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Line, REASONS_MAX, Raw, Trust, text};
use jiff::Timestamp;
use serde::Deserialize;

/// What protection stands from now on, and what it cannot do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// How it watches, such as `permission`.
    pub mode: String,
    /// Whether it acts by itself; `None` for a watcher that never does.
    pub armed: Option<bool>,
    /// What it watches.
    pub paths: Vec<String>,
    /// What waits until it was judged.
    pub holds: Vec<String>,
    /// What happens first and is undone after.
    pub undoes: Vec<String>,
    /// What it does not see.
    pub blind_spots: Vec<String>,
}

/// What a guard did by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It froze a process, or let it go on.
    Action(Action),
    /// It put back what a frozen process had done.
    Restored(Restored),
    /// Something happened to an approval of a program that encrypts.
    Policy(Policy),
    /// The kernel dropped events, so often.
    Missed {
        /// How often.
        overflows: u64,
    },
    /// A mail gateway removed mails that it had held back.
    MailExpired(MailExpired),
    /// The guard ended, and these processes stay frozen.
    StillFrozen {
        /// Their ids.
        pids: Vec<i32>,
        /// The commands that release them.
        release: Vec<String>,
    },
}

/// What a guard says of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Policy {
    /// `in_force`, `allowed`, `expired`, `revoked`, `void` or `refused`.
    pub event: String,
    /// The approval's number or name.
    pub approval: String,
    /// The program.
    pub tool: String,
    /// Whose.
    pub user: Option<String>,
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub by: String,
    /// Files that were let pass.
    #[serde(default)]
    pub files: u32,
    /// All of it in words.
    #[serde(default)]
    pub message: String,
}

impl Policy {
    /// Every text bounded and fit to be shown.
    fn shown(self) -> Self {
        Self {
            event: text::cut(&self.event, 16),
            approval: text::cut(&self.approval, 64),
            tool: text::shown(&self.tool),
            user: self.user.map(|user| text::shown(&user)),
            reason: text::shown(&self.reason),
            by: text::shown(&self.by),
            files: self.files,
            message: text::shown(&self.message),
        }
    }
}

/// Mails that a gateway removed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MailExpired {
    /// How many.
    pub count: u64,
    /// Of those, because of their age; the others for want of room.
    pub by_age: u64,
    /// The first of them.
    #[serde(default)]
    pub ids: Vec<String>,
}

impl MailExpired {
    /// Every text bounded and fit to be shown.
    fn shown(self) -> Self {
        let ids = self.ids.iter().take(REASONS_MAX).map(|id| text::cut(id, 64)).collect();
        Self { ids, ..self }
    }
}

/// What became of the files of one stopped actor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Restored {
    /// The id under which the guard's evidence is found.
    #[serde(default)]
    pub stop: String,
    /// SHA-256 of the evidence's list.
    #[serde(default)]
    pub evidence_sha256: Option<String>,
    /// Originals that it changed, renamed or removed.
    pub files_touched: u64,
    /// Of those, files that read as before, verified by hash.
    pub files_put_back: u64,
    /// Of those, files that could not be put back.
    pub files_irrecoverable: u64,
    /// Of those, files that somebody else wrote to since: left alone.
    pub files_contested: u64,
    /// Files that it made and that were moved into the evidence.
    pub files_moved_aside: u64,
    /// From the first harmful act to the actor standing still.
    pub time_to_stop_ms: u64,
    /// The first harmful act.
    pub first_harm_at: Timestamp,
    /// When the actor stood still.
    pub stopped_at: Timestamp,
    /// When the last file was put back.
    pub restored_at: Timestamp,
}

pub(super) fn line(raw: &Raw<'_>, kind: &str) -> Line {
    let value = raw.value;
    let said = match (raw.trust, kind) {
        (_, "ready") => return Line::Ready(Box::new(ready(value))),
        // What a stranger says that it did is told, and changes nothing.
        (Trust::External, _) => None,
        (Trust::Own, "action") => action(value).map(Said::Action),
        (Trust::Own, "restored") => typed(value).map(Said::Restored),
        (Trust::Own, "policy") => typed(value).map(|policy: Policy| Said::Policy(policy.shown())),
        (Trust::Own, "expired") => {
            typed(value).map(|expired: MailExpired| Said::MailExpired(expired.shown()))
        }
        (Trust::Own, "missed") => value["overflows"].as_u64().map(|overflows| Said::Missed { overflows }),
        (Trust::Own, "still_frozen") => Some(still_frozen(value)),
        _ => None,
    };
    said.map_or_else(|| note(raw, kind), |said| Line::Act(Box::new(said)))
}

fn ready(value: &Value) -> Ready {
    let list = |field: &str| text::list(&value[field], REASONS_MAX);
    Ready {
        mode: text::of(&value["mode"]),
        armed: value["armed"].as_bool(),
        paths: list("paths"),
        holds: list("holds"),
        undoes: list("undoes"),
        blind_spots: list("blind_spots"),
    }
}

/// An act and its outcome stand side by side in one object.
fn action(value: &Value) -> Option<Action> {
    let act: Act = typed(value)?;
    let outcome = match typed(value)? {
        Outcome::Failed { cause } => Outcome::Failed { cause: text::shown(&cause) },
        outcome => outcome,
    };
    Some(Action { act, at: typed(&value["at"])?, outcome })
}

fn typed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

fn still_frozen(value: &Value) -> Said {
    const PIDS_MAX: usize = 4096;
    let pids = value["pids"].as_array().into_iter().flatten();
    let pids = pids.filter_map(|pid| i32::try_from(pid.as_i64()?).ok());
    Said::StillFrozen {
        pids: pids.take(PIDS_MAX).collect(),
        release: text::list(&value["release"], REASONS_MAX),
    }
}

fn note(raw: &Raw<'_>, kind: &str) -> Line {
    let said = text::first(&[&raw.value["message"], &raw.value["text"]]);
    Line::Note { kind: text::cut(kind, 64), text: text::shown(said.unwrap_or(raw.line)) }
}

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something Chartward may do to a machine. Every one of them can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Stop a process and its descendants with SIGSTOP; undone with SIGCONT.
    Freeze {
        /// Process id.
        pid: i32,
        /// Start time of that process in clock ticks since boot (proc_pid_stat(5) field 22), so that a reused
        /// pid is never frozen.
        start_ticks: u64,
    },
}

/// Acts decided on and not yet carried out; making one changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What will be done, in order.
    pub acts: Vec<Act>,
    /// Why, in one sentence.
    pub because: String,
    /// After this the plan may no longer be applied.
    pub deadline: Timestamp,
}

/// One act of a plan with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What was to be done.
    pub act: Act,
    /// When it was tried.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Applied,
    /// Done and taken back.
    Undone,
    /// Not done because the never-touch list names the target.
    NeverTouch,
    /// Not done; the cause in words.
    Failed {
        /// The cause.
        cause: String,
    },
}

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{IncidentId, WatcherClass};

/// Something Chartward may do to a machine. Every one of them can be undone, but for a notice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Stop every process of a control group with its freezer; undone by thawing it.
    FreezeCgroup {
        /// Path of the group below the cgroup mount, such as `/system.slice/emr.service`.
        path: String,
    },
    /// Drop packets from and to an address (D3FEND D3-NTF); undone by taking it out of the set.
    BlockAddress {
        /// The address.
        address: IpAddr,
    },
    /// Drop what a host begins itself, such as a worm's connections, and go on answering who connects to it (D3FEND D3-OTF);
    /// undone by taking it out of the set.
    BlockEgress {
        /// The address of the host.
        address: IpAddr,
    },
    /// Cut a host off from everything but the vault, the console and the hosts that are named (D3FEND D3-NI).
    IsolateHost {
        /// The address of the host.
        address: IpAddr,
    },
    /// Capture a snapshot at once, before more is harmed.
    SnapshotNow {
        /// Name of what is protected, as the configuration has it.
        protect: String,
    },
    /// Hold a lock in the vault, so that nobody can forget or prune.
    LockVault,
    /// Serve charts read-only from the newest proven snapshot.
    StartViewer,
    /// Tell people, through one channel of the configuration.
    Notify {
        /// Name of the channel.
        channel: String,
    },
}

impl Act {
    /// What sort of act it is.
    pub fn kind(&self) -> ActKind {
        match self {
            Act::Freeze { .. } => ActKind::Freeze,
            Act::FreezeCgroup { .. } => ActKind::FreezeCgroup,
            Act::BlockAddress { .. } => ActKind::BlockAddress,
            Act::BlockEgress { .. } => ActKind::BlockEgress,
            Act::IsolateHost { .. } => ActKind::IsolateHost,
            Act::SnapshotNow { .. } => ActKind::SnapshotNow,
            Act::LockVault => ActKind::LockVault,
            Act::StartViewer => ActKind::StartViewer,
            Act::Notify { .. } => ActKind::Notify,
        }
    }

    /// Process id and start ticks of the process that [`Act::Freeze`] names.
    pub fn process(&self) -> Option<(i32, u64)> {
        match self {
            Act::Freeze { pid, start_ticks } => Some((*pid, *start_ticks)),
            _ => None,
        }
    }
}

/// Sorts of acts: what an administrator arms, for each class of watcher by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActKind {
    /// See [`Act::Freeze`].
    Freeze,
    /// See [`Act::FreezeCgroup`].
    FreezeCgroup,
    /// See [`Act::BlockAddress`].
    BlockAddress,
    /// See [`Act::BlockEgress`].
    BlockEgress,
    /// See [`Act::IsolateHost`].
    IsolateHost,
    /// See [`Act::SnapshotNow`].
    SnapshotNow,
    /// See [`Act::LockVault`].
    LockVault,
    /// See [`Act::StartViewer`].
    StartViewer,
    /// See [`Act::Notify`].
    Notify,
}

impl ActKind {
    /// All of them, mildest first.
    pub const ALL: [ActKind; 9] = [
        ActKind::Notify,
        ActKind::SnapshotNow,
        ActKind::LockVault,
        ActKind::StartViewer,
        ActKind::BlockAddress,
        ActKind::BlockEgress,
        ActKind::IsolateHost,
        ActKind::Freeze,
        ActKind::FreezeCgroup,
    ];

    /// As it stands in the configuration, on the command line and in JSON.
    pub fn id(self) -> &'static str {
        match self {
            ActKind::Freeze => "freeze",
            ActKind::FreezeCgroup => "freeze_cgroup",
            ActKind::BlockAddress => "block_address",
            ActKind::BlockEgress => "block_egress",
            ActKind::IsolateHost => "isolate_host",
            ActKind::SnapshotNow => "snapshot_now",
            ActKind::LockVault => "lock_vault",
            ActKind::StartViewer => "start_viewer",
            ActKind::Notify => "notify",
        }
    }

    /// The kind with that id.
    pub fn from_id(id: &str) -> Option<ActKind> {
        ActKind::ALL.into_iter().find(|kind| kind.id() == id)
    }
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

/// Number of a countermeasure, counted from 1 in one state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CountermeasureId(pub u64);

/// One act of the hub from its plan to its undo (D3FEND calls it a countermeasure).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Countermeasure {
    /// Its number.
    pub id: CountermeasureId,
    /// The incident it answers; `None` when a person asked for it.
    pub incident: Option<IncidentId>,
    /// What is to be done.
    pub act: Act,
    /// The class of watcher that caused it; `None` when a person asked for it.
    pub caused_by: Option<WatcherClass>,
    /// Why, in one sentence, in English.
    pub because: String,
    /// The same in Japanese.
    pub because_ja: String,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// After this it may no longer be approved or applied.
    pub deadline: Timestamp,
    /// How long it holds once applied, in seconds; then it is undone by itself. `None`: until somebody undoes it.
    pub lasts_seconds: Option<u64>,
    /// Where it stands.
    pub state: CountermeasureState,
    /// Who approved it: a user's name, or `playbook NAME` for one that needs no approval.
    pub approved_by: Option<String>,
    /// When it took effect.
    pub applied_at: Option<Timestamp>,
    /// When it was taken back.
    pub undone_at: Option<Timestamp>,
    /// What came of it, in words: the cause of a failure, the server's answer to a notice.
    pub detail: String,
}

/// Where a countermeasure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountermeasureState {
    /// It would have been planned, had an administrator armed this act for this class of watcher.
    ObserveOnly,
    /// It waits for a person.
    Proposed,
    /// It will be applied as soon as the hub gets to it, also after a restart.
    Approved,
    /// It is in force.
    Applied,
    /// It was taken back by a person.
    Undone,
    /// It held as long as it was meant to and was taken back, or nobody approved it in time.
    Expired,
    /// A person said no.
    Rejected,
    /// The never-touch list names its target.
    NeverTouch,
    /// It could not be done; `detail` has the cause.
    Failed,
}

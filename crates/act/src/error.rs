use std::io;
use std::path::PathBuf;

/// What can go wrong while acting; the variant says the operation, the source says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder of evidence or of plans could not be made.
    #[error("make the folder {path}")]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of evidence or a plan could not be written.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A plan could not be read.
    #[error("read the plan {path}")]
    ReadPlan {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A plan is not one.
    #[error("understand the plan {path}")]
    ParsePlan {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No plan froze this process.
    #[error("find a plan that froze process {pid} in {state}")]
    NoPlan {
        /// The process.
        pid: i32,
        /// Where plans are kept.
        state: PathBuf,
    },
    /// The evidence of a stop could not be read.
    #[error("read the evidence {path}")]
    ReadEvidence {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the guard wrote down for an undo is not that.
    #[error("understand the evidence {path}")]
    ParseEvidence {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A plan could not be put into words.
    #[error("write down a plan")]
    Encode(#[source] serde_json::Error),
    /// A content or a name could not be put back.
    #[error("put back a file ({step})")]
    PutBack {
        /// What was being done.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was put back does not read as it was.
    #[error("verify a file that was put back")]
    Differs,
    /// The never-touch list names the target.
    #[error("touch what the never-touch list names: {entry}")]
    NeverTouch {
        /// Its entry.
        entry: String,
    },
    /// The program that changes the packet filter could not be run, or did not end in time.
    #[error("run {command}")]
    PacketFilterProgram {
        /// The program with its first words.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The packet filter refused; nothing of the change is in force.
    #[error("{operation} with {command}: {answer}")]
    PacketFilter {
        /// What was to be done.
        operation: &'static str,
        /// The program with its first words.
        command: String,
        /// The program's first words about it.
        answer: String,
    },
    /// The packet filter's answer is no listing.
    #[error("understand the packet filter's listing")]
    PacketFilterListing(#[source] serde_json::Error),
    /// Our table is there without what makes it work.
    #[error("find rules in the chain {chain} of the table inet chartward")]
    WallBroken {
        /// The chain that is empty or missing.
        chain: &'static str,
    },
    /// A set of the packet filter holds as much as it may; nothing of the batch is in force.
    #[error("put further addresses into the set {set}, which holds at most {size_max}")]
    WallFull {
        /// The set.
        set: String,
        /// Its size.
        size_max: u32,
    },
    /// Nobody is named who is never cut off.
    #[error("block without anybody on the allow-list")]
    NoAllowList,
    /// A script cannot be about nobody, or about so many.
    #[error("write a script for 1 to {max} {what}")]
    ScriptSize {
        /// Of what.
        what: &'static str,
        /// At most.
        max: usize,
    },
    /// A text that would not show in a script what it is.
    #[error("write \"{text}\" into a script so that whoever reads it sees what it is")]
    Unquotable {
        /// The text with what hides in it spelt out.
        text: String,
    },
    /// What the folder of the wall remembers could not be read.
    #[error("read what the wall remembers, {path}")]
    ReadWall {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the folder of the wall remembers is not that.
    #[error("understand what the wall remembers, {path}")]
    ParseWall {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A policy is on trial, and another one must not come over it.
    #[error("change the policy while one is on trial for {seconds} s more")]
    TrialPending {
        /// How long it still lasts.
        seconds: i64,
    },
    /// There is nothing to confirm.
    #[error("confirm a policy, of which none is on trial")]
    NoTrial,
    /// The trial ended before anybody confirmed it; what was before is in force.
    #[error("confirm a policy whose trial ended at {at}")]
    TrialOver {
        /// When.
        at: jiff::Timestamp,
    },
    /// No policy was ever applied.
    #[error("undo an apply, of which there was none")]
    NothingToUndo,
    /// A control group is not one that may be frozen.
    #[error("freeze the control group {path}: {reason}")]
    BadCgroup {
        /// Its path below the mount.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The freezer of a control group could not be read or written.
    #[error("use the freezer {path}")]
    Freezer {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A control group did not come to a standstill, or did not go on.
    #[error("wait until the control group {path} is {wanted}")]
    FreezerSlow {
        /// Its path below the mount.
        path: String,
        /// `frozen` or `thawed`.
        wanted: &'static str,
    },
    /// A channel is not set up in a way that anything could be sent.
    #[error("understand the channel's {field}: {reason}")]
    BadChannel {
        /// The field of the configuration.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A channel names a secret that nobody stored.
    #[error("find the secret {name:?}")]
    NoSecret {
        /// Its name.
        name: String,
    },
    /// A notice could not be delivered.
    #[error("deliver a notice to {to}")]
    Deliver {
        /// The receiver.
        to: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The receiver of a notice answered, and did not take it.
    #[error("deliver a notice to {to}, which answered: {answer}")]
    NotTaken {
        /// The receiver.
        to: String,
        /// The start of its answer.
        answer: String,
    },
}

impl Error {
    /// What an operator can do about it, where there is something.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Error::MakeFolder { .. } => Some("use --state DIR to name a state folder that you may write to"),
            Error::NoPlan { .. } => Some(
                "use --state DIR to name the state folder that the guard used, as its line about the process says",
            ),
            Error::NeverTouch { .. } => Some(
                "take the entry out of [never_touch] in the configuration, if this really has to be done",
            ),
            Error::NoAllowList => {
                Some("write the addresses of those who administer this network under [never_touch] addresses")
            }
            Error::PacketFilterProgram { .. } => Some(
                "see that the program of [wall] command is installed (apt install nftables) and ends without asking anything, \
                 such as a password of ssh",
            ),
            Error::PacketFilter { .. } | Error::WallBroken { .. } => Some(
                "run `nft list table inet chartward` as root where the wall stands; restarting the hub makes the table anew",
            ),
            Error::WallFull { .. } => {
                Some("undo bans that are no longer needed, or ban the attacker's whole network by hand")
            }
            Error::ReadWall { .. } | Error::ParseWall { .. } => Some(
                "name the state folder with --state; `chartward wall apply` writes it anew from the configuration",
            ),
            Error::TrialPending { .. } => Some("run `chartward wall confirm` or `chartward wall undo` first"),
            Error::TrialOver { .. } | Error::NoTrial => Some(
                "run `chartward wall apply` again and confirm it in time; `chartward wall status` says what is in force",
            ),
            Error::BadCgroup { .. } => Some(
                "name a group below the cgroup mount, such as /system.slice/emr.service; see systemd-cgls",
            ),
            Error::Freezer { .. } => Some("run as root where control groups are mounted writable"),
            Error::FreezerSlow { .. } => {
                Some("look for processes that wait for a disk or a network share (state D in `ps`)")
            }
            Error::BadChannel { .. } => Some("correct the channel in the configuration"),
            Error::NoSecret { .. } => Some("store it with `chartward secret set NAME`"),
            Error::Deliver { .. } | Error::NotTaken { .. } => Some(
                "see that the receiver runs and takes messages from this machine; the hub tries again by itself",
            ),
            _ => None,
        }
    }
}

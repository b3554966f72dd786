use serde::{Deserialize, Serialize};

/// One file that was removed, as the guard tells judge: numbers only, no names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removal {
    /// A number for whoever did it.
    pub actor: u64,
    /// A number for the folder that it was in.
    pub folder: u64,
    /// It was made while the guard watched.
    pub made: bool,
    /// It lay in a folder whose name begins with a dot: a cache, a version control's.
    pub hidden: bool,
}

/// Something that a guard could not see, keep or judge in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapse {
    /// Nobody watched for a while.
    Gap,
    /// Files are watched and could not be kept.
    StoreFull,
    /// Opens passed unseen.
    Passed,
    /// Opens were refused.
    Denied,
    /// Descriptors ran out.
    Descriptors,
    /// What keeps somebody frozen over a restart could not be written down.
    StateFull,
    /// Somebody was frozen until judged.
    Late,
    /// Changes of names were lost.
    Names,
    /// Lines found no reader.
    Lines,
}

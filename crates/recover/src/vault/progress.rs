/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Files are read and stored.
    Capture,
    /// The tree is looked at again for what changed meanwhile.
    Recheck,
    /// Everything is made durable.
    Seal,
    /// Files are restored.
    Restore,
    /// The repository's structure is checked.
    Structure,
    /// Every pack is read.
    ReadData,
    /// What is needed is copied out of packs that hold little of it.
    Repack,
    /// Packs that nobody needs are removed.
    Remove,
    /// Packs are copied to another medium.
    Copy,
}

/// How far it is. Totals are not known beforehand where that would cost a second pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Files, or packs when a check reads them, that are done.
    pub done: u64,
    /// How many there are, where it is known.
    pub total: Option<u64>,
    /// Bytes that are done.
    pub bytes: u64,
}

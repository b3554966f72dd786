use serde::{Deserialize, Serialize};

/// What one actor did to one file since it was last judged: numbers only, no names.
///
/// `observe` measures it from the pinned original and the present content; `judge` decides on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileEvidence {
    /// A number that stays the same for this file as long as it is watched, so that a second measurement of one
    /// file replaces the first instead of counting twice.
    pub file: u64,
    /// Bytes of the original that was pinned before the first write; 0 for a file that is new.
    pub size_before: u64,
    /// Bytes now; 0 for a file that is gone.
    pub size_after: u64,
    /// Bytes that differ from the original at the same offset, among those compared.
    pub bytes_differing: u64,
    /// Bytes in blocks of which a quarter or more differs from the original at the same offset, among those
    /// compared.
    pub bytes_changed: u64,
    /// Bytes that were compared (bounded by the sampler).
    pub bytes_compared: u64,
    /// Shannon entropy of the original in bits per byte, 0 to 8.
    pub entropy_before: f32,
    /// Shannon entropy of the present content in bits per byte, 0 to 8.
    pub entropy_after: f32,
    /// Chi-square per degree of freedom of the original's bytes in the changed blocks: how far from noise it was.
    pub chi2_before: f32,
    /// Chi-square of the present content's changed bytes against a uniform distribution, divided by its 255
    /// degrees of freedom: near 1 for ciphertext, far above for text, images and archives' headers.
    pub chi2_changed: f32,
    /// Chi-square per degree of freedom of original XOR present over the changed bytes.
    pub chi2_xor: f32,
    /// Bytes in changed stretches of a kilobyte that were noise before, as far as such stretches were looked at.
    pub noise_before: u64,
    /// Bytes in the same stretches that are noise now.
    pub noise_after: u64,
    /// Number of the original's format, the same for one format; 0 for one that is not known.
    pub kind_before: u8,
    /// The original's format is one that logs and notes have: text, markup. Emptying such files is everyday work.
    pub plain_before: bool,
    /// The original's bytes were packed, so that noise in it is no wonder.
    pub packed_before: bool,
    /// The original had a structure that a parser or signature knows (HL7, SQLite, PDF, ZIP, text …).
    pub structured_before: bool,
    /// The present content has the structure that the original had.
    pub structure_kept: bool,
    /// The present content is another format that holds together, such as a gzip file that unpacks to the original.
    pub structured_after: bool,
    /// The present content was unpacked or walked, not only its frame.
    pub opened_after: bool,
    /// The present content begins as a known format does, and what follows is not that format.
    pub forged: bool,
    /// The present content says itself that it is encrypted, and the original did not: an archive or document with a password.
    pub sealed: bool,
    /// The present content is a text that spells noise (base64, hexadecimal …), and the original was none.
    pub spells_noise: bool,
    /// The present content is noise in an alphabet of its own or between padding, and the original was not.
    pub even_after: bool,
    /// The file got a suffix it did not have before.
    pub suffix_added: bool,
    /// A number for that suffix; for a note, one for the suffix that it is named after. 0 for none.
    pub suffix: u32,
    /// The new suffix or name is one that a known family leaves.
    pub suffix_known: bool,
    /// The original's name is gone (renamed over, unlinked) and no content like it remains.
    pub original_gone: bool,
    /// The file is new: what is said of the present content is all there is.
    pub made: bool,
    /// The file is new and named like a ransom note.
    pub ransom_note: bool,
    /// The file is one of the guard's own canaries.
    pub canary: bool,
    /// Nobody who was seen to open it for writing is still at it: what is said here is no state in the midst of a rewrite.
    pub complete: bool,
}

/// One actor asks to open another file; this is everything unjudged that it did before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateInput {
    /// A number that stays the same for a process, its threads and its children.
    pub actor: u64,
    /// Files it changed since the last time, in the order of the changes.
    pub evidence: Vec<FileEvidence>,
}

/// What the gate answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing speaks against the actor.
    Allow,
    /// Something does, not enough to stop it.
    Watch(Vec<Reason>),
    /// Freeze the actor, deny what it asks, put back what it touched.
    Stop(Vec<Reason>),
}

/// Why the gate speaks against an actor; counts are files of this actor so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Structured content was replaced by bytes that cannot be told from noise.
    ContentReplacedByNoise {
        /// How many files.
        files: u32,
    },
    /// Files got one new suffix and lost their structure.
    SuffixWithLostStructure {
        /// How many files.
        files: u32,
    },
    /// A known family's suffix or note appeared.
    KnownFamilyArtefact {
        /// How many files.
        files: u32,
    },
    /// Files became text that spells noise.
    SpelledAsText {
        /// How many files.
        files: u32,
    },
    /// Files begin as a format does that their content is not.
    ForgedFormat {
        /// How many files.
        files: u32,
    },
    /// Files lost the format they had and got no other, whatever their bytes look like.
    StructureLost {
        /// How many files.
        files: u32,
    },
    /// Files were emptied or cut off.
    Emptied {
        /// How many files.
        files: u32,
    },
    /// Documents got a password.
    Sealed {
        /// How many files.
        files: u32,
    },
    /// Originals were removed or emptied while noise was written elsewhere.
    RemovedBesideNoise {
        /// How many originals.
        files: u32,
    },
    /// A new note is named after the suffix that files got.
    NoteNamedAfterSuffix {
        /// How many files have the suffix.
        files: u32,
    },
    /// Originals disappeared while noise of like size appeared.
    OriginalsReplaced {
        /// How many files.
        files: u32,
    },
    /// A canary was changed.
    CanaryTouched {
        /// How many files.
        files: u32,
    },
}

impl Reason {
    /// How many files it is about.
    pub fn files(&self) -> u32 {
        match *self {
            Reason::ContentReplacedByNoise { files }
            | Reason::SuffixWithLostStructure { files }
            | Reason::KnownFamilyArtefact { files }
            | Reason::SpelledAsText { files }
            | Reason::ForgedFormat { files }
            | Reason::StructureLost { files }
            | Reason::Emptied { files }
            | Reason::Sealed { files }
            | Reason::RemovedBesideNoise { files }
            | Reason::NoteNamedAfterSuffix { files }
            | Reason::OriginalsReplaced { files }
            | Reason::CanaryTouched { files } => files,
        }
    }
}

/// How far files are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Archives in archives; an office document is one as well.
    pub depth: usize,
    /// Entries together.
    pub entries: usize,
    /// Unpacked bytes together.
    pub bytes: u64,
    /// Unpacked bytes by packed byte, above which an archive counts as a bomb; the first mebibyte is free.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 4, entries: 1_000, bytes: 64 << 20, ratio: 200 }
    }
}

/// What was seen in one file and all it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What it is by its content, a MIME type or a short word (`application/zip`, `pe`, `lnk`).
    pub kind: String,
    /// What speaks against it.
    pub marks: Vec<Mark>,
    /// Entries that were looked at, the file itself among them.
    pub looked_at: u32,
    /// SHA-256 of the file itself, in hexadecimal: what threat lists are searched by.
    pub sha256: String,
    /// How many encrypted things a given password opened; each has its [`MarkKind::Encrypted`] all the same.
    pub opened: u32,
}

impl Look {
    /// Whether there is a mark of this kind.
    pub fn has(&self, kind: MarkKind) -> bool {
        self.marks.iter().any(|mark| mark.kind == kind)
    }
}

/// One thing that speaks against a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it is.
    pub kind: MarkKind,
    /// Where: the file's name, with the names of what it lies in before it (`a.zip/b.iso/c.exe`).
    pub place: String,
    /// What it rests on: an extension, a macro's name, an address. Short, without control characters.
    pub evidence: String,
}

/// What can speak against a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkKind {
    /// A program, by content (PE, ELF, Mach-O, MSI, class files).
    Executable,
    /// A script or a shortcut (JS, VBS, WSF, HTA, BAT, PS1, LNK, URL, CHM, …).
    Script,
    /// Two extensions, the last one running, or one that hides by direction marks or blanks.
    DoubleExtension,
    /// The name's extension and the content disagree in a way that hides what runs.
    Disguised,
    /// A disk image (ISO, IMG, VHD, VHDX): what is in it does not carry the mark of the web.
    DiskImage,
    /// HTML that builds a file in the browser.
    HtmlSmuggling,
    /// HTML that carries a form or jumps elsewhere.
    HtmlForm,
    /// A macro that starts by itself.
    AutoMacro,
    /// A macro.
    Macro,
    /// An Excel 4.0 (XLM) macro sheet.
    XlmMacro,
    /// Dynamic data exchange (DDE).
    Dde,
    /// A template or an object that is fetched from elsewhere when the document opens.
    ExternalTemplate,
    /// An object or a program inside a document.
    EmbeddedObject,
    /// A PDF that starts something when it opens (`/OpenAction`, `/Launch`, `/JavaScript`, `/EmbeddedFile`).
    PdfAction,
    /// Encrypted. The evidence says whether a password opened it; where none did, nobody could look inside.
    Encrypted,
    /// An archive that unpacks to far more than it is.
    Bomb,
    /// A bound was met: not everything was looked at.
    NotLookedAt,
    /// It does not hold together as what it claims to be.
    Broken,
}

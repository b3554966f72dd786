//! Formats that records and documents come in, recognised by holding together rather than by a name.

use super::{Sample, Structure};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No bytes.
    Empty,
    /// HL7 v2: `MSH|` or a batch header first, text throughout.
    Hl7,
    /// XML, JSON or HTML, text throughout.
    Markup,
    /// Text in ASCII, UTF-8, UTF-16, ISO-2022-JP, Shift_JIS or EUC-JP.
    Text,
    /// SQLite database.
    Sqlite,
    /// PDF with its trailer.
    Pdf,
    /// ZIP whose members unpack: also office documents and archives of Java.
    Zip,
    /// gzip, bzip2, xz, zstd, lz4, zlib or 7z.
    Compressed,
    /// PNG, JPEG, GIF, TIFF, BMP or WebP.
    Image,
    /// DICOM part 10.
    Dicom,
    /// Another format with a signature: older office documents, ELF, git pack, tar, fonts, sound and film.
    Other,
    /// None of these.
    Unknown,
}

/// What counts as the same structure when a program rewrites a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Any text.
    Text,
    /// A picture of any format: converting one to another is no damage.
    Image,
    /// Something packed.
    Packed,
    /// A format of its own.
    Single(Kind),
}

impl Kind {
    /// What a sample holds together as.
    pub fn of(sample: &Sample) -> Self {
        Structure::of(sample, &[]).kind
    }

    /// The family; `None` for what has no structure to lose.
    pub fn family(self) -> Option<Family> {
        match self {
            Kind::Empty | Kind::Unknown => None,
            Kind::Hl7 | Kind::Markup | Kind::Text => Some(Family::Text),
            Kind::Image => Some(Family::Image),
            Kind::Zip | Kind::Compressed => Some(Family::Packed),
            Kind::Sqlite | Kind::Pdf | Kind::Dicom | Kind::Other => Some(Family::Single(self)),
        }
    }
}

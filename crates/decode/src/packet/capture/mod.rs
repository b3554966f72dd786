//! Capture files: pcap and pcapng, read from a window of bytes that the caller moves on.
//!
//! [`Capture`] holds what earlier bytes said of later ones (byte order, interfaces), never packets. Files are read by us as the crates for
//! them keep whole options in memory, or follow lengths that lie; one of those crates is held beside this in the tests.

mod classic;
mod ng;
#[cfg(test)]
mod tests;

use schema::Micros;

use super::Link;

/// The most bytes of one packet, and so of what a caller has to hold: what capture programs themselves take at most, with its header.
pub const RECORD_MAX: usize = (256 << 10) + 4096;

/// A captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When.
    pub at: Micros,
    /// What its bytes begin with.
    pub link: Link,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub orig_len: u32,
}

/// What lies at the beginning of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame; the next one begins `used` bytes further on.
    Record {
        /// The frame.
        record: Record<'a>,
        /// How far to move on.
        used: usize,
    },
    /// Something else that is done with.
    Skip {
        /// How far to move on: past the end of the window where it is longer than that.
        used: u64,
    },
    /// The window must hold this many bytes, at most [`RECORD_MAX`].
    More {
        /// Bytes from its beginning.
        needed: usize,
    },
}

/// Why no more of a capture file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureFault {
    /// It begins like none of the known formats.
    #[error("neither pcap nor pcapng")]
    Format,
    /// A record claims more bytes than any packet has: from here on nothing says where the next one begins.
    #[error("a record of {bytes} bytes, where at most {RECORD_MAX} are possible")]
    RecordLength {
        /// What it claims.
        bytes: u64,
    },
    /// A block of pcapng contradicts itself.
    #[error("a block of type {kind:#x} that contradicts itself")]
    Block {
        /// Its type.
        kind: u32,
    },
}

/// What was said so far by a capture file.
#[derive(Debug, Default)]
pub struct Capture {
    format: Format,
}

#[derive(Debug, Default)]
enum Format {
    #[default]
    Unknown,
    Classic(classic::Classic),
    Ng(ng::Ng),
}

impl Capture {
    /// Nothing read.
    pub fn new() -> Capture {
        Capture::default()
    }

    /// Looks at the beginning of the window.
    ///
    /// # Errors
    /// [`CaptureFault`]: nothing behind it can be read.
    pub fn step<'a>(&mut self, window: &'a [u8]) -> Result<Step<'a>, CaptureFault> {
        match &mut self.format {
            Format::Classic(classic) => classic.step(window),
            Format::Ng(ng) => ng.step(window),
            Format::Unknown => self.begin(window),
        }
    }

    /// Whether it is known what the file is.
    pub fn is_known(&self) -> bool {
        !matches!(self.format, Format::Unknown)
    }

    /// Frames that the capturing program itself missed, as far as the file says.
    pub fn dropped(&self) -> u64 {
        match &self.format {
            Format::Ng(ng) => ng.dropped(),
            _ => 0,
        }
    }

    fn begin<'a>(&mut self, window: &'a [u8]) -> Result<Step<'a>, CaptureFault> {
        let Some(magic) = window.first_chunk::<4>() else { return Ok(Step::More { needed: 4 }) };
        if u32::from_be_bytes(*magic) == ng::SECTION {
            let mut ng = ng::Ng::default();
            let step = ng.step(window);
            self.format = Format::Ng(ng);
            return step;
        }
        let Some(header) = window.first_chunk::<{ classic::HEADER }>() else {
            return Ok(Step::More { needed: classic::HEADER });
        };
        self.format = Format::Classic(classic::Classic::new(header).ok_or(CaptureFault::Format)?);
        Ok(Step::Skip { used: classic::HEADER as u64 })
    }
}

/// Numbers in the byte order of whoever wrote the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// The 32-bit number there; 0 where the window ends before.
    #[inline]
    fn long(self, bytes: &[u8], at: usize) -> u32 {
        let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).copied().unwrap_or_default();
        match self {
            Order::Little => u32::from_le_bytes(four),
            Order::Big => u32::from_be_bytes(four),
        }
    }

    /// The 16-bit number there; 0 where the window ends before.
    #[inline]
    fn short(self, bytes: &[u8], at: usize) -> u16 {
        let two = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or_default();
        match self {
            Order::Little => u16::from_le_bytes(two),
            Order::Big => u16::from_be_bytes(two),
        }
    }
}

//! A file of observations: a line of JSON that says what it is, then lines of JSON packed with zstd.
//!
//! ```text
//! {"chartward_observation":1,"day":17755,"sensor":"front","lines":812,"bytes":60118,"sha256":"…"}
//! <zstd frame>
//! ```
//!
//! `bytes` and `sha256` are of the unpacked lines. A file that says another version, or whose lines are not those that were written, is
//! refused: half a day would be taken for a quiet one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of the format.
const VERSION: u32 = 1;
const HEAD_BYTES_MAX: usize = 1024;
/// Unpacked; a day of one sensor takes a few megabytes at the most keys that it may have.
const BYTES_MAX: u64 = 512 << 20;
/// What zstd itself would take more memory for.
const LEVEL: i32 = 9;

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format's version.
    #[serde(rename = "chartward_observation")]
    pub format: u32,
    /// Days since 1970 in UTC.
    pub day: i64,
    /// The sensor's name.
    pub sensor: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its first line is none of ours.
    #[error("it does not begin like a file of observations")]
    Head,
    /// It is of a newer program.
    #[error("it has version {0}, which this program does not know")]
    Version(u32),
    /// It claims to be larger than any day.
    #[error("it claims to hold {0} bytes")]
    TooLarge(u64),
    /// It cannot be unpacked.
    #[error("its contents cannot be unpacked")]
    Packed,
    /// Its contents are not those that were written.
    #[error("its contents are not those that were written")]
    Checksum,
}

/// A file's bytes. `lines` ends with a line feed, or is empty.
///
/// # Errors
/// [`Fault::Packed`] when memory does not suffice, [`Fault::TooLarge`].
pub fn write(day: i64, sensor: &str, lines: &[u8]) -> Result<Vec<u8>, Fault> {
    let bytes = lines.len() as u64;
    if bytes > BYTES_MAX {
        return Err(Fault::TooLarge(bytes));
    }
    let head = Head {
        format: VERSION,
        day,
        sensor: sensor.to_owned(),
        lines: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
        bytes,
        sha256: hex::encode(Sha256::digest(lines)),
    };
    let mut file = serde_json::to_vec(&head).map_err(|_| Fault::Head)?;
    file.push(b'\n');
    file.extend(zstd::bulk::compress(lines, LEVEL).map_err(|_| Fault::Packed)?);
    Ok(file)
}

/// What a file says of itself, and its lines. Takes no more memory than the file says and its size makes possible.
///
/// # Errors
/// [`Fault`].
pub fn read(file: &[u8]) -> Result<(Head, Vec<u8>), Fault> {
    let end = file.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n').ok_or(Fault::Head)?;
    let (head, packed) = file.split_at(end + 1);
    let head: Head = serde_json::from_slice(head).map_err(|_| Fault::Head)?;
    if head.format != VERSION {
        return Err(Fault::Version(head.format));
    }
    if head.bytes > BYTES_MAX {
        return Err(Fault::TooLarge(head.bytes));
    }
    let lines = unpack(packed, head.bytes)?;
    let sum = hex::encode(Sha256::digest(&lines));
    if lines.len() as u64 != head.bytes || sum != head.sha256 {
        return Err(Fault::Checksum);
    }
    Ok((head, lines))
}

/// Grows with what comes out, so that a short file cannot claim half a gigabyte.
fn unpack(packed: &[u8], bytes: u64) -> Result<Vec<u8>, Fault> {
    use std::io::Read;
    let mut lines = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|_| Fault::Packed)?;
    decoder.take(bytes + 1).read_to_end(&mut lines).map_err(|_| Fault::Packed)?;
    Ok(lines)
}

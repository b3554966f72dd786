//! LZMA as a file of its own (`.lzma`), as in xz-utils' `lzma-file-format.txt`.

use std::io::{ErrorKind, Read};

use lzma_rust2::LzmaReader;

use super::{Hold, is_nameless_noise, le32, le64};
use crate::content::Sample;

/// So much is unpacked. No match reaches farther back than that, whatever dictionary the header asks for.
const OUT_MAX: u32 = 256 * 1024;
/// A reader that fails gives nothing of the piece that it was at.
const PIECE: usize = 512;
const OUT_MIN: usize = 1024;

/// `None` for what is none: its header is no signature, so that a whole unpacked stretch has to speak for it.
pub(in crate::content) fn lzma(sample: &Sample) -> Option<Hold> {
    lzma_content(sample).filter(|inside| !is_nameless_noise(inside)).map(|_| Hold::Opened)
}

/// What such a stream begins with, if it is one.
pub(in crate::content) fn lzma_content(sample: &Sample) -> Option<Vec<u8>> {
    let (properties, dictionary) = header(sample.head())?;
    let len = le64(sample.head(), 5)?;
    let packed = sample.head().get(13..)?;
    let mut reader =
        LzmaReader::new_with_props(packed, len, properties, dictionary.min(OUT_MAX), None).ok()?;
    let mut inside = Vec::new();
    let mut piece = [0; PIECE];
    while inside.len() < OUT_MAX as usize {
        match reader.read(&mut piece) {
            Ok(0) => return (!inside.is_empty()).then_some(inside),
            Ok(read) => inside.extend_from_slice(piece.get(..read)?),
            // It goes on where nothing was read, or is still written.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(_) => return None,
        }
    }
    (inside.len() >= OUT_MIN).then_some(inside)
}

/// Properties and size of the dictionary, by the rules of xz-utils: these files have no other mark.
fn header(head: &[u8]) -> Option<(u8, u32)> {
    let (&properties, dictionary, len) = (head.first()?, le32(head, 1)?, le64(head, 5)?);
    let (contexts, positions) = (properties % 9, properties / 9 % 5);
    let is_usual = properties < 225 && contexts + positions <= 4;
    // A power of two, or half as much again.
    let is_round = dictionary == u32::MAX || dictionary.is_power_of_two() || {
        dictionary.is_multiple_of(3) && (dictionary / 3).is_power_of_two()
    };
    let is_possible = len == u64::MAX || len < 1 << 38;
    let starts = head.get(13) == Some(&0);
    (is_usual && is_round && dictionary >= 4096 && is_possible && starts).then_some((properties, dictionary))
}

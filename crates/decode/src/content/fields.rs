//! Texts whose frame is honest and whose fields spell noise: a record that keeps its first line, with ciphertext for observations.
//!
//! Records carry documents as base64, and packed documents are as even as noise. So the fields are read as base64 first, and what
//! then holds together as a document is no noise. An edit, whatever it puts in, leaves lines of what was there.

use std::collections::HashSet;

use super::{Histogram, Kind, Sample, Structure};

/// No word, code or date is as long; of the lines of ciphertext in fields the longest and the shortest are longer.
const RUN_MIN: usize = 20;
/// This much of a text tells enough.
const LOOKED_AT_MAX: usize = 128 * 1024;
/// A line shorter than this stands anywhere.
const LINE_MIN: usize = 4;

/// Whether at least half of a text are fields that spell noise, and no document.
pub(super) fn spell_noise(sample: &Sample) -> bool {
    let (mut spelled, mut all, mut left) = (Histogram::default(), 0, LOOKED_AT_MAX);
    for chunk in &sample.chunks {
        let bytes = chunk.bytes.get(..chunk.bytes.len().min(left)).unwrap_or_default();
        left -= bytes.len();
        all += bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count() as u64;
        runs(bytes).for_each(|run| spelled.add(run.iter().copied()));
    }
    spelled.total() * 2 >= all && spelled.has_even_alphabet() && !carry_document(sample)
}

/// Whether hardly any line of the original stands anywhere in the present text. The first line does not count: a header that was
/// kept says nothing of the rest.
pub(super) fn lines_are_gone(before: &Sample, after: &Sample) -> bool {
    let present: HashSet<&[u8]> = lines(after).collect();
    let bytes = |kept: bool| -> usize {
        let counted = lines(before).skip(1).filter(|line| line.len() >= LINE_MIN);
        counted.filter(|line| !kept || present.contains(line)).map(<[u8]>::len).sum()
    };
    let (all, kept) = (bytes(false), bytes(true));
    if all == 0 {
        return lines(before).next().is_some_and(|first| !present.contains(first));
    }
    kept * 4 < all
}

fn lines(sample: &Sample) -> impl Iterator<Item = &[u8]> {
    let lines =
        sample.chunks.iter().flat_map(|chunk| chunk.bytes.split(|byte| matches!(byte, b'\r' | b'\n')));
    lines.filter(|line| !line.is_empty())
}

/// Unbroken stretches of the characters that base64, base32 and hexadecimal are written in.
fn runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| digit(byte).is_none()).filter(|run| run.len() >= RUN_MIN)
}

/// Whether the longest field, or all of them as one, is a document in base64.
pub(super) fn carry_document(sample: &Sample) -> bool {
    let head = sample.head();
    let all = || runs(head).flatten().copied();
    let longest = runs(head).max_by_key(|run| run.len()).unwrap_or_default();
    // The field may go on where nothing was read.
    let is_all = head.len() as u64 == sample.len;
    [unspelled(longest.iter().copied()), unspelled(all())].into_iter().any(|bytes| {
        let mut document = Sample::whole(&bytes);
        if !is_all {
            document.len = u64::MAX;
        }
        let found = Structure::of(&document, &[]);
        !matches!(found.kind, Kind::Empty | Kind::Unknown) && !found.sealed && !found.spells_noise
    })
}

/// The bytes that a text in base64 stands for.
fn unspelled(text: impl Iterator<Item = u8>) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for value in text.filter_map(digit) {
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

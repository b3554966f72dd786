//! Pictures and sounds that are stored as they are.
//!
//! No camera, scanner or microphone gives all values equally often with none depending on the one before. What does is ciphertext
//! behind the header of a picture. A sound that is noise on purpose is taken for that as well.

use std::ops::Range;

use crate::content::{Histogram, Kind, Sample};

/// Samples are looked at in windows of this size: those of 16 bits are noise in every other byte, which fewer hide.
const WINDOW: usize = 4096;
const WINDOWS_MAX: usize = 16;
const BYTES_MIN: usize = 256;
/// Neighbours lie this far apart at most: three colours, two channels of 16 bits.
const LAGS: [usize; 4] = [1, 2, 3, 4];

/// Whether the samples in `places` are noise without a format, in most of some windows all over them. `is_sample` tells by its
/// offset in its place whether a byte counts.
pub(super) fn are_noise(sample: &Sample, places: &[Range<u64>], is_sample: impl Fn(u64) -> bool) -> bool {
    let windows: Vec<(u64, &[u8])> = places.iter().flat_map(|place| windows(sample, place)).collect();
    let step = windows.len().div_ceil(WINDOWS_MAX).max(1);
    let (mut looked_at, mut noise) = (0, 0);
    for (offset, bytes) in windows.iter().step_by(step) {
        let counted = bytes.iter().zip(*offset..).filter(|(_, at)| is_sample(*at));
        let counted: Vec<u8> = counted.map(|(&byte, _)| byte).collect();
        if counted.len() >= BYTES_MIN {
            looked_at += 1;
            noise += usize::from(is_noise(&counted));
        }
    }
    let start = places.first().map(|place| sample.at(place.start)).unwrap_or_default();
    let start = start.get(..start.len().min(WINDOW)).unwrap_or_default();
    let is_nameless = start.is_empty() || Kind::signature_of(&Sample::whole(start)).is_none();
    noise * 2 > looked_at && is_nameless
}

/// What was read of a place, in windows with their offsets in it.
fn windows<'a>(sample: &'a Sample, place: &Range<u64>) -> Vec<(u64, &'a [u8])> {
    let mut found = Vec::new();
    for chunk in &sample.chunks {
        let from = place.start.max(chunk.offset);
        let to = place.end.min(chunk.offset.saturating_add(chunk.bytes.len() as u64));
        let Some(len) = to.checked_sub(from).and_then(|len| usize::try_from(len).ok()) else { continue };
        let bytes = sample.at(from);
        let bytes = bytes.get(..len.min(bytes.len())).unwrap_or_default();
        found.extend(bytes.chunks(WINDOW).zip((from - place.start..).step_by(WINDOW)).map(|(b, at)| (at, b)));
    }
    found
}

/// All values equally often, and so are the steps from one to the next ones: a picture whose values were spread out evenly on
/// purpose is still smooth.
fn is_noise(bytes: &[u8]) -> bool {
    let is_uniform = |bytes: &mut dyn Iterator<Item = u8>| {
        let mut histogram = Histogram::default();
        histogram.add(bytes);
        histogram.is_uniform()
    };
    is_uniform(&mut bytes.iter().copied())
        && LAGS.iter().all(|&lag| {
            let later = bytes.get(lag..).unwrap_or_default();
            is_uniform(&mut bytes.iter().zip(later).map(|(byte, later)| later.wrapping_sub(*byte)))
        })
}

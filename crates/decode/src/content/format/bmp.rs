//! BMP.

use std::slice;

use super::{Hold, le16, le32, samples};
use crate::content::Sample;

/// The sizes in the header agree with the file's, and points that are stored as they are are no noise.
pub(in crate::content) fn bmp(sample: &Sample) -> Hold {
    let head = sample.head();
    let (Some(offset), Some(header), Some(planes)) = (le32(head, 10), le32(head, 14), le16(head, 26)) else {
        return Hold::Broken;
    };
    let known = matches!(header, 12 | 40 | 52 | 56 | 64 | 108 | 124);
    let sound = known && (planes == 1 || header == 12) && u64::from(offset) <= sample.len;
    // Run lengths, and JPEG or PNG within, have the look of noise.
    let is_stored = header == 12 || matches!(le32(head, 30), Some(0 | 3 | 6));
    Hold::framed(sound && !(is_stored && points_are_noise(sample, u64::from(offset), header == 12)))
}

fn points_are_noise(sample: &Sample, offset: u64, is_old: bool) -> bool {
    let head = sample.head();
    let (width, bits) = if is_old {
        (le16(head, 18).map(u32::from), le16(head, 24))
    } else {
        (le32(head, 18), le16(head, 28))
    };
    let (Some(width), Some(bits)) = (width, bits) else { return false };
    let row = (u64::from(width) * u64::from(bits)).div_ceil(8).max(1);
    let padded = row.next_multiple_of(4);
    // Neither what fills a row up nor the fourth byte beside three colours is part of the picture.
    let is_point = |at: u64| at % padded < row && (bits != 32 || at % 4 != 3);
    samples::are_noise(sample, slice::from_ref(&(offset..sample.len)), is_point)
}

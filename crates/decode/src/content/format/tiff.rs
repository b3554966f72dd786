//! TIFF 6.0.

use std::ops::Range;

use super::{Hold, be16, be32, le16, le32, samples};
use crate::content::Sample;

/// At most this many strips or tiles are looked for.
const STRIPS_MAX: u64 = 1024;

/// The first directory, where it can be reached, is one, and points that are stored as they are are no noise.
pub(in crate::content) fn tiff(sample: &Sample) -> Hold {
    let order = Order { little: sample.head().starts_with(b"II") };
    let Some(offset) = order.long(sample.head(), 4) else { return Hold::Framed };
    if offset < 8 || u64::from(offset) + 2 > sample.len {
        return Hold::Broken;
    }
    let directory = sample.at(u64::from(offset));
    let Some(count) = order.short(directory, 0) else { return Hold::Framed };
    let mut last = 0;
    let mut points = Points::default();
    for entry in directory.get(2..).unwrap_or_default().chunks_exact(12).take(usize::from(count)) {
        let (Some(tag), Some(kind)) = (order.short(entry, 0), order.short(entry, 2)) else { break };
        if tag < last || !(1..=18).contains(&kind) {
            return Hold::Broken;
        }
        last = tag;
        points.note(sample, &order, tag, entry);
    }
    Hold::framed((1..=512).contains(&count) && !points.are_noise(sample))
}

/// The order of bytes.
struct Order {
    little: bool,
}

impl Order {
    fn short(&self, bytes: &[u8], at: usize) -> Option<u16> {
        if self.little { le16(bytes, at) } else { be16(bytes, at) }
    }

    fn long(&self, bytes: &[u8], at: usize) -> Option<u32> {
        if self.little { le32(bytes, at) } else { be32(bytes, at) }
    }

    /// The numbers of an entry, in it or where it says, as far as they were read.
    fn numbers(&self, sample: &Sample, entry: &[u8]) -> Option<Vec<u64>> {
        let count = usize::try_from(u64::from(self.long(entry, 4)?).min(STRIPS_MAX)).ok()?;
        let width = match self.short(entry, 2)? {
            3 => 2,
            4 => 4,
            _ => return None,
        };
        let is_far = u64::from(self.long(entry, 4)?) * width as u64 > 4;
        let values = if is_far { sample.at(u64::from(self.long(entry, 8)?)) } else { entry.get(8..12)? };
        let number = |value: &[u8]| match width {
            2 => self.short(value, 0).map(u64::from),
            _ => self.long(value, 0).map(u64::from),
        };
        Some(values.chunks_exact(width).take(count).filter_map(number).collect())
    }
}

/// Where the points of the first picture stand, and how.
#[derive(Default)]
struct Points {
    /// 1 for points that are stored as they are, which is also what holds where nothing is said.
    packing: Option<u64>,
    /// Bits of one sample.
    bits: Option<u64>,
    /// Samples of one point.
    samples: Option<u64>,
    starts: Vec<u64>,
    lens: Vec<u64>,
}

impl Points {
    fn note(&mut self, sample: &Sample, order: &Order, tag: u16, entry: &[u8]) {
        let numbers = || order.numbers(sample, entry).unwrap_or_default();
        match tag {
            258 => self.bits = numbers().first().copied(),
            259 => self.packing = numbers().first().copied(),
            277 => self.samples = numbers().first().copied(),
            273 | 324 => self.starts = numbers(),
            279 | 325 => self.lens = numbers(),
            _ => {}
        }
    }

    fn are_noise(&self, sample: &Sample) -> bool {
        let mut strips: Vec<Range<u64>> = Vec::new();
        for (&start, &len) in self.starts.iter().zip(&self.lens) {
            let end = start.saturating_add(len);
            match strips.last_mut() {
                // A strip may be one row, too short to tell anything.
                Some(last) if last.end == start => last.end = end,
                _ => strips.push(start..end),
            }
        }
        // The fourth byte beside three colours says how far one sees through them.
        let has_fourth = self.bits == Some(8) && self.samples == Some(4);
        self.packing.unwrap_or(1) == 1 && samples::are_noise(sample, &strips, |at| !has_fourth || at % 4 != 3)
    }
}

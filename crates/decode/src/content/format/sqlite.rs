//! SQLite (<https://www.sqlite.org/fileformat2.html>): a header, then pages of which each says what it is.

use std::ops::Range;

use super::{Hold, be16, be32, exactly};
use crate::content::Sample;

const PAGES_MAX: u64 = 512;

/// Whether the pages in `changed` places, or those that were read, are pages.
pub(in crate::content) fn sqlite(sample: &Sample, changed: &[Range<u64>]) -> Hold {
    let head = sample.head();
    let size = match be16(head, 16) {
        Some(1) => 65_536u64,
        Some(size) if size >= 512 && size.is_power_of_two() => u64::from(size),
        _ => return Hold::Broken,
    };
    let fractions = head.get(21..24).is_some_and(|fractions| fractions != [64, 32, 32]);
    let usable = size - u64::from(head.get(20).copied().unwrap_or(0));
    if fractions || usable < 480 || sample.len < size {
        return Hold::Broken;
    }
    let count = (sample.len / size).max(1);
    let within = |range: &Range<u64>| range.start / size..range.end.div_ceil(size);
    let (mut checked, mut broken) = (0, 0);
    let read = sample.chunks.iter().map(|chunk| chunk.offset..chunk.offset + chunk.bytes.len() as u64);
    // Only what was read can be looked at, however far the changes reach.
    let read: Vec<Range<u64>> = if changed.is_empty() {
        read.collect()
    } else {
        read.flat_map(|read| {
            let within = |range: &Range<u64>| range.start.max(read.start)..range.end.min(read.end);
            changed.iter().map(within).filter(|range| !range.is_empty()).collect::<Vec<_>>()
        })
        .collect()
    };
    for page in read.iter().flat_map(within) {
        let Some(bytes) = usize::try_from(size).ok().and_then(|len| exactly(sample, page * size, len)) else {
            continue;
        };
        checked += 1;
        broken += u64::from(!is_page(bytes, page, count, usable));
        if checked >= PAGES_MAX {
            break;
        }
    }
    if checked == 0 { Hold::Framed } else { Hold::opened(broken * 4 <= checked) }
}

fn is_page(page: &[u8], number: u64, count: u64, usable: u64) -> bool {
    let start = if number == 0 { 100 } else { 0 };
    let header = page.get(start..).unwrap_or_default();
    let tree = |interior: bool| {
        let (Some(free), Some(cells), Some(content)) = (be16(header, 1), be16(header, 3), be16(header, 5))
        else {
            return false;
        };
        let pointers = (start + if interior { 12 } else { 8 }) as u64 + 2 * u64::from(cells);
        let content = if content == 0 { 65_536 } else { u64::from(content) };
        u64::from(free) < usable && pointers <= content && content <= usable.max(65_536.min(usable))
    };
    let known = |at| be32(page, at).is_some_and(|next| u64::from(next) <= count);
    match header.first() {
        Some(2 | 5) if tree(true) => true,
        Some(10 | 13) if tree(false) => true,
        // A pointer map: five bytes for each page.
        Some(1..=5) if number > 0 && known(1) => true,
        // An overflow page or a trunk of the free list: the number of the next one first.
        _ => number > 0 && known(0),
    }
}

//! The compound files of older office programs ([MS-CFB]).

use memchr::memmem;

use super::{Hold, exactly, le16, le32};
use crate::content::Sample;

const FREE: u32 = 0xffff_fffa;

/// Header, and a directory where the header says.
pub(in crate::content) fn ole(sample: &Sample) -> Hold {
    let head = sample.head();
    let numbers = (le16(head, 26), le16(head, 28), le16(head, 30), le16(head, 32));
    let (Some(version), Some(order), Some(shift), Some(mini)) = numbers else { return Hold::Framed };
    if !matches!((version, shift), (3, 9) | (4, 12)) || order != 0xfffe || mini != 6 {
        return Hold::Broken;
    }
    let Some(directory) = le32(head, 48) else { return Hold::Framed };
    let size = 1usize << shift;
    let at = (u64::from(directory) + 1) << shift;
    if directory >= FREE || at >= sample.len {
        return Hold::Broken;
    }
    let Some(entries) = exactly(sample, at, size) else { return Hold::Framed };
    // "Root Entry" in UTF-16, of type 5.
    let root = entries.get(66) == Some(&5) && entries.get(1) == Some(&0);
    let is_package = memmem::find(entries, b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0").is_some();
    match (root, is_package) {
        (false, _) => Hold::Broken,
        (true, true) => Hold::Sealed,
        (true, false) => Hold::Framed,
    }
}

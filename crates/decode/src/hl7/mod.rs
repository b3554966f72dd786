//! HL7 v2 messages as SS-MIX2 storage holds them (HL7 v2.5, ISO-2022-JP, CR between segments).
//!
//! The text is decoded as a whole first and split after, since the bytes of `|^~\&` occur inside kanji. A
//! [`Message`] owns its decoded text; [`Segment`], [`Field`] and [`Component`] borrow from it and split when
//! they are asked, so parsing costs one pass whatever is read afterwards.

mod charset;
mod message;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use charset::Charset;
pub use message::{MAX_BYTES, MAX_FIELDS, MAX_SEGMENTS, Message};
pub use time::{date, datetime};
pub use value::{Component, Field, Segment};

/// Whether `bytes` begin as every valid record does: the cheap tripwire for content that was overwritten.
pub fn looks_like_record(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MSH|")
}

//! Texts that spell noise.
//!
//! Whatever writes noise as text uses the characters of its alphabet equally often, be it base64, hexadecimal, base85, uuencode or
//! an alphabet that nobody else uses; language, records and even packed tables never do. So nothing has to be decoded, and no list of
//! encodings has to be complete.

use super::{Histogram, Sample};

/// This much of a text tells enough.
const LOOKED_AT_MAX: usize = 128 * 1024;
/// No word, number or path is as long as the lines of these encodings.
const RUN_MIN: usize = 20;

/// Whether nearly all of a text is noise in writing.
pub(super) fn spells_noise(sample: &Sample) -> bool {
    let (mut runs, mut all) = (Histogram::default(), Histogram::default());
    let mut left = LOOKED_AT_MAX;
    for chunk in &sample.chunks {
        let bytes = chunk.bytes.get(..chunk.bytes.len().min(left)).unwrap_or_default();
        left -= bytes.len();
        for word in bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            all.add(word.iter().copied());
            // The ends are left out: uuencode writes a line's length there, others quotes and commas.
            if word.len() >= RUN_MIN {
                runs.add(word.get(1..word.len() - 1).unwrap_or_default().iter().copied());
            }
        }
    }
    all.is_even() || (runs.total() * 10 >= all.total() * 8 && runs.is_even())
}

//! Entropy, chi-square, and the comparison of a file with what it was.

use super::Sample;

const BLOCK: usize = 128;

/// How often each byte value occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; 256],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; 256], total: 0 }
    }
}

impl Histogram {
    /// Counts more bytes.
    pub fn add(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            if let Some(count) = self.counts.get_mut(usize::from(byte)) {
                *count += 1;
                self.total += 1;
            }
        }
    }

    /// Bytes counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Shannon entropy in bits per byte; 0 for nothing.
    pub fn entropy(&self) -> f32 {
        let total = self.total as f64;
        let bits: f64 = self
            .counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| count as f64 / total)
            .map(|share| -share * share.log2())
            .sum();
        bits as f32
    }

    /// Chi-square against the uniform distribution, divided by the 255 degrees of freedom: 1 ± 0.09 for noise of any
    /// length, far above for text and structure. 0 for nothing.
    pub fn chi2(&self) -> f32 {
        if self.total == 0 {
            return 0.0;
        }
        let expected = self.total as f64 / 256.0;
        let chi2: f64 = self.counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        (chi2 / 255.0) as f32
    }
}

/// What [`compare`] found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Bytes at offsets that both samples cover.
    pub compared: u64,
    /// Bytes in changed blocks.
    pub changed: u64,
    /// The original's bytes in changed blocks.
    pub before: Histogram,
    /// The present bytes in changed blocks.
    pub after: Histogram,
    /// Original XOR present in changed blocks: uniform when either side is noise that the other does not explain, far from it when
    /// text became other text.
    pub xor: Histogram,
}

/// Compares two samples at equal offsets, block by block. A block counts as changed when a quarter of its bytes or more
/// differ; whole blocks are counted, with bytes that happen to be equal, because leaving those out would bend the distributions.
pub fn compare(before: &Sample, after: &Sample) -> Comparison {
    let mut found = Comparison::default();
    for old in &before.chunks {
        for new in &after.chunks {
            let start = old.offset.max(new.offset);
            let old = old.bytes.get(skip(start, old.offset)..).unwrap_or_default();
            let new = new.bytes.get(skip(start, new.offset)..).unwrap_or_default();
            for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
                found.block(old, new);
            }
        }
    }
    found
}

impl Comparison {
    fn block(&mut self, old: &[u8], new: &[u8]) {
        let len = old.len().min(new.len());
        let pairs = || old.iter().copied().zip(new.iter().copied());
        let different = pairs().filter(|(old, new)| old != new).count();
        self.compared += len as u64;
        if different == 0 || different * 4 < len {
            return;
        }
        self.changed += len as u64;
        self.before.add(pairs().map(|(old, _)| old));
        self.after.add(pairs().map(|(_, new)| new));
        self.xor.add(pairs().map(|(old, new)| old ^ new));
    }
}

fn skip(start: u64, offset: u64) -> usize {
    usize::try_from(start - offset).unwrap_or(usize::MAX)
}

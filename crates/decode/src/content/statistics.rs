//! Entropy, chi-square, and the comparison of a file with what it was.

use std::ops::Range;

use super::Sample;

/// What differs is looked for in blocks of this size: an encryptor may take 64 bytes here and there,
const BLOCK: usize = 32;
/// noise in windows of this one, and equal stretches are passed over in pages of that.
const WINDOW: usize = 1024;
const PAGE: usize = 4096;
/// Statistics are taken of at most this many changed windows, spread over all of them.
const WINDOWS_MAX: usize = 384;
/// More places than these are run together.
const RANGES_MAX: usize = 64;

/// Noise has a chi-square of 1 for each degree of freedom, with a standard deviation of the square root of 2 by their number,
/// whatever its length: this many of them are allowed for.
const DEVIATIONS_MAX: f64 = 5.0;
/// Fewer characters than these are no alphabet.
const ALPHABET_MIN: usize = 8;

/// How often each byte value occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; 256],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; 256], total: 0 }
    }
}

impl Histogram {
    /// Counts more bytes, up to four thousand million of each value.
    pub fn add(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            if let Some(count) = self.counts.get_mut(usize::from(byte)) {
                *count = count.saturating_add(1);
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
            .map(|&count| f64::from(count) / total)
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
        let chi2: f64 =
            self.counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        (chi2 / 255.0) as f32
    }

    /// Whether it may be noise: all values equally often, or all characters of a smaller alphabet, apart from one that pads and a few
    /// that separate. A mere sequence is too even to be noise.
    pub fn is_even(&self) -> bool {
        (self.total >= 96 && self.is_uniform()) || self.has_even_alphabet()
    }

    /// Whether all values of a byte occur as often as they do in noise.
    pub fn is_uniform(&self) -> bool {
        self.total > 0 && is_noise(f64::from(self.chi2()), 255.0)
    }

    /// Whether it may be noise in an alphabet smaller than all bytes.
    pub fn has_even_alphabet(&self) -> bool {
        let mut counts: Vec<u64> =
            self.counts.iter().filter(|&&count| count > 0).map(|&count| u64::from(count)).collect();
        counts.sort_unstable();
        if counts.len() > 2 && counts[counts.len() - 1] > 3 * counts[counts.len() - 2] {
            counts.pop();
        }
        let sum: u64 = counts.iter().sum();
        let mean = sum / counts.len().max(1) as u64;
        let mut rare = 0;
        let separators = counts.iter().take_while(|&&count| {
            rare += count;
            count * 4 < mean && rare * 50 <= sum
        });
        let used = counts.get(separators.count()..).unwrap_or_default();
        let sum: u64 = used.iter().sum();
        let enough = (5 * used.len() as u64).max(256);
        if used.len() < ALPHABET_MIN || sum < enough {
            return false;
        }
        let expected = sum as f64 / used.len() as f64;
        let chi2: f64 = used.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        let freedom = (used.len() - 1) as f64;
        is_noise(chi2 / freedom, freedom)
    }
}

fn is_noise(chi2: f64, freedom: f64) -> bool {
    (chi2 - 1.0).abs() <= DEVIATIONS_MAX * (2.0 / freedom).sqrt()
}

/// What [`compare`] found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Bytes at offsets that both samples cover.
    pub compared: u64,
    /// Bytes that differ.
    pub differing: u64,
    /// Bytes in changed blocks.
    pub changed: u64,
    /// Where the changed blocks lie, in order; places near each other are run together when there are many.
    pub ranges: Vec<Range<u64>>,
    /// The original's bytes in changed blocks, or in as many of them as tell enough; so are the next two.
    pub before: Histogram,
    /// The present bytes in changed blocks.
    pub after: Histogram,
    /// Original XOR present in changed blocks: uniform when either side is noise that the other does not explain, far from it when
    /// text became other text.
    pub xor: Histogram,
    /// Bytes in changed windows that were noise, as far as windows were looked at.
    pub noise_before: u64,
    /// Bytes in the same windows that are noise now.
    pub noise_after: u64,
}

/// Compares two samples at equal offsets, block by block. A block counts as changed when a quarter of its bytes or more
/// differ; whole blocks are counted, with bytes that happen to be equal, because leaving those out would bend the distributions.
pub fn compare(before: &Sample, after: &Sample) -> Comparison {
    let mut found = Comparison::default();
    let mut windows = Vec::new();
    for chunk in &before.chunks {
        let end = chunk.offset + chunk.bytes.len() as u64;
        for new in after.chunks.iter().filter(|new| new.offset < end) {
            let start = chunk.offset.max(new.offset);
            let old = chunk.bytes.get(skip(start, chunk.offset)..).unwrap_or_default();
            let new = new.bytes.get(skip(start, new.offset)..).unwrap_or_default();
            found.stretch(start, old, new, &mut windows);
        }
    }
    // Evenly spread, so that noise in one part is met however much else was changed.
    let step = windows.len().div_ceil(WINDOWS_MAX).max(1);
    for (old, new) in windows.iter().step_by(step) {
        found.window(old, new);
    }
    found
}

impl Comparison {
    fn stretch<'a>(
        &mut self,
        start: u64,
        old: &'a [u8],
        new: &'a [u8],
        windows: &mut Vec<(&'a [u8], &'a [u8])>,
    ) {
        self.compared += old.len().min(new.len()) as u64;
        for (page, (old, new)) in old.chunks(PAGE).zip(new.chunks(PAGE)).enumerate() {
            let len = old.len().min(new.len());
            let (old, new) = (old.get(..len).unwrap_or_default(), new.get(..len).unwrap_or_default());
            if old == new {
                continue;
            }
            for (at, (old, new)) in old.chunks(WINDOW).zip(new.chunks(WINDOW)).enumerate() {
                let offset = start + (page * PAGE + at * WINDOW) as u64;
                if self.blocks(offset, old, new) {
                    windows.push((old, new));
                }
            }
        }
    }

    /// Counts what differs; says whether anything changed.
    fn blocks(&mut self, offset: u64, old: &[u8], new: &[u8]) -> bool {
        let before = self.changed;
        for (at, (old, new)) in old.chunks(BLOCK).zip(new.chunks(BLOCK)).enumerate() {
            let different = differing(old, new);
            self.differing += different as u64;
            if is_changed(different, old.len()) {
                self.changed += old.len() as u64;
                let from = offset + (at * BLOCK) as u64;
                self.range(from..from + old.len() as u64);
            }
        }
        self.changed > before
    }

    fn range(&mut self, range: Range<u64>) {
        let full = self.ranges.len() >= RANGES_MAX;
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start || full => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    fn window(&mut self, old: &[u8], new: &[u8]) {
        let (mut was, mut is) = (Histogram::default(), Histogram::default());
        let mut bytes = 0;
        for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
            if is_changed(differing(old, new), old.len()) {
                bytes += old.len();
                was.add(old.iter().copied());
                is.add(new.iter().copied());
                self.xor.add(old.iter().zip(new).map(|(old, new)| old ^ new));
            }
        }
        if bytes * 2 >= WINDOW {
            let noise = |histogram: &Histogram| is_noise(f64::from(histogram.chi2()), 255.0);
            self.noise_before += if noise(&was) { bytes as u64 } else { 0 };
            self.noise_after += if noise(&is) { bytes as u64 } else { 0 };
        }
        self.before.join(&was);
        self.after.join(&is);
    }
}

impl Histogram {
    fn join(&mut self, other: &Self) {
        self.total += other.total;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }
}

fn differing(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).filter(|(old, new)| old != new).count()
}

fn is_changed(different: usize, len: usize) -> bool {
    different > 0 && different * 4 >= len
}

fn skip(start: u64, offset: u64) -> usize {
    usize::try_from(start - offset).unwrap_or(usize::MAX)
}

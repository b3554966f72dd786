//! The sample hospital's chance: one stream of random numbers for each patient, drawn from the hospital's seed and
//! the patient's number alone, so that neither threads nor the number of patients change who anybody is.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Part of every seed: a change to the generator that should give a new hospital for old seeds changes it.
const GENERATION: u64 = 1;

/// One patient's random numbers. Integers only: floating point functions differ between machines.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The numbers of patient `index` in the hospital of `seed`.
    pub(super) fn new(seed: u64, index: u32) -> Self {
        // Written out byte by byte rather than through `seed_from_u64`, whose mixing is the library's to change.
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..12].copy_from_slice(&index.to_le_bytes());
        bytes[16..24].copy_from_slice(&GENERATION.to_le_bytes());
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u128::from(high.abs_diff(low)) + 1;
        let offset = (u128::from(self.0.next_u64()) * span) >> 64;
        low + i64::try_from(offset).unwrap_or(0)
    }

    /// Whether something that happens `percent` times in a hundred happens now.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.between(0, 99) < percent
    }

    /// One of `items`, each as likely as the others.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// One of `items`, the early ones more likely: for lists in the order of how common things are.
    pub(super) fn pick_early<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let first = self.index(items.len());
        &items[first.min(self.index(items.len()))]
    }

    /// A deviation around 0: near `spread` about as often as a normal distribution of that standard deviation.
    pub(super) fn bell(&mut self, spread: i64) -> i64 {
        // The sum of four uniform numbers of ±0.866 σ has a standard deviation of σ.
        let width = spread.abs() * 866;
        let sum: i64 = (0..4).map(|_| self.between(-width, width)).sum();
        sum / 1000
    }

    fn index(&mut self, len: usize) -> usize {
        let last = i64::try_from(len).unwrap_or(i64::MAX) - 1;
        usize::try_from(self.between(0, last)).unwrap_or(0)
    }
}

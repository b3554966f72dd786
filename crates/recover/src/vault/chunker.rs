//! Content-defined chunking as restic does it: a Rabin fingerprint over a window of 64 bytes with a random irreducible polynomial
//! of degree 53 that each repository draws for itself. A chunk ends where the lowest 20 bits of the fingerprint are zero.

use super::crypto::random;
use crate::Error;

/// No chunk but a file's last is shorter.
pub(crate) const MIN: usize = 512 << 10;
/// No chunk is longer.
pub(crate) const MAX: usize = 8 << 20;
const WINDOW: usize = 64;
const MASK: u64 = (1 << 20) - 1;
const DEGREE: u32 = 53;
/// Bytes that one of the interleaved scans covers before the results are compared.
const LANE: usize = 4096;

/// A polynomial over GF(2), its coefficients the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Polynomial(pub(crate) u64);

impl Polynomial {
    /// A random irreducible polynomial of degree 53.
    pub(crate) fn draw() -> Result<Polynomial, Error> {
        loop {
            let mut bytes = [0; 8];
            random(&mut bytes)?;
            let bits = u64::from_le_bytes(bytes) & ((1 << DEGREE) - 1);
            let candidate = Polynomial(bits | 1 << DEGREE | 1);
            if candidate.is_irreducible() {
                return Ok(candidate);
            }
        }
    }

    /// Whether a config's polynomial can be chunked with.
    pub(crate) fn is_usable(self) -> bool {
        self.degree() == Some(DEGREE) && self.is_irreducible()
    }

    fn degree(self) -> Option<u32> {
        self.0.checked_ilog2()
    }

    /// Ben-Or's test: no polynomial of at most half the degree divides it.
    fn is_irreducible(self) -> bool {
        let Some(degree) = self.degree() else { return false };
        let mut power = 2; // x
        for _ in 0..degree / 2 {
            power = self.square_mod(power);
            if gcd(self.0, power ^ 2) != 1 {
                return false;
            }
        }
        degree > 0
    }

    fn square_mod(self, a: u64) -> u64 {
        let mut product = 0u128;
        for bit in 0..64 {
            product |= u128::from(a >> bit & 1) << (2 * bit);
        }
        let degree = self.0.ilog2();
        while product != 0 && product.ilog2() >= degree {
            product ^= u128::from(self.0) << (product.ilog2() - degree);
        }
        product as u64
    }

    fn reduce(self, mut a: u64) -> u64 {
        while a != 0 && a.ilog2() >= self.0.ilog2() {
            a ^= self.0 << (a.ilog2() - self.0.ilog2());
        }
        a
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, Polynomial(b).reduce(a));
    }
    a
}

/// The tables of one polynomial, made once for each vault.
pub(crate) struct Chunker {
    /// What a byte contributes when it leaves the window.
    out: [u64; 256],
    /// What brings a fingerprint back below degree 53.
    reduce: [u64; 256],
}

/// Where the search for the end of the current chunk stands, so that no byte is looked at twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scan {
    position: usize,
}

impl Chunker {
    pub(crate) fn new(polynomial: Polynomial) -> Chunker {
        let mut out = [0; 256];
        let mut reduce = [0; 256];
        for byte in 0..256u64 {
            let mut hash = polynomial.reduce(byte);
            for _ in 0..WINDOW - 1 {
                hash = polynomial.reduce(hash << 8);
            }
            out[byte as usize] = hash;
            reduce[byte as usize] = polynomial.reduce(byte << DEGREE) | byte << DEGREE;
        }
        Chunker { out, reduce }
    }

    /// The length of the first chunk of `bytes`, if its end is among them. `scan` must be new for each chunk.
    pub(crate) fn cut(&self, scan: &mut Scan, bytes: &[u8]) -> Option<usize> {
        let end = bytes.len().min(MAX);
        let mut position = scan.position.max(MIN);
        if end < MIN {
            return None;
        }
        if scan.position == 0 && self.fingerprint(&bytes[MIN - WINDOW..MIN]) & MASK == 0 {
            return Some(MIN);
        }
        while position < end {
            let found = if end - position >= 4 * LANE {
                self.scan_lanes(bytes, position)
            } else {
                self.scan_to(bytes, position, end)
            };
            if let Some(cut) = found {
                return Some(cut);
            }
            position = if end - position >= 4 * LANE { position + 4 * LANE } else { end };
        }
        scan.position = end;
        (end == MAX).then_some(MAX)
    }

    fn fingerprint(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |digest, byte| self.push(digest, *byte))
    }

    fn push(&self, digest: u64, byte: u8) -> u64 {
        let index = (digest >> (DEGREE - 8)) as u8;
        (digest << 8 | u64::from(byte)) ^ self.reduce[index as usize]
    }

    fn slide(&self, digest: u64, leaving: u8, entering: u8) -> u64 {
        self.push(digest ^ self.out[leaving as usize], entering)
    }

    fn scan_to(&self, bytes: &[u8], from: usize, to: usize) -> Option<usize> {
        let mut digest = self.fingerprint(&bytes[from - WINDOW..from]);
        for (step, (entering, leaving)) in bytes[from..to].iter().zip(&bytes[from - WINDOW..]).enumerate() {
            digest = self.slide(digest, *leaving, *entering);
            if digest & MASK == 0 {
                return Some(from + step + 1);
            }
        }
        None
    }

    /// Four scans side by side: each step waits for a table look-up, and four of them can wait at once.
    fn scan_lanes(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let lane = |n: usize| {
            let start = from + n * LANE;
            (&bytes[start..start + LANE], &bytes[start - WINDOW..start + LANE - WINDOW])
        };
        let ((e0, l0), (e1, l1), (e2, l2), (e3, l3)) = (lane(0), lane(1), lane(2), lane(3));
        let mut digests = [0, 1, 2, 3].map(|n| {
            let start = from + n * LANE;
            self.fingerprint(&bytes[start - WINDOW..start])
        });
        let mut first = [None; 4];
        for step in 0..LANE {
            digests[0] = self.slide(digests[0], l0[step], e0[step]);
            digests[1] = self.slide(digests[1], l1[step], e1[step]);
            digests[2] = self.slide(digests[2], l2[step], e2[step]);
            digests[3] = self.slide(digests[3], l3[step], e3[step]);
            for n in 0..4 {
                if digests[n] & MASK == 0 && first[n].is_none() {
                    first[n] = Some(from + n * LANE + step + 1);
                }
            }
        }
        first.into_iter().flatten().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Source;

    /// A small generator, so that the samples are the same everywhere.
    mod rand {
        pub(super) struct Source(pub(super) u64);
        impl Source {
            pub(super) fn fill(&mut self, length: usize) -> Vec<u8> {
                (0..length)
                    .map(|_| {
                        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        (self.0 >> 56) as u8
                    })
                    .collect()
            }
        }
    }

    fn chunker() -> Chunker {
        Chunker::new(Polynomial(0x3DA3358B4DC173))
    }

    fn lengths(chunker: &Chunker, bytes: &[u8], block: usize) -> Vec<usize> {
        let (mut rest, mut lengths) = (bytes, Vec::new());
        while !rest.is_empty() {
            let mut scan = Scan::default();
            let mut seen = 0;
            let length = loop {
                seen = (seen + block).min(rest.len());
                match chunker.cut(&mut scan, &rest[..seen]) {
                    Some(cut) => break cut,
                    None if seen == rest.len() => break seen,
                    None => {}
                }
            };
            lengths.push(length);
            rest = &rest[length..];
        }
        lengths
    }

    #[test]
    fn polynomials_that_can_be_factored_are_told_apart() {
        // The first is the one of restic's own tests; x^53 + 1 has the factor x + 1.
        for (bits, expected) in [
            (0x3DA3358B4DC173, true),
            (0x3f4f6cae0832ab, true),
            (1 << 53 | 1, false),
            (0x3DA3358B4DC175, false),
        ] {
            assert_eq!(Polynomial(bits).is_usable(), expected, "{bits:x}");
        }
        assert!(Polynomial::draw().unwrap().is_usable());
    }

    #[test]
    fn zeros_are_cut_as_early_as_may_be_and_nothing_is_longer_than_the_maximum() {
        assert_eq!(lengths(&chunker(), &vec![0; 3 * MIN + 5], 1 << 20), [MIN, MIN, MIN, 5]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn chunks_are_the_same_however_the_bytes_arrive_and_after_an_insertion(
            seed in any::<u64>(), block in 1000usize..3_000_000, insert in 0usize..2_000_000,
        ) {
            let mut bytes = Source(seed).fill(12 << 20);
            let all = lengths(&chunker(), &bytes, bytes.len());
            prop_assert_eq!(all.iter().sum::<usize>(), bytes.len());
            prop_assert!(all.iter().rev().skip(1).all(|l| (MIN..=MAX).contains(l)));
            prop_assert_eq!(&lengths(&chunker(), &bytes, block), &all);

            let ends = |lengths: &[usize]| lengths.iter().rev().scan(0, |sum, l| { *sum += l; Some(*sum) }).collect::<Vec<_>>();
            let before = ends(&all);
            bytes.insert(insert, 7);
            let after = ends(&lengths(&chunker(), &bytes, block));
            // Counted from the end, the last boundaries are those from before the insertion.
            let kept = before.iter().filter(|end| after.contains(end)).count();
            prop_assert!(kept * 2 >= before.len(), "{} of {}", kept, before.len());
        }
    }
}

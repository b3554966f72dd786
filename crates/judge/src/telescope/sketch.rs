use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits that choose a register.
const INDEX_BITS: u32 = 10;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that are left for the rank: with 32-bit hashes the estimate holds far beyond the number of sources that scan.
const RANK_BITS: u32 = 32 - INDEX_BITS;

/// So many different addresses are counted exactly: as many hashes take as much room as the registers.
pub const EXACT_MAX: usize = 256;
/// Standard error beyond that: 1.04/√1024.
pub const RELATIVE_ERROR: f64 = 0.0325;

/// How many different addresses were seen: a HyperLogLog (Flajolet 2007) of 1024 registers with Ertl's estimator (2017, arXiv
/// 1702.01284), and the hashes themselves as long as there are few.
///
/// Merging two sketches gives that of both sets, in whatever order. At most a kilobyte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sketch {
    /// Hashes in order: exact but for collisions, one in 100,000 full sets.
    Few(Vec<u32>),
    /// The highest rank of each register.
    Many(Box<[u8; REGISTERS]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch::Few(Vec::new())
    }
}

impl Sketch {
    /// Counts an address.
    pub fn add(&mut self, address: IpAddr) {
        self.add_hash(hash(address));
    }

    /// Takes in what another one counted.
    pub fn merge(&mut self, other: &Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Few(hashes)) => hashes.iter().for_each(|hash| self.add_hash(*hash)),
            (Sketch::Many(own), Sketch::Many(registers)) => {
                for (own, other) in own.iter_mut().zip(registers.iter()) {
                    *own = (*own).max(*other);
                }
            }
            (Sketch::Few(hashes), Sketch::Many(registers)) => {
                let mut merged = registers.clone();
                hashes.iter().for_each(|hash| raise(&mut merged, *hash));
                *self = Sketch::Many(merged);
            }
        }
    }

    /// How many different addresses there were.
    pub fn count(&self) -> u64 {
        match self {
            Sketch::Few(hashes) => hashes.len() as u64,
            Sketch::Many(registers) => estimate(registers).round() as u64,
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        matches!(self, Sketch::Few(hashes) if hashes.is_empty())
    }

    fn add_hash(&mut self, hash: u32) {
        match self {
            Sketch::Many(registers) => raise(registers, hash),
            Sketch::Few(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                if hashes.len() < EXACT_MAX {
                    hashes.insert(place, hash);
                    return;
                }
                let mut registers = Box::new([0; REGISTERS]);
                hashes.iter().for_each(|hash| raise(&mut registers, *hash));
                raise(&mut registers, hash);
                *self = Sketch::Many(registers);
            }
        }
    }
}

fn raise(registers: &mut [u8; REGISTERS], hash: u32) {
    let rank = ((hash << INDEX_BITS).leading_zeros().min(RANK_BITS) + 1) as u8;
    if let Some(register) = registers.get_mut((hash >> RANK_BITS) as usize) {
        *register = (*register).max(rank);
    }
}

/// The same on every machine and in every version, since sketches are kept for years: MurmurHash3's finalizer over the address.
fn hash(address: IpAddr) -> u32 {
    let mix = |mut x: u64| {
        x ^= x >> 33;
        x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
        x ^= x >> 33;
        x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    };
    let mixed = match address {
        IpAddr::V4(it) => mix(u64::from(u32::from(it)) ^ 0x9e37_79b9_7f4a_7c15),
        IpAddr::V6(it) => {
            let bits = u128::from(it);
            mix(mix((bits >> 64) as u64).wrapping_add(bits as u64))
        }
    };
    (mixed >> 32) as u32
}

/// Ertl's improved raw estimator (algorithm 6): unbiased from zero on, without tables.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let mut of_rank = [0u32; RANK_BITS as usize + 2];
    for rank in registers {
        if let Some(count) = of_rank.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    let share = |rank: usize| f64::from(of_rank.get(rank).copied().unwrap_or(0)) / m;
    let top = RANK_BITS as usize + 1;
    let mut z = m * tau(1.0 - share(top));
    for rank in (1..top).rev() {
        z = 0.5 * (z + share(rank) * m);
    }
    z += m * sigma(share(0));
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

/// `f` and eight hexadecimal digits for each hash, or `m` and a letter for each register: lines stay text, and pack well.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        match self {
            Sketch::Few(hashes) => {
                text.push('f');
                hashes.iter().for_each(|hash| text.push_str(&format!("{hash:08x}")));
            }
            Sketch::Many(registers) => {
                text.push('m');
                registers.iter().for_each(|rank| text.push(char::from(b'a' + rank)));
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(text.as_bytes()).ok_or_else(|| D::Error::custom("this is no sketch"))
    }
}

fn parse(text: &[u8]) -> Option<Sketch> {
    match text.split_first()? {
        (b'f', digits) if digits.len() <= EXACT_MAX * 8 && digits.len().is_multiple_of(8) => {
            let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
            let hashes = digits.chunks(8).map(number).collect::<Option<Vec<u32>>>()?;
            hashes.is_sorted_by(|a, b| a < b).then_some(Sketch::Few(hashes))
        }
        (b'm', letters) => {
            let mut registers = Box::new(<[u8; REGISTERS]>::try_from(letters).ok()?);
            for register in registers.iter_mut() {
                *register = register.checked_sub(b'a').filter(|rank| u32::from(*rank) <= RANK_BITS + 1)?;
            }
            Some(Sketch::Many(registers))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn of(range: std::ops::Range<u32>) -> Sketch {
        let mut sketch = Sketch::default();
        range.for_each(|n| sketch.add(Ipv4Addr::from(n.wrapping_mul(2_654_435_761)).into()));
        sketch
    }

    #[test]
    fn small_sets_are_exact_and_large_ones_within_four_standard_errors() {
        for n in [0, 1, 2, 100, 255, 256] {
            assert_eq!(of(0..n).count(), u64::from(n));
        }
        for n in [257, 1_000, 3_000, 10_000, 100_000, 1_000_000] {
            let off = of(0..n).count() as f64 / f64::from(n) - 1.0;
            assert!(off.abs() < 4.0 * RELATIVE_ERROR, "{n}: {off}");
        }
    }

    #[test]
    fn the_stated_error_is_the_measured_one() {
        let runs = 60;
        let square = |run: u32| {
            let n = 20_000;
            (of(run * n..(run + 1) * n).count() as f64 / f64::from(n) - 1.0).powi(2)
        };
        let error = ((0..runs).map(square).sum::<f64>() / f64::from(runs)).sqrt();
        assert!((0.6 * RELATIVE_ERROR..1.4 * RELATIVE_ERROR).contains(&error), "{error}");
    }

    #[test]
    fn merging_is_counting_together_in_any_order() {
        for (a, b) in
            [(0..10, 5..20), (0..200, 100..300), (0..5_000, 10..20), (7..90, 0..40_000), (0..900, 500..4_000)]
        {
            let (mut one, mut other) = (of(a.clone()), of(b.clone()));
            one.merge(&of(b.clone()));
            other.merge(&of(a.clone()));
            let both = of(a.start.min(b.start)..a.end.max(b.end));
            assert_eq!((&one, &other), (&both, &both), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_sketch_is_read_as_it_was_written_and_nothing_else_is() {
        for sketch in [of(0..0), of(0..3), of(0..256), of(0..9_000)] {
            let text = serde_json::to_string(&sketch).unwrap();
            assert_eq!(serde_json::from_str::<Sketch>(&text).unwrap(), sketch);
        }
        let long = format!("f{}", "0".repeat(8 * 300));
        for bad in ["", "x", "f0", "f0000000g", "f0000000200000001", "mabc", "fあああ", long.as_str()] {
            assert!(serde_json::from_str::<Sketch>(&format!("{bad:?}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn neighbouring_addresses_of_version_6_count_apart() {
        let mut sketch = Sketch::default();
        (0..200u128).for_each(|n| sketch.add(Ipv6Addr::from(0x3fff_u128 << 112 | n).into()));
        assert_eq!(sketch.count(), 200);
    }
}

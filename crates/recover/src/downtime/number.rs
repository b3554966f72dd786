//! Numbers of downtime forms, and the code of a known patient: what the QR codes on paper hold.
//!
//! A number is `1122-K7QX-3M4P-TR`: month and day of printing, eight random symbols (40 bits), two check symbols. No machine asks
//! another for one. Forms that share a month and day collide with a probability of n²/2⁴¹: below 1 in 2,000,000 for 1,000 forms,
//! below 1 in 20,000 for 10,000.
//!
//! The symbols are Crockford's base 32, which has no I, L, O and U. The check symbols are those of a shortened Reed-Solomon code over
//! GF(32) with distance 3: **any two wrong symbols** are noticed, so each single error, each transposition of two symbols however
//! far apart, and each twin error; of all other garbled numbers 1 in 1,024 passes at most.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use schema::PatientId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DATE: usize = 4;
const DRAWN: usize = 8;
const LENGTH: usize = DATE + DRAWN + 2;
/// Longest text that is looked at; a scanner's or a person's spaces fit in.
const TEXT_BYTES_MAX: usize = 200;

/// A number that its check symbols confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Number([u8; LENGTH]);

/// Why a text is no number of a downtime form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberFault {
    /// Letters are missing, or there are more than the fourteen.
    #[error("a downtime number has 14 letters and digits, this has {0}")]
    Length(usize),
    /// A letter that no number holds.
    #[error("{0:?} stands in no downtime number")]
    Symbol(char),
    /// It was misread, misheard or mistyped.
    #[error("the check letters do not fit: a letter is wrong, or two are swapped")]
    Check,
    /// Month or day do not exist.
    #[error("the number does not begin with a month and a day")]
    Day,
}

impl Number {
    /// A new number for a form printed on `day`. The caller draws the 40 bits, from the system's generator.
    pub fn new(day: Date, drawn: [u8; 5]) -> Number {
        let mut symbols = [0; LENGTH];
        let (month, of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        symbols[..DATE].copy_from_slice(&[month / 10, month % 10, of_month / 10, of_month % 10]);
        let bits = drawn.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for (place, symbol) in symbols[DATE..DATE + DRAWN].iter_mut().enumerate() {
            *symbol = (bits >> (5 * (DRAWN - 1 - place)) & 31) as u8;
        }
        // With c₀ and c₁ for the last two symbols: c₀ + c₁ = s₁ and αc₀ + c₁ = s₂ (see `sums`).
        let (one, two) = sums(&symbols);
        let first = times(one ^ two, INVERSE_OF_ALPHA_PLUS_ONE);
        symbols[LENGTH - 2] = first;
        symbols[LENGTH - 1] = one ^ first;
        Number(symbols)
    }
}

/// In groups of four: `1122-K7QX-3M4P-TR`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, symbol) in self.0.iter().enumerate() {
            if place > 0 && place.is_multiple_of(4) {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(SYMBOLS[usize::from(*symbol)]))?;
        }
        Ok(())
    }
}

/// Takes what people type and scanners read: small letters, full-width ones, `O` for 0, `I` and `L` for 1, any hyphens and spaces.
impl FromStr for Number {
    type Err = NumberFault;

    fn from_str(text: &str) -> Result<Number, NumberFault> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NumberFault::Length(text.len()));
        }
        let is_between = |c: &char| c.is_whitespace() || "-‐‑‒–—―−ー_.".contains(*c);
        let meant = text.nfkc().filter(|c| !is_between(c)).map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        });
        let mut symbols = Vec::with_capacity(LENGTH);
        for char in meant {
            let value = SYMBOLS.iter().position(|symbol| char::from(*symbol) == char);
            symbols.push(value.ok_or(NumberFault::Symbol(char))? as u8);
        }
        let symbols: [u8; LENGTH] =
            symbols.try_into().map_err(|found: Vec<u8>| NumberFault::Length(found.len()))?;
        if sums(&symbols) != (0, 0) {
            return Err(NumberFault::Check);
        }
        let day_exists = |[a, b, c, d]: [u8; 4]| {
            [a, b, c, d].iter().all(|digit| *digit < 10)
                // A leap year, so that 29 February exists.
                && Date::new(2024, (a * 10 + b) as i8, (c * 10 + d) as i8).is_ok()
        };
        if !day_exists([symbols[0], symbols[1], symbols[2], symbols[3]]) {
            return Err(NumberFault::Day);
        }
        Ok(Number(symbols))
    }
}

impl From<Number> for String {
    fn from(number: Number) -> String {
        number.to_string()
    }
}

impl TryFrom<String> for Number {
    type Error = NumberFault;

    fn try_from(text: String) -> Result<Number, NumberFault> {
        text.parse()
    }
}

/// 1/(α+1) = α¹³ in GF(32) with α⁵ = α² + 1.
const INVERSE_OF_ALPHA_PLUS_ONE: u8 = 0b11100;

/// Σcᵢ and Σαᵢcᵢ, where i counts from the last symbol and αᵢ = αⁱ. Both are zero for a number, and for none that differs from
/// one in two symbols or fewer.
fn sums(symbols: &[u8; LENGTH]) -> (u8, u8) {
    let step = |(one, two): (u8, u8), symbol: &u8| (one ^ symbol, times(two, 2) ^ symbol);
    symbols.iter().fold((0, 0), step)
}

/// Product in GF(32), whose elements are polynomials modulo x⁵ + x² + 1.
fn times(a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in (0..5).rev() {
        product <<= 1;
        if product & 32 != 0 {
            product ^= 0b10_0101;
        }
        if b >> bit & 1 == 1 {
            product ^= a;
        }
    }
    product
}

/// What the QR code of a known patient's form holds: the id with four symbols made of the name, so that a form whose id and name
/// belong to two patients is noticed. `CW/0001234567/K7QX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientCode {
    /// As in the chart.
    pub id: PatientId,
    /// Four symbols.
    pub name_check: String,
}

impl PatientCode {
    /// The code of a patient. Spaces, kana width and letter case of the name do not count.
    pub fn new(id: &PatientId, name: &str) -> PatientCode {
        PatientCode { id: id.clone(), name_check: name_check(id, name) }
    }

    /// Reads what a scanner read; `None` for anything else.
    pub fn parse(text: &str) -> Option<PatientCode> {
        let (id, check) = text.trim().strip_prefix("CW/")?.rsplit_once('/')?;
        let is_symbol = |c: u8| SYMBOLS.contains(&c);
        let fits = !id.is_empty() && id.len() <= TEXT_BYTES_MAX && !id.chars().any(char::is_control);
        (fits && check.len() == 4 && check.bytes().all(is_symbol))
            .then(|| PatientCode { id: PatientId(id.to_owned()), name_check: check.to_owned() })
    }

    /// Whether the code was printed for this id and this name.
    pub fn fits(&self, id: &PatientId, name: &str) -> bool {
        self.id == *id && self.name_check == name_check(id, name)
    }
}

impl fmt::Display for PatientCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CW/{}/{}", self.id, self.name_check)
    }
}

fn name_check(id: &PatientId, name: &str) -> String {
    let folded: String = name.nfkc().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let hash = Sha256::digest(format!("{id}\0{folded}"));
    hash.iter().take(4).map(|byte| char::from(SYMBOLS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn number(drawn: [u8; 5]) -> Number {
        Number::new(jiff::civil::date(2026, 11, 22), drawn)
    }

    #[test]
    fn a_number_reads_back_in_all_the_ways_that_people_write_it() {
        let number = number([0x9d, 0xae, 0xd1, 0xd0, 0x96]);
        let text = number.to_string();
        assert_eq!(text.len(), 17);
        assert!(text.starts_with("1122-"), "{text}");
        let wide: String = text.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)).collect();
        for written in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " ー "),
            text.replace('0', "o").replace('1', "l"),
            wide,
            format!(" {text}\r\n"),
        ] {
            assert_eq!(written.parse(), Ok(number), "{written}");
        }
        assert_eq!(serde_json::from_str::<Number>(&format!("\"{text}\"")).unwrap(), number);
    }

    #[test]
    fn any_two_wrong_symbols_are_noticed() {
        for seed in 0..4u8 {
            let right = number([seed.wrapping_mul(83), 7, seed, 201, 0xff - seed]);
            for (first, second) in (0..LENGTH).flat_map(|i| (0..i).map(move |j| (i, j))) {
                for (one, two) in (0..32).flat_map(|a| (0..32).map(move |b| (a, b))) {
                    let mut wrong = right.0;
                    (wrong[first], wrong[second]) = (one, two);
                    let differs = wrong != right.0;
                    assert_eq!(sums(&wrong) != (0, 0), differs, "{first} {second} {one} {two}");
                }
            }
        }
    }

    #[test]
    fn a_misheard_number_is_refused_with_its_fault() {
        let text = number([1, 2, 3, 4, 5]).to_string();
        let swapped = |a: usize, b: usize| {
            let mut chars: Vec<char> = text.chars().collect();
            chars.swap(a, b);
            chars.into_iter().collect::<String>()
        };
        for (written, fault) in [
            (swapped(6, 8), NumberFault::Check),
            (text.replace("1122", "1123"), NumberFault::Check),
            (text[..15].to_owned(), NumberFault::Length(12)),
            (format!("{text}A"), NumberFault::Length(15)),
            (text.replacen('1', "U", 1), NumberFault::Symbol('U')),
            ("停".to_owned(), NumberFault::Symbol('停')),
            (String::new(), NumberFault::Length(0)),
            ("9".repeat(1_000_000), NumberFault::Length(1_000_000)),
        ] {
            assert_eq!(written.parse::<Number>(), Err(fault), "{written}");
        }
        assert_eq!("0000-0000-0000-00".parse::<Number>(), Err(NumberFault::Day));
    }

    #[test]
    fn two_printers_that_know_nothing_of_each_other_draw_different_numbers() {
        let drawn = || {
            let mut bytes = [0; 5];
            getrandom::fill(&mut bytes).unwrap();
            number(bytes)
        };
        let numbers: HashSet<Number> = std::iter::repeat_with(drawn).take(2_000).collect();
        assert_eq!(numbers.len(), 2_000);
    }

    #[test]
    fn a_known_patients_code_notices_another_name_or_id() {
        let id = PatientId("0001234567".to_owned());
        let code = PatientCode::new(&id, "斎藤　花子");
        let read = PatientCode::parse(&code.to_string()).unwrap();
        assert!(read.fits(&id, "斎藤 花子"));
        assert!(!read.fits(&id, "斎藤 花代"));
        assert!(!read.fits(&PatientId("0001234568".to_owned()), "斎藤 花子"));
        for text in ["", "CW/", "CW//K7QX", "CW/1/k7qx", "CW/1\n2/K7QX", "1122-K7QX-3M4P-TR"] {
            assert_eq!(PatientCode::parse(text), None, "{text}");
        }
    }
}

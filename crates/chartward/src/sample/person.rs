//! Who the patients are.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use super::dice::Dice;
use super::names::{CITIES, FAMILY, FLATS, GIVEN, Name, TOWNS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Male,
    Female,
}

impl Sex {
    /// HL7 table 0001.
    pub(super) fn code(self) -> char {
        match self {
            Self::Male => 'M',
            Self::Female => 'F',
        }
    }
}

/// A place to live. The postal code begins with 000, which Japan Post has given to nobody.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) postal_code: String,
    pub(super) line: String,
}

/// Who pays, by table JHSD0001. The insurer's number consists of nines.
pub(super) struct Insurance {
    pub(super) plan: &'static str,
    pub(super) plan_name: &'static str,
    pub(super) insurer: &'static str,
    pub(super) number: String,
}

pub(super) struct Person {
    /// The place in the hospital's list, from 0.
    pub(super) index: u32,
    /// Ten digits.
    pub(super) id: String,
    pub(super) family: Name,
    pub(super) given: Name,
    pub(super) sex: Sex,
    pub(super) birth: Date,
    pub(super) address: Address,
    /// Where and until when the patient lived before moving house.
    pub(super) former: Option<(Address, DateTime)>,
    /// Begins with 000, which is no area code.
    pub(super) phone: String,
    pub(super) abo: &'static str,
    pub(super) rh: char,
    /// In millimetres.
    pub(super) height: i64,
    /// In hundreds of grams.
    pub(super) weight: i64,
    pub(super) insurance: Insurance,
}

impl Person {
    /// Patient `index` as of `now`.
    pub(super) fn new(index: u32, now: DateTime, dice: &mut Dice) -> Self {
        let sex = if dice.chance(48) { Sex::Male } else { Sex::Female };
        let age = age_in_years(dice);
        let birth = now.date().saturating_sub(age.years()).saturating_sub(dice.between(0, 364).days());
        let height = match sex {
            Sex::Male => 1_690,
            Sex::Female => 1_560,
        } + dice.bell(60)
            - (age - 50).max(0);
        let body_mass_index = 225 + dice.bell(30);
        let moved = dice.chance(8);
        Self {
            index,
            id: id(index, dice),
            family: *dice.pick_early(FAMILY),
            given: given(sex, birth, dice),
            sex,
            birth,
            address: address(dice),
            former: moved.then(|| (address(dice), days_before(now, dice.between(20, 300), dice))),
            phone: format!("000-{:04}-{:04}", dice.between(0, 9_999), dice.between(0, 9_999)),
            abo: abo(dice),
            rh: if dice.chance(1) { '-' } else { '+' },
            height,
            weight: (body_mass_index * height * height / 1_000_000).max(280),
            insurance: insurance(age, dice),
        }
    }
}

/// A moment in office hours, `days` before `now`.
pub(super) fn days_before(now: DateTime, days: i64, dice: &mut Dice) -> DateTime {
    at_minute(now.date().saturating_sub(days.days()), dice.between(8 * 60 + 30, 16 * 60), dice)
}

/// The given minute of a day, at some second.
pub(super) fn at_minute(day: Date, minute: i64, dice: &mut Dice) -> DateTime {
    day.to_datetime(jiff::civil::Time::midnight())
        .saturating_add(minute.minutes())
        .saturating_add(dice.between(0, 59).seconds())
}

/// Most patients of a country hospital are old.
fn age_in_years(dice: &mut Dice) -> i64 {
    match dice.between(0, 99) {
        0..8 => dice.between(16, 34),
        8..30 => dice.between(35, 59),
        30..75 => dice.between(60, 79),
        _ => dice.between(80, 97),
    }
}

fn given(sex: Sex, birth: Date, dice: &mut Dice) -> Name {
    let fashion = GIVEN.iter().find(|given| birth.year() >= given.from_year).unwrap_or(&GIVEN[0]);
    *dice.pick(match sex {
        Sex::Male => fashion.male,
        Sex::Female => fashion.female,
    })
}

/// Numbers grow with the patient's place, with gaps, as hospitals hand them out.
fn id(index: u32, dice: &mut Dice) -> String {
    const GAP: i64 = 37;
    format!("{:010}", 1_000_000 + i64::from(index) * GAP + dice.between(0, GAP - 1))
}

fn address(dice: &mut Dice) -> Address {
    let mut line = format!(
        "{}{}{}丁目{}番{}号",
        dice.pick_early(CITIES),
        dice.pick(TOWNS),
        dice.between(1, 6),
        dice.between(1, 28),
        dice.between(1, 19)
    );
    if dice.chance(25) {
        let (flats, room) = (dice.pick(FLATS), dice.between(1, 5) * 100 + dice.between(1, 8));
        line.push_str(&format!("{flats}{room}号室"));
    }
    Address { postal_code: format!("000-{:04}", dice.between(0, 9_999)), line }
}

fn abo(dice: &mut Dice) -> &'static str {
    match dice.between(0, 9) {
        0..4 => "A",
        4..7 => "O",
        7..9 => "B",
        _ => "AB",
    }
}

fn insurance(age: i64, dice: &mut Dice) -> Insurance {
    let (plan, plan_name, insurer) = if age >= 75 {
        ("39", "後期高齢者医療", "39999999")
    } else if age >= 65 || dice.chance(35) {
        ("C0", "国民健康保険", "999999")
    } else if dice.chance(60) {
        ("01", "全国健康保険協会管掌健康保険", "01999999")
    } else {
        ("06", "組合管掌健康保険", "06999999")
    };
    Insurance { plan, plan_name, insurer, number: format!("{:07}", dice.between(0, 9_999_999)) }
}

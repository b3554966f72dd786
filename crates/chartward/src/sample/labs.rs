//! Laboratory values: a person's own middle, moved by diseases, drifting over the months, wavering from day to day.

use jiff::civil::DateTime;

use super::analytes::{ANALYTES, Analyte, Test};
use super::chart::Value;
use super::dice::Dice;
use super::diseases::Disease;
use super::person::Sex;

/// A disease as it takes one person.
pub(super) struct Condition {
    disease: &'static Disease,
    since: DateTime,
    /// In hundredths of the average.
    severity: i64,
    /// -1 improves, 0 stays, 2 worsens twice as fast as the disease's average.
    direction: i64,
    passes: bool,
}

impl Condition {
    /// One that stays for years.
    pub(super) fn chronic(disease: &'static Disease, since: DateTime, dice: &mut Dice) -> Self {
        let (severity, direction) = (dice.between(45, 150), dice.between(-1, 2));
        Self { disease, since, severity, direction, passes: false }
    }

    /// One whose effects fade within ten days.
    pub(super) fn acute(disease: &'static Disease, since: DateTime, dice: &mut Dice) -> Self {
        Self { disease, since, severity: dice.between(55, 150), direction: 0, passes: true }
    }

    fn effect(&self, test: Test, at: DateTime) -> i64 {
        let Some(effect) = self.disease.effects.iter().find(|effect| effect.test == test) else { return 0 };
        let days = days_between(self.since, at);
        let shift = effect.shift * self.severity / 100;
        match self.passes {
            true if days < 0 => 0,
            true => shift * (100 - 10 * days).max(0) / 100,
            false => {
                let moved = shift + effect.monthly * self.direction * days.max(0) / 30;
                // Who recovers comes back to health, not past it.
                if shift > 0 { moved.max(0) } else { moved.min(0) }
            }
        }
    }
}

/// One person's blood.
pub(super) struct Laboratory {
    own: Vec<i64>,
    pub(super) conditions: Vec<Condition>,
    pub(super) hbs_positive: bool,
    pub(super) hcv_positive: bool,
}

impl Laboratory {
    pub(super) fn new(sex: Sex, dice: &mut Dice) -> Self {
        let sex = column(sex);
        let own = ANALYTES.iter().map(|analyte| analyte.mean[sex] + dice.bell(analyte.between)).collect();
        Self { own, conditions: Vec::new(), hbs_positive: dice.chance(1), hcv_positive: false }
    }

    /// What the laboratory would find at `at`.
    pub(super) fn measure(&self, test: Test, at: DateTime, dice: &mut Dice) -> Value {
        let analyte = test.analyte();
        let moved: i64 = self.conditions.iter().map(|condition| condition.effect(test, at)).sum();
        let value = self.own[test as usize] + moved + dice.bell(analyte.within);
        Value::Measured { test, value: survivable(test, value.max(analyte.floor)) }
    }
}

/// Keeps the sums of several diseases within what people survive.
fn survivable(test: Test, value: i64) -> i64 {
    let most = match test {
        Test::Sodium => return value.clamp(122, 152),
        Test::Potassium => return value.clamp(26, 64),
        Test::Albumin => return value.clamp(18, 52),
        Test::Hb => return value.clamp(58, 185),
        Test::Platelets => return value.clamp(38, 900),
        Test::PtInr => 480,
        Test::Bun => 1_300,
        Test::Creatinine => 1_250,
        Test::Glucose => 520,
        Test::HbA1c => 134,
        Test::Crp => 3_600,
        _ => i64::MAX,
    };
    value.min(most)
}

/// `H`, `L` or nothing, as OBX-8 has it.
pub(super) fn flag(analyte: &Analyte, sex: Sex, value: i64) -> &'static str {
    let column = column(sex);
    if value < analyte.low[column] {
        "L"
    } else if value > analyte.high[column] {
        "H"
    } else {
        ""
    }
}

/// `0.65-1.07`: the reference range as OBX-7 has it.
pub(super) fn range(analyte: &Analyte, sex: Sex) -> String {
    let column = column(sex);
    format!(
        "{}-{}",
        decimal(analyte.low[column], analyte.decimals),
        decimal(analyte.high[column], analyte.decimals)
    )
}

/// A value with its decimal point.
pub(super) fn decimal(value: i64, decimals: usize) -> String {
    if decimals == 0 {
        return value.to_string();
    }
    let unit = 10_i64.pow(u32::try_from(decimals).unwrap_or(0));
    format!("{}.{:0decimals$}", value / unit, value % unit)
}

fn column(sex: Sex) -> usize {
    match sex {
        Sex::Male => 0,
        Sex::Female => 1,
    }
}

fn days_between(from: DateTime, to: DateTime) -> i64 {
    from.date().until(to.date()).map_or(0, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::sample::diseases::{ACUTE, CHRONIC};

    fn value(laboratory: &Laboratory, test: Test, day: i8, dice: &mut Dice) -> i64 {
        match laboratory.measure(test, date(2018, 10, day).at(9, 0, 0, 0), dice) {
            Value::Measured { value, .. } => value,
            Value::Screened { .. } => unreachable!("a measurement"),
        }
    }

    #[test]
    fn values_are_written_with_the_decimals_of_their_test() {
        assert_eq!(decimal(84, 2), "0.84");
        assert_eq!(decimal(1435, 2), "14.35");
        assert_eq!(decimal(141, 0), "141");
        assert_eq!(range(Test::Creatinine.analyte(), Sex::Female), "0.46-0.79");
        assert_eq!(flag(Test::Hb.analyte(), Sex::Male, 130), "L");
        assert_eq!(flag(Test::Hb.analyte(), Sex::Female, 130), "");
        assert_eq!(flag(Test::Crp.analyte(), Sex::Male, 15), "H");
    }

    #[test]
    fn pneumonia_raises_crp_and_the_days_bring_it_back() {
        let dice = &mut Dice::new(1, 1);
        let mut laboratory = Laboratory::new(Sex::Male, dice);
        let since = date(2018, 10, 1).at(8, 0, 0, 0);
        laboratory.conditions.push(Condition::acute(&ACUTE[0], since, dice));
        let (first, fifth, last) = (
            value(&laboratory, Test::Crp, 1, dice),
            value(&laboratory, Test::Crp, 5, dice),
            value(&laboratory, Test::Crp, 14, dice),
        );
        assert!(first > 600 && first > fifth && fifth > last && last < 30, "{first} {fifth} {last}");
    }

    #[test]
    fn diabetes_stays() {
        let dice = &mut Dice::new(1, 2);
        let since = date(2017, 10, 16).at(8, 0, 0, 0);
        let raised = (0..100).filter(|_| {
            let mut laboratory = Laboratory::new(Sex::Female, dice);
            laboratory.conditions.push(Condition::chronic(&CHRONIC[1], since, dice));
            value(&laboratory, Test::HbA1c, 16, dice) > Test::HbA1c.analyte().high[1]
        });
        assert!(raised.count() > 80);
    }
}

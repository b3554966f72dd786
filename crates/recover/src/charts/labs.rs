//! Laboratory results (OML-11): one series for each JLAC10 code, and what they say about infections.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use decode::hl7::{Field, Segment};
use jiff::civil::DateTime;

use super::model::{Agent, Infection, Item, LabFlag, LabResult, LabSeries, Outcome, Trend};
use super::record::{Record, label, text, time, value};

/// A change below this part of the value before counts as level.
const LEVEL: f64 = 0.05;

/// All series, those with an abnormal latest value first, then in the order of their codes, which groups
/// them as a laboratory does (2A blood count, 3A proteins, 3B enzymes …).
pub(super) fn labs(records: &[Record]) -> Vec<LabSeries> {
    let mut series: BTreeMap<String, LabSeries> = BTreeMap::new();
    for record in records.iter().filter(|record| record.name.kind == "OML-11") {
        let mut taken = None;
        for segment in record.message.segments() {
            match segment.name() {
                // A specimen's results follow it.
                "SPM" => taken = time(segment.field(17)),
                "OBR" => taken = taken.or(time(segment.field(7))),
                "OBX" => {
                    let Some((code, name, result)) = result(&segment, taken, record) else {
                        continue;
                    };
                    let key = if code.is_empty() { name.clone() } else { code.clone() };
                    let empty = LabSeries { code, name, results: Vec::new(), trend: None };
                    series.entry(key).or_insert(empty).results.push(record.item(result));
                }
                _ => {}
            }
        }
    }
    let mut all: Vec<LabSeries> = series.into_values().collect();
    arrange(&mut all);
    all
}

/// Newest results first, with their trend; series with an abnormal latest value first, otherwise as they were.
pub(super) fn arrange(all: &mut [LabSeries]) {
    for series in all.iter_mut() {
        series.results.sort_by_key(|result| Reverse((result.value.at, result.from.recorded_at)));
        series.trend = trend(&series.results);
    }
    all.sort_by_key(|series| series.flag());
}

impl LabSeries {
    /// The latest value's flag.
    pub fn flag(&self) -> LabFlag {
        self.results.first().map_or(LabFlag::Unknown, |latest| latest.value.flag)
    }
}

fn result(
    obx: &Segment<'_>,
    taken: Option<DateTime>,
    record: &Record,
) -> Option<(String, String, LabResult)> {
    let (code, name) = (value(obx.field(3)), label(obx.field(3)));
    let status = value(obx.field(11));
    let measured = measured(obx);
    // O: ordered, not measured yet. D, X, W: deleted, not obtainable, withdrawn.
    if measured.is_empty() || name.is_empty() || matches!(status.as_str(), "O" | "D" | "X" | "W") {
        return None;
    }
    let range = value(obx.field(7));
    let (flag, flag_computed) = flag(obx.field(8), &measured, &range);
    let at = time(obx.field(14)).or(taken).or(record.name.recorded_at());
    let preliminary = !matches!(status.as_str(), "F" | "C" | "U" | "");
    let unit = value(obx.field(6));
    Some((code, name, LabResult { value: measured, unit, range, flag, flag_computed, at, preliminary }))
}

/// OBX-5 by its type (OBX-2): coded values have a text, structured numerics (SN) are `>^100`.
fn measured(obx: &Segment<'_>) -> String {
    let field = obx.field(5);
    match &*obx.field(2).text() {
        "CWE" | "CE" | "CNE" => label(field),
        "SN" => (1..=4).map(|n| text(field.component(n))).collect(),
        _ => value(field),
    }
}

/// The laboratory's flag; without one, what the recorded range says of a plain number.
fn flag(recorded: Field<'_>, measured: &str, range: &str) -> (LabFlag, bool) {
    flag_of(&recorded.text(), measured, range)
}

/// The same for a flag that is a text (tables 0078 and v3-ObservationInterpretation).
pub(super) fn flag_of(recorded: &str, measured: &str, range: &str) -> (LabFlag, bool) {
    let flag = match recorded {
        "HH" | "LL" | "AA" | ">" | "<" => LabFlag::Critical,
        "H" | "HU" => LabFlag::High,
        "L" | "LU" => LabFlag::Low,
        "A" => LabFlag::Abnormal,
        "N" => LabFlag::Normal,
        _ => {
            return by_range(measured, range).map_or((LabFlag::Unknown, false), |flag| (flag, true));
        }
    };
    (flag, false)
}

fn by_range(measured: &str, range: &str) -> Option<LabFlag> {
    let measured = number(measured)?;
    let (low, high) = limits(range)?;
    Some(match measured {
        m if low.is_some_and(|low| m < low) => LabFlag::Low,
        m if high.is_some_and(|high| m > high) => LabFlag::High,
        _ => LabFlag::Normal,
    })
}

/// The lower and the upper limit of a recorded range.
pub(super) fn limits(range: &str) -> Option<(Option<f64>, Option<f64>)> {
    let range = half_width(range);
    Some(if let Some(limit) = range.strip_prefix(['<', '≦', '≤']) {
        (None, Some(number(limit.trim_start_matches('='))?))
    } else if let Some(limit) = range.strip_prefix(['>', '≧', '≥']) {
        (Some(number(limit.trim_start_matches('='))?), None)
    } else {
        let (low, high) = range.split_once(['-', '~', '〜', '～'])?;
        (Some(number(low)?), Some(number(high)?))
    })
}

pub(super) fn number(text: &str) -> Option<f64> {
    half_width(text).trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn trend(results: &[Item<LabResult>]) -> Option<Trend> {
    let [latest, before, ..] = results else {
        return None;
    };
    let (latest, before) = (number(&latest.value.value)?, number(&before.value.value)?);
    Some(match latest - before {
        change if change.abs() <= before.abs() * LEVEL => Trend::Level,
        change if change > 0.0 => Trend::Up,
        _ => Trend::Down,
    })
}

/// The latest result of each test that tells of an infection, by agent.
pub(super) fn infections(series: &[LabSeries]) -> Vec<Item<Infection>> {
    let mut found: Vec<Item<Infection>> = Vec::new();
    for series in series {
        let (Some(agent), Some(latest)) = (agent(&series.code, &series.name), series.results.first()) else {
            continue;
        };
        let LabResult { value, flag, at, .. } = latest.value.clone();
        let outcome = outcome(&value, flag);
        let value = Infection { agent, test: series.name.clone(), value, outcome, at };
        found.push(Item { value, from: latest.from.clone() });
    }
    found.sort_by_key(|item| item.value.agent);
    found
}

/// By name, since hospitals name these tests alike and code them differently; by the codes of the national
/// health check-up where the name is unusual.
fn agent(code: &str, name: &str) -> Option<Agent> {
    let name = half_width(name).to_uppercase().replace([' ', '-'], "");
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    Some(match () {
        () if has(&["HBS抗原", "HBSAG", "HEPATITISBVIRUSSURFACEAG", "HEPATITISBSURFACEANTIGEN"])
            || code.starts_with("5F016") =>
        {
            Agent::HbsAntigen
        }
        () if has(&["HBS抗体", "HBSAB", "HEPATITISBVIRUSSURFACEAB", "HEPATITISBSURFACEANTIBODY"]) => {
            Agent::HbsAntibody
        }
        () if has(&["HCV", "C型肝炎", "HEPATITISC"]) || code.starts_with("5F360") => Agent::Hcv,
        () if has(&["HIV"]) => Agent::Hiv,
        () if has(&[
            "梅毒",
            "RPR",
            "TPHA",
            "TPLA",
            "TPPA",
            "TP抗体",
            "TPAB",
            "FTAABS",
            "TREPONEMA",
            "SYPHILIS",
        ]) || code.starts_with("5E071") =>
        {
            Agent::Syphilis
        }
        () => return None,
    })
}

/// Only plain words and signs are read; a titre or index means something only with its flag.
fn outcome(measured: &str, flag: LabFlag) -> Outcome {
    let word = half_width(measured).to_uppercase().replace(['(', ')', ' '], "");
    match word.as_str() {
        "-" | "陰性" | "−" | "NEG" | "NEGATIVE" | "-陰性" | "陰性-" | "N" | "NOTDETECTED" | "NONREACTIVE"
        | "NON-REACTIVE" => Outcome::Negative,
        "+" | "陽性" | "POS" | "POSITIVE" | "+陽性" | "陽性+" | "1+" | "2+" | "3+" | "P" | "DETECTED"
        | "REACTIVE" => Outcome::Positive,
        _ if number(&word).is_none() => Outcome::Unclear,
        _ if flag.is_abnormal() => Outcome::Positive,
        _ if flag == LabFlag::Normal => Outcome::Negative,
        _ => Outcome::Unclear,
    }
}

/// Full-width letters, digits and signs of JIS X 0208 as ASCII.
fn half_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '！'..='～' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            '−' | '‐' => '-',
            '　' => ' ',
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_flags_are_computed_from_the_range_and_only_then() {
        let check = |measured: &str, range: &str, expected: Option<LabFlag>| {
            assert_eq!(by_range(measured, range), expected, "{measured} in {range}");
        };
        check("7.2", "6.70-8.3", Some(LabFlag::Normal));
        check("9.0", "6.70-8.3", Some(LabFlag::High));
        check("6", "６．７〜８．３", Some(LabFlag::Low));
        check("0.5", "<=0.14", Some(LabFlag::High));
        check("30", ">40", Some(LabFlag::Low));
        check("(-)", "(-)", None);
        check("7.2", "", None);
        check("inf", "1-2", None);
    }

    #[test]
    fn infections_are_known_by_name_or_check_up_code() {
        let check = |code: &str, name: &str, expected: Option<Agent>| {
            assert_eq!(agent(code, name), expected, "{name}");
        };
        check("5F016141002399811", "", Some(Agent::HbsAntigen));
        check("", "ＨＢｓ抗原", Some(Agent::HbsAntigen));
        check("", "HBs抗体", Some(Agent::HbsAntibody));
        check("", "HCV抗体III", Some(Agent::Hcv));
        check("", "HIV-1/2 抗原抗体", Some(Agent::Hiv));
        check("", "梅毒TP抗体", Some(Agent::Syphilis));
        check("3A010000002327101", "ＴＰ", None);
        check("", "総蛋白(TP)", None);
    }

    #[test]
    fn a_qualitative_result_is_not_guessed() {
        let check = |measured: &str, flag, expected: Outcome| {
            assert_eq!(outcome(measured, flag), expected, "{measured}");
        };
        check("(－)", LabFlag::Unknown, Outcome::Negative);
        check("陽性", LabFlag::Unknown, Outcome::Positive);
        check("(+)", LabFlag::Normal, Outcome::Positive);
        check("判定保留", LabFlag::Abnormal, Outcome::Unclear);
        check("±", LabFlag::Unknown, Outcome::Unclear);
        check("12.5", LabFlag::High, Outcome::Positive);
        check("0.03", LabFlag::Normal, Outcome::Negative);
        check("0.03", LabFlag::Unknown, Outcome::Unclear);
    }
}

//! Allergies and problems.

use decode::hl7::Segment;
use jiff::civil::Date;

use super::model::{Allergy, Item, Problem};
use super::record::{Record, day, field, label, text, value};

/// Allergies of ADT-61 (IAM), then those of ADT-00 (AL1) that ADT-61 does not name.
///
/// The two are kept by different screens of an EMR. One list must not hide what only the other has: a
/// penicillin allergy in AL1 is as deadly when ADT-61 speaks of pollen.
pub(super) fn allergies(records: &[Record]) -> Vec<Item<Allergy>> {
    let of = |kind: &'static str, segment: &'static str| {
        records.iter().filter(move |record| record.name.kind == kind).flat_map(move |record| {
            record.message.all(segment).filter_map(allergy).map(|allergy| record.item(allergy))
        })
    };
    let mut all: Vec<Item<Allergy>> = Vec::new();
    for item in of("ADT-61", "IAM").chain(of("ADT-00", "AL1")) {
        let same = |known: &Item<Allergy>| known.value.substance == item.value.substance;
        if !all.iter().any(same) {
            all.push(item);
        }
    }
    all.sort_by_key(|item| (!item.value.is_drug(), item.value.severity_rank()));
    all
}

/// IAM and AL1 have the same first five fields; IAM adds what was done with the entry and since when.
fn allergy(segment: Segment<'_>) -> Option<Allergy> {
    let is_iam = segment.name() == "IAM";
    if is_iam && segment.field(6).text() == "D" {
        return None;
    }
    let since = if is_iam { [11, 12] } else { [6, 6] };
    let allergy = Allergy {
        substance: label(segment.field(3)),
        code: value(segment.field(3)),
        category_code: value(segment.field(2)),
        category: label(segment.field(2)),
        severity_code: value(segment.field(4)),
        severity: label(segment.field(4)),
        reaction: value(segment.field(5)),
        since: since
            .map(|n| value(segment.field(n)))
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
    };
    (!allergy.substance.is_empty() || !allergy.reaction.is_empty()).then_some(allergy)
}

impl Allergy {
    /// Whether it is one to a drug (table 0127: DA, and MA with its contrast media).
    pub fn is_drug(&self) -> bool {
        matches!(self.category_code.as_str(), "DA" | "MA")
    }

    /// Whether it was recorded as severe.
    pub fn is_severe(&self) -> bool {
        self.severity_code == "SV"
    }

    /// The most severe first; what nobody graded comes before what is mild.
    pub(super) fn severity_rank(&self) -> u8 {
        match self.severity_code.as_str() {
            "SV" => 0,
            "MO" => 1,
            "MI" => 3,
            _ => 2,
        }
    }
}

/// Problems of PPR-01, those that go on first, the main diagnosis before others, then by begin.
pub(super) fn problems(records: &[Record], as_of: Option<Date>) -> Vec<Item<Problem>> {
    let mut all: Vec<Item<Problem>> = Vec::new();
    for record in records.iter().filter(|record| record.name.kind == "PPR-01") {
        let groups = record.groups("PRB");
        all.extend(
            groups.iter().filter_map(|group| problem(group, as_of)).map(|problem| record.item(problem)),
        );
    }
    let newest_first = |date: Option<Date>| std::cmp::Reverse(date);
    all.sort_by_key(|item| (!item.value.active, !item.value.main, newest_first(item.value.since)));
    all
}

fn problem(group: &[Segment<'_>], as_of: Option<Date>) -> Option<Problem> {
    let prb = |n| field(group, "PRB", n);
    if matches!(&*prb(1).text(), "DE" | "DC") {
        return None;
    }
    let (coded, written) = (label(prb(3)), value(prb(17)));
    // PRB-17 is the name as the doctor wrote it, with modifiers that change its meaning ("suspected").
    let name = if written.contains(&coded) { written } else { coded };
    let until = day(prb(9));
    let outcome = label(prb(14));
    // Table 0241: fully recovered, died. Every other outcome (not recovered, worse, unknown) goes on.
    let is_over = matches!(&*prb(14).text(), "F" | "D");
    let ended = outcome.is_empty() && until.is_some_and(|until| as_of.is_none_or(|day| until <= day));
    (!name.is_empty()).then(|| Problem {
        name,
        icd10: if text(prb(10).component(3)).contains("I10") { value(prb(10)) } else { String::new() },
        main: label(prb(18)).contains("主"),
        since: [16, 7].into_iter().find_map(|n| day(prb(n))),
        until,
        outcome,
        active: !is_over && !ended,
    })
}

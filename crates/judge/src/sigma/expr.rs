//! The compiled form: every comparison of every rule stands once in one table, and rules are expressions over its rows.
//!
//! A comparison with a plain text is answered by the finder of its field, in one pass over the value for all rules together. A
//! rule that cannot hold unless one of a few texts is there (its triggers) is looked at only when one of them is.

use std::collections::BTreeMap;

use ipnet::IpNet;
use regex::Regex;

use super::finder::{self, Texts};
use super::glob::Glob;
use super::rule::{ClockPart, Compare, Place};

/// A field's number; `ANY` is every field.
pub(super) type Slot = u32;
pub(super) const ANY: Slot = 0;

/// A comparison's number.
pub(super) type TestId = u32;

/// A rule, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Always,
    Never,
    And(Box<[Expr]>),
    Or(Box<[Expr]>),
    Not(Box<Expr>),
    AtLeast(u32, Box<[Expr]>),
    Test(TestId),
}

/// A comparison of one field.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) slot: Slot,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Answered by the finder; folded.
    Literal,
    /// A text that is too short for the finder; folded.
    Short(Place, Box<str>),
    /// On the folded value.
    Glob(Glob),
    /// On the value as written.
    Cased(Glob),
    Regex(Box<Regex>),
    Cidr(IpNet),
    Number(Compare, f64),
    Bool(bool),
    /// Absent, or there and empty by its kind.
    Null,
    /// There, and nothing in it.
    Empty,
    Exists,
    Field {
        other: Slot,
        place: Place,
        cased: bool,
    },
    Clock(ClockPart, f64),
}

/// All comparisons of all rules.
#[derive(Debug, Default)]
pub(super) struct Tests {
    pub(super) rows: Vec<Test>,
    pub(super) slots: BTreeMap<String, Slot>,
    /// By slot.
    pub(super) literals: Vec<Texts>,
    /// How dear a literal is as a trigger, by test; 0 for others.
    costs: Vec<f32>,
    known: BTreeMap<String, TestId>,
}

impl Tests {
    pub(super) fn new() -> Self {
        Self { literals: vec![Texts::new()], ..Self::default() }
    }

    pub(super) fn slot(&mut self, field: Option<&str>) -> Slot {
        let Some(field) = field else { return ANY };
        if let Some(slot) = self.slots.get(field) {
            return *slot;
        }
        let slot = self.literals.len() as Slot;
        self.slots.insert(field.to_owned(), slot);
        self.literals.push(Texts::new());
        slot
    }

    /// A test that is looked up when it is asked for. `key` tells it from all others.
    pub(super) fn lazy(
        &mut self,
        slot: Slot,
        key: &str,
        make: impl FnOnce() -> Result<Kind, String>,
    ) -> Result<Expr, String> {
        let key = format!("{slot} {key}");
        if let Some(id) = self.known.get(&key) {
            return Ok(Expr::Test(*id));
        }
        let kind = make()?;
        let id = self.rows.len() as TestId;
        self.rows.push(Test { slot, kind });
        self.costs.push(0.0);
        self.known.insert(key, id);
        Ok(Expr::Test(id))
    }

    /// A plain folded text that is not empty.
    pub(super) fn literal(&mut self, slot: Slot, place: Place, folded: &str) -> Expr {
        let id = self.rows.len() as TestId;
        let Some(literals) = self.literals.get_mut(slot as usize) else { return Expr::Never };
        let tests = literals.entry(folded.to_owned()).or_default();
        if let Some((_, id)) = tests.iter().find(|(other, _)| *other == place) {
            return Expr::Test(*id);
        }
        tests.push((place, id));
        let is_found = finder::is_found(place, folded);
        let kind = if is_found { Kind::Literal } else { Kind::Short(place, folded.into()) };
        self.rows.push(Test { slot, kind });
        // The event id has chosen the rules already: it is there in every record that they see.
        let has_routed = self.slots.get("EventID") == Some(&slot);
        self.costs.push(if has_routed { 1.0 } else { cost(place, folded) });
        Expr::Test(id)
    }

    /// Literals of which one must be there wherever the expression holds; `None` when there is no such set.
    pub(super) fn triggers(&self, expr: &Expr) -> Option<Vec<TestId>> {
        match expr {
            Expr::Test(id) => {
                let row = self.rows.get(*id as usize)?;
                matches!(row.kind, Kind::Literal).then(|| vec![*id])
            }
            Expr::And(inner) => {
                let sets = inner.iter().filter_map(|expr| self.triggers(expr));
                sets.min_by(|a, b| self.dearness(a).total_cmp(&self.dearness(b)))
            }
            Expr::Or(inner) | Expr::AtLeast(1.., inner) => {
                let mut all = Vec::new();
                for expr in inner {
                    all.extend(self.triggers(expr)?);
                }
                Some(all)
            }
            Expr::Never => Some(Vec::new()),
            Expr::Always | Expr::Not(_) | Expr::AtLeast(0, _) => None,
        }
    }

    fn dearness(&self, set: &[TestId]) -> f32 {
        set.iter().map(|id| self.costs.get(*id as usize).copied().unwrap_or(1.0)).sum()
    }
}

/// How often a text is likely to be met, roughly: short ones and those that stand in every other record are dear.
fn cost(place: Place, folded: &str) -> f32 {
    const EVERYWHERE: [&str; 22] = [
        "\\powershell.exe",
        "\\pwsh.exe",
        "powershell.exe",
        "\\cmd.exe",
        "cmd.exe",
        "\\svchost.exe",
        "\\rundll32.exe",
        "\\explorer.exe",
        "\\services.exe",
        "c:\\windows\\",
        ":\\windows\\",
        "\\windows\\",
        "\\system32\\",
        "\\syswow64\\",
        "c:\\program files",
        "c:\\users\\",
        "\\appdata\\",
        "\\software\\microsoft\\",
        "currentversion",
        ".exe",
        ".dll",
        "system",
    ];
    let length = folded.chars().count() as f32;
    let base = match place {
        Place::Whole => 0.3,
        Place::Start | Place::End => 0.7,
        Place::Anywhere => 1.0,
    };
    let rare = base / (length * length).max(1.0);
    let is_common =
        EVERYWHERE.iter().any(|common| folded.contains(common) && folded.len() < common.len() + 8);
    if is_common { rare * 20.0 } else { rare }
}

/// How dear an expression is to evaluate, to put the cheap ones first.
pub(super) fn effort(expr: &Expr, tests: &Tests) -> u32 {
    match expr {
        Expr::Always | Expr::Never => 0,
        Expr::Test(id) => match tests.rows.get(*id as usize).map(|row| &row.kind) {
            Some(Kind::Literal | Kind::Short(..)) => 1,
            Some(Kind::Regex(_)) => 400,
            Some(Kind::Glob(_) | Kind::Cased(_) | Kind::Field { .. } | Kind::Clock(..)) => 60,
            _ => 8,
        },
        Expr::Not(inner) => effort(inner, tests),
        Expr::And(inner) | Expr::Or(inner) | Expr::AtLeast(_, inner) => {
            inner.iter().map(|expr| effort(expr, tests)).fold(0, u32::saturating_add)
        }
    }
}

/// Joins with `and`, the cheap ones first.
pub(super) fn and(mut inner: Vec<Expr>, tests: &Tests) -> Expr {
    inner.retain(|expr| *expr != Expr::Always);
    if inner.contains(&Expr::Never) {
        return Expr::Never;
    }
    inner.sort_by_cached_key(|expr| effort(expr, tests));
    match inner.len() {
        0 => Expr::Always,
        1 => inner.swap_remove(0),
        _ => Expr::And(inner.into()),
    }
}

/// Joins with `or`, the cheap ones first.
pub(super) fn or(mut inner: Vec<Expr>, tests: &Tests) -> Expr {
    inner.retain(|expr| *expr != Expr::Never);
    if inner.contains(&Expr::Always) {
        return Expr::Always;
    }
    inner.sort_by_cached_key(|expr| effort(expr, tests));
    match inner.len() {
        0 => Expr::Never,
        1 => inner.swap_remove(0),
        _ => Expr::Or(inner.into()),
    }
}

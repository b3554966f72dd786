//! Everything that was compiled, without state: threads share it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::correlation::Joined;
use super::expr::{ANY, Expr, Kind, Slot, Test, TestId, Tests};
use super::route::{self, Ids};
use super::rule::{Condition, How, Item, Logsource, Part, Place, RuleInfo, Value};

/// Texts of one field that its automaton finds fast (a table for each state) rather than small.
const FAST_BYTES_MAX: usize = 24 << 10;

/// A rule that judges one record.
#[derive(Debug)]
pub(super) struct Single {
    pub(super) info: Arc<RuleInfo>,
    pub(super) source: Logsource,
    /// Event ids without which it cannot hold.
    pub(super) ids: Ids,
    pub(super) expr: Expr,
    /// It is looked at only when one of its triggers is met.
    pub(super) is_triggered: bool,
    /// Fields that it reads, in order.
    pub(super) slots: Box<[Slot]>,
    /// It says something of itself, not only to correlations.
    pub(super) speaks: bool,
    /// Correlations that it feeds, and its position in their list.
    pub(super) feeds: Vec<(u32, u16)>,
}

/// What finds all texts of one field.
#[derive(Debug)]
pub(super) struct Finder {
    pub(super) automaton: AhoCorasick,
    /// By pattern: tests, by where the text must stand.
    pub(super) tests: Vec<Box<[(Place, TestId)]>>,
}

/// All rules.
#[derive(Debug)]
pub(super) struct Ruleset {
    pub(super) rules: Vec<Single>,
    pub(super) joined: Vec<Joined>,
    pub(super) tests: Vec<Test>,
    pub(super) slots: HashMap<String, Slot, FixedState>,
    pub(super) names: Vec<String>,
    pub(super) finders: Vec<Option<Finder>>,
    /// By test: the rules that it triggers.
    triggered: Vec<u32>,
    triggered_from: Vec<u32>,
    /// Event ids that some rule asks for.
    pub(super) ids: BTreeSet<u32>,
}

impl Ruleset {
    pub(super) fn new(mut rules: Vec<Single>, joined: Vec<Joined>, tests: Tests) -> Result<Self, String> {
        let mut pairs: Vec<(TestId, u32)> = Vec::new();
        let mut known_ids = BTreeSet::new();
        for (number, rule) in rules.iter_mut().enumerate() {
            let triggers = tests.triggers(&rule.expr);
            rule.is_triggered = triggers.is_some();
            pairs.extend(triggers.unwrap_or_default().into_iter().map(|test| (test, number as u32)));
            if let Ids::Some(ids) = &rule.ids {
                known_ids.extend(ids);
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut triggered_from = vec![0_u32; tests.rows.len() + 1];
        for (test, _) in &pairs {
            triggered_from[*test as usize + 1] += 1;
        }
        for at in 1..triggered_from.len() {
            triggered_from[at] += triggered_from[at - 1];
        }
        let mut names = vec![String::new(); tests.literals.len()];
        let mut slots = HashMap::with_hasher(FixedState::default());
        for (name, slot) in tests.slots {
            names[slot as usize].clone_from(&name);
            slots.insert(name, slot);
        }
        let finders =
            tests.literals.into_iter().map(|literals| finder(literals.texts)).collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            joined,
            tests: tests.rows,
            slots,
            names,
            finders,
            triggered: pairs.into_iter().map(|(_, rule)| rule).collect(),
            triggered_from,
            ids: known_ids.into_iter().chain(route::ids_of_table()).collect(),
        })
    }

    /// The rules that a test triggers.
    pub(super) fn triggered(&self, test: TestId) -> &[u32] {
        let from = self.triggered_from[test as usize] as usize;
        let to = self.triggered_from[test as usize + 1] as usize;
        &self.triggered[from..to]
    }
}

fn finder(texts: std::collections::BTreeMap<String, Vec<(Place, TestId)>>) -> Result<Option<Finder>, String> {
    if texts.is_empty() {
        return Ok(None);
    }
    let bytes: usize = texts.keys().map(String::len).sum();
    let kind = if bytes <= FAST_BYTES_MAX { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
    let automaton = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(kind))
        .build(texts.keys())
        .map_err(|error| error.to_string())?;
    Ok(Some(Finder { automaton, tests: texts.into_values().map(Vec::into_boxed_slice).collect() }))
}

/// Fields that an expression reads.
pub(super) fn slots_of(expr: &Expr, tests: &Tests, into: &mut BTreeSet<Slot>) {
    match expr {
        Expr::Always | Expr::Never => {}
        Expr::Not(inner) => slots_of(inner, tests, into),
        Expr::And(inner) | Expr::Or(inner) | Expr::AtLeast(_, inner) => {
            inner.iter().for_each(|expr| slots_of(expr, tests, into));
        }
        Expr::Test(id) => {
            let Some(test) = tests.rows.get(*id as usize) else { return };
            into.insert(test.slot);
            if let Kind::Field { other, .. } = &test.kind {
                into.insert(*other);
            }
        }
    }
}

/// The event ids without which a condition cannot hold; `Ids::All` when it does not say.
pub(super) fn event_ids(condition: &Condition) -> Ids {
    match condition {
        Condition::Item(item) => of_item(item),
        Condition::And(inner) => {
            let mut found: Option<BTreeSet<u32>> = None;
            for ids in inner.iter().map(event_ids) {
                if let Ids::Some(ids) = ids {
                    let ids: BTreeSet<u32> = ids.into_iter().collect();
                    found = Some(found.map_or(ids.clone(), |found| &found & &ids));
                }
            }
            found.map_or(Ids::All, |ids| Ids::Some(ids.into_iter().collect()))
        }
        Condition::Or(inner) | Condition::AtLeast(1.., inner) => {
            let mut all = BTreeSet::new();
            for ids in inner.iter().map(event_ids) {
                let Ids::Some(ids) = ids else { return Ids::All };
                all.extend(ids);
            }
            Ids::Some(all.into_iter().collect())
        }
        Condition::Not(_) | Condition::AtLeast(0, _) => Ids::All,
    }
}

fn of_item(item: &Item) -> Ids {
    if item.field.as_deref() != Some("EventID") || item.how != How::Is || item.negated || item.all {
        return Ids::All;
    }
    let ids: Option<Vec<u32>> = item
        .values
        .iter()
        .map(|value| match value {
            Value::Number(number) if number.fract() == 0.0 && (0.0..=4e9).contains(number) => {
                Some(*number as u32)
            }
            Value::Text(parts) => match parts.as_slice() {
                [Part::Text(text)] => text.parse().ok(),
                _ => None,
            },
            _ => None,
        })
        .collect();
    ids.map_or(Ids::All, Ids::Some)
}

/// The rules for one log and event id, and what they need to be read.
#[derive(Debug)]
pub(super) struct Bucket {
    /// A bit for each rule.
    rules: Box<[u64]>,
    /// Rules that have no trigger.
    pub(super) always: Vec<u32>,
    /// A bit for each field.
    slots: Box<[u64]>,
    /// Some rule looks into all fields.
    pub(super) reads_all: bool,
    pub(super) is_empty: bool,
}

impl Bucket {
    pub(super) fn new(rules: &Ruleset, product: &str, channel: &str, id: Option<u32>) -> Self {
        let (product, channel) = (product.to_lowercase(), channel.to_lowercase());
        let mut bucket = Self {
            rules: vec![0; rules.rules.len().div_ceil(64)].into(),
            always: Vec::new(),
            slots: vec![0; rules.names.len().div_ceil(64)].into(),
            reads_all: false,
            is_empty: true,
        };
        for (number, rule) in rules.rules.iter().enumerate() {
            let is_for = route::ids(&rule.source, &product, &channel).contain(id);
            if !is_for || !rule.ids.contain(id) {
                continue;
            }
            bucket.is_empty = false;
            bucket.rules[number / 64] |= 1 << (number % 64);
            if !rule.is_triggered {
                bucket.always.push(number as u32);
            }
            for slot in &rule.slots {
                bucket.slots[*slot as usize / 64] |= 1 << (slot % 64);
                bucket.reads_all |= *slot == ANY;
            }
        }
        bucket
    }

    pub(super) fn has(&self, rule: u32) -> bool {
        self.rules[rule as usize / 64] & (1 << (rule % 64)) != 0
    }

    pub(super) fn reads(&self, slot: Slot) -> bool {
        self.slots[slot as usize / 64] & (1 << (slot % 64)) != 0
    }
}

impl Ruleset {
    /// No rules.
    pub(super) fn empty() -> Self {
        Self {
            rules: Vec::new(),
            joined: Vec::new(),
            tests: Vec::new(),
            slots: HashMap::default(),
            names: vec![String::new()],
            finders: vec![None],
            triggered: Vec::new(),
            triggered_from: vec![0],
            ids: BTreeSet::new(),
        }
    }
}

//! Everything that was compiled, without state: threads share it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aho_corasick::packed::Searcher;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::correlation::Joined;
use super::expr::{ANY, Expr, Kind, Slot, Test, TestId, Tests};
use super::finder::Finder;
use super::route::{self, Ids};
use super::rule::{Condition, How, Item, Logsource, Part, RuleInfo, Value};

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
    /// The rules of each log source: there are ten times as many rules as sources.
    by_source: Vec<(Logsource, Vec<u32>)>,
}

impl Ruleset {
    pub(super) fn new(mut rules: Vec<Single>, joined: Vec<Joined>, tests: Tests) -> Self {
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
        let mut by_source: BTreeMap<Logsource, Vec<u32>> = BTreeMap::new();
        for (number, rule) in (0..).zip(&rules) {
            by_source.entry(rule.source.clone()).or_default().push(number);
        }
        Self {
            rules,
            joined,
            tests: tests.rows,
            slots,
            names,
            finders: tests.literals.iter().map(Finder::new).collect(),
            triggered: pairs.into_iter().map(|(_, rule)| rule).collect(),
            triggered_from,
            ids: known_ids.into_iter().chain(route::ids_of_table()).collect(),
            by_source: by_source.into_iter().collect(),
        }
    }

    /// The rules that a test triggers.
    pub(super) fn triggered(&self, test: TestId) -> &[u32] {
        let from = self.triggered_from[test as usize] as usize;
        let to = self.triggered_from[test as usize + 1] as usize;
        &self.triggered[from..to]
    }
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

/// Plain texts that an expression looks for in all fields.
fn keywords_of(expr: &Expr, tests: &[Test], into: &mut BTreeSet<TestId>) {
    match expr {
        Expr::Always | Expr::Never => {}
        Expr::Not(inner) => keywords_of(inner, tests, into),
        Expr::And(inner) | Expr::Or(inner) | Expr::AtLeast(_, inner) => {
            inner.iter().for_each(|expr| keywords_of(expr, tests, into));
        }
        Expr::Test(id) => {
            let is_one = |test: &Test| test.slot == ANY && matches!(test.kind, Kind::Literal);
            if tests.get(*id as usize).is_some_and(is_one) {
                into.insert(*id);
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
    /// Says whether a record has any of the texts that these look for. They are few in most logs, and nearly no record has one.
    keywords: Option<Searcher>,
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
            keywords: None,
            is_empty: true,
        };
        let mut keywords = BTreeSet::new();
        let sources =
            rules.by_source.iter().filter(|(source, _)| route::ids(source, &product, &channel).contain(id));
        for &number in sources.flat_map(|(_, numbers)| numbers) {
            let rule = &rules.rules[number as usize];
            if !rule.ids.contain(id) {
                continue;
            }
            bucket.is_empty = false;
            bucket.rules[number as usize / 64] |= 1 << (number % 64);
            if !rule.is_triggered {
                bucket.always.push(number);
            }
            for slot in &rule.slots {
                bucket.slots[*slot as usize / 64] |= 1 << (slot % 64);
            }
            if rule.slots.first() == Some(&ANY) {
                bucket.reads_all = true;
                keywords_of(&rule.expr, &rules.tests, &mut keywords);
            }
        }
        if let Some(finder) = &rules.finders[ANY as usize] {
            bucket.keywords = Searcher::new(finder.texts(&keywords));
        }
        bucket
    }

    pub(super) fn has(&self, rule: u32) -> bool {
        self.rules[rule as usize / 64] & (1 << (rule % 64)) != 0
    }

    /// Whether a record can have a text that is looked for in all fields; `folded` is all its values.
    pub(super) fn may_have_keywords(&self, folded: &str) -> bool {
        self.reads_all && self.keywords.as_ref().is_none_or(|keywords| keywords.find(folded).is_some())
    }

    pub(super) fn reads(&self, slot: Slot) -> bool {
        self.slots[slot as usize / 64] & (1 << (slot % 64)) != 0
    }
}

//! Rules that were loaded, and what they have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schema::{LogRecord, Micros, Severity, ValueKind};
use serde::{Deserialize, Serialize};

use super::compile::compile;
use super::correlation::{Groups, GroupsState, Inputs, Joined, Sighting, THRESHOLD_MAX, fnv};
use super::expr::{Expr, Tests, and, or};
use super::family::detector;
use super::hit::{SigmaHit, Together, subjects};
use super::logon::{AUTHENTICATION, Sorts};
use super::matcher::{Scratch, key, shortened};
use super::read::documents;
use super::route;
use super::rule::{Body, Condition, Correlation, Document, Logsource, Measure, Place, RuleInfo, Status};
use super::ruleset::{Ruleset, Single, event_ids, slots_of};

/// Fields of a hit.
const FIELDS_MAX: usize = 12;
/// A correlation may rest on others, so deep.
const DEPTH_MAX: usize = 8;
/// A clock that is further ahead than this is wrong.
const AHEAD_MAX: Micros = 86_400_000_000;
const RULES_MAX: usize = 100_000;

/// Which rules are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Rules below this level are left out.
    pub level_min: Severity,
    /// Rules below this status are left out.
    pub status_min: Status,
    /// Only rules with one of these tags (`attack.t1110` also takes `attack.t1110.003`); empty: all.
    pub tags: Vec<String>,
    /// Rules with one of these tags are left out.
    pub tags_not: Vec<String>,
    /// Rules with one of these ids or names are left out.
    pub rules_not: Vec<String>,
}

impl Default for Filter {
    /// All rules that are not deprecated.
    fn default() -> Self {
        Self {
            level_min: Severity::Informational,
            status_min: Status::Experimental,
            tags: Vec::new(),
            tags_not: Vec::new(),
            rules_not: Vec::new(),
        }
    }
}

impl Filter {
    fn takes(&self, rule: &RuleInfo) -> bool {
        let tagged = |wanted: &[String]| {
            rule.tags.iter().any(|tag| {
                wanted.iter().any(|wanted| {
                    let (tag, wanted) = (tag.to_lowercase(), wanted.to_lowercase());
                    tag.strip_prefix(wanted.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
        };
        let called = |name: &Option<String>| name.as_ref().is_some_and(|name| self.rules_not.contains(name));
        rule.level >= self.level_min
            && rule.status >= self.status_min
            && (self.tags.is_empty() || tagged(&self.tags))
            && !tagged(&self.tags_not)
            && !called(&rule.id)
            && !called(&rule.name)
    }
}

/// A rule, or a file, that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLoaded {
    /// The file or archive member, and the rule's title where it is known.
    pub name: String,
    /// Why, in one line.
    pub reason: String,
}

/// What correlations have seen, as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    groups: Vec<GroupsState>,
}

/// Sigma rules at work.
///
/// Rules are shared and never change; each thread that matches has its own [`Matcher`], and what correlations have seen stands here.
#[derive(Debug)]
pub struct Engine {
    matcher: Matcher,
    groups: Vec<Groups>,
    sightings: Vec<Sighting>,
    pub(super) sorts: Sorts,
}

/// Matches records by themselves. One for each thread; [`Engine::join`] takes what it saw for correlations.
#[derive(Debug, Clone)]
pub struct Matcher {
    scratch: Scratch,
    found: Vec<u32>,
}

fn is_of_logons(source: &Logsource) -> bool {
    source.category.as_deref() == Some(AUTHENTICATION)
}

impl Engine {
    /// Compiles rules: `(name of the file, its text)` each. What cannot be used is said, the rest is loaded.
    ///
    /// A rule that only correlations ask for is loaded whatever the filter says, and speaks through them.
    pub fn load(files: Vec<(String, String)>, filter: &Filter) -> (Engine, Vec<NotLoaded>) {
        let mut not_loaded = Vec::new();
        let mut found = Vec::new();
        for (name, text) in files {
            let (documents, faults) = documents(&name, &text);
            not_loaded.extend(faults.into_iter().map(|reason| NotLoaded { name: name.clone(), reason }));
            found.extend(documents);
        }
        while found.len() > RULES_MAX {
            if let Some(Document { info, .. }) = found.pop() {
                not_loaded.push(refused(&info, format!("there are more than {RULES_MAX} rules")));
            }
        }
        let rules = build(found, filter, &mut not_loaded);
        (Self::of(Arc::new(rules)), not_loaded)
    }

    fn of(rules: Arc<Ruleset>) -> Self {
        let groups = rules.joined.iter().map(|_| Groups::default()).collect();
        Self {
            matcher: Matcher { scratch: Scratch::new(rules), found: Vec::new() },
            groups,
            sightings: Vec::new(),
            sorts: Sorts::default(),
        }
    }

    /// Loads other rules in place of these; correlations that stayed the same keep what they have seen.
    /// Matchers that were handed out go on with the old rules until they are replaced.
    pub fn reload(&mut self, files: Vec<(String, String)>, filter: &Filter) -> Vec<NotLoaded> {
        let state = self.state();
        let (engine, not_loaded) = Self::load(files, filter);
        *self = engine;
        self.restore(&state);
        not_loaded
    }

    /// What correlations have seen.
    pub fn state(&self) -> State {
        let joined = &self.matcher.scratch.rules().joined;
        State { groups: joined.iter().zip(&self.groups).map(|(rule, groups)| groups.state(rule)).collect() }
    }

    /// Takes back what correlations had seen, for those that are still the same.
    pub fn restore(&mut self, state: &State) {
        let known: BTreeMap<u64, &GroupsState> = state.groups.iter().map(|s| (s.fingerprint(), s)).collect();
        for (rule, groups) in self.matcher.scratch.rules().joined.iter().zip(&mut self.groups) {
            if let Some(state) = known.get(&rule.fingerprint) {
                *groups = Groups::restore(state);
            }
        }
    }

    /// Rules that were loaded, correlations last.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<RuleInfo>> {
        let rules = self.matcher.scratch.rules();
        rules.rules.iter().map(|rule| &rule.info).chain(rules.joined.iter().map(|rule| &rule.info))
    }

    /// The detectors that its rules speak as, by their ids. A rule that only feeds correlations speaks as none.
    pub fn detectors(&self) -> BTreeSet<&'static str> {
        let rules = self.matcher.scratch.rules();
        let single = rules.rules.iter().filter(|rule| rule.speaks).map(|rule| &rule.info);
        let joined = rules.joined.iter().filter(|rule| rule.speaks).map(|rule| &rule.info);
        single.chain(joined).map(|rule| detector(rule).id).collect()
    }

    /// Whether a rule can hold for a line of text: those for Windows and for logons cannot.
    pub fn reads_lines(&self) -> bool {
        self.sources().any(|source| source.product.as_deref() != Some("windows") && !is_of_logons(source))
    }

    /// Whether a rule is for what [`super::logon_record`] makes.
    pub fn reads_logons(&self) -> bool {
        self.sources().any(is_of_logons)
    }

    fn sources(&self) -> impl Iterator<Item = &Logsource> {
        self.matcher.scratch.rules().rules.iter().map(|rule| &rule.source)
    }

    /// How many groups correlations remember.
    pub fn groups(&self) -> usize {
        self.groups.iter().map(Groups::len).sum()
    }

    /// A matcher for another thread.
    pub fn matcher(&self) -> Matcher {
        Matcher { scratch: Scratch::new(Arc::clone(self.matcher.scratch.rules())), found: Vec::new() }
    }

    /// One record against everything. Event time is the record's own; `now` stands in where it has none or one that cannot be.
    pub fn step(&mut self, record: &LogRecord, now: Micros, out: &mut Vec<SigmaHit>) {
        let mut sightings = std::mem::take(&mut self.sightings);
        sightings.clear();
        self.matcher.look(record, now, out, &mut sightings);
        self.join(&sightings, out);
        self.sightings = sightings;
    }

    /// Whether a rule can hold for a record of that channel in which these fields have these values, whatever its other fields say.
    pub(super) fn can_hold(&mut self, channel: &str, fields: &[(&str, &str)]) -> bool {
        let mut record = LogRecord::default();
        record.channel.push_str(channel);
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            record.push(name, value, ValueKind::Text);
        }
        self.matcher.scratch.can_match(&record, fields)
    }

    /// Takes in what matchers saw for correlations. Sightings of a matcher of other rules are left out.
    pub fn join(&mut self, sightings: &[Sighting], out: &mut Vec<SigmaHit>) {
        for sighting in sightings {
            self.join_one(sighting, 0, out);
        }
    }

    fn join_one(&mut self, sighting: &Sighting, depth: usize, out: &mut Vec<SigmaHit>) {
        let number = sighting.correlation as usize;
        let rules = Arc::clone(self.matcher.scratch.rules());
        let (Some(rule), Some(groups)) = (rules.joined.get(number), self.groups.get_mut(number)) else {
            return;
        };
        let Some(held) = groups.take(rule, sighting) else { return };
        let fields: Vec<(String, String)> =
            rule.group_by.iter().cloned().zip(sighting.group.iter().map(|value| shortened(value))).collect();
        for &(correlation, position) in &rule.feeds {
            if depth >= DEPTH_MAX {
                break;
            }
            let Some(inputs) =
                rules.joined.get(correlation as usize).and_then(|r| r.inputs.get(usize::from(position)))
            else {
                continue;
            };
            let pick = |name: &String| {
                fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
            };
            let Some(group) = inputs.group_names.iter().map(pick).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let value = inputs.counted_names.iter().filter_map(pick).collect::<Vec<_>>().join("\u{1f}");
            let next = Sighting {
                correlation,
                position,
                group: group.into(),
                value,
                at: held.last,
                ..sighting.clone()
            };
            self.join_one(&next, depth + 1, out);
        }
        if rule.speaks {
            out.push(SigmaHit {
                rule: Arc::clone(&rule.info),
                at: held.last,
                number: sighting.number,
                host: sighting.host.clone(),
                channel: String::new(),
                event_id: None,
                fields,
                subjects: sighting.subjects.clone(),
                together: Some(Together { measured: held.measured, first: held.first, last: held.last }),
            });
        }
    }
}

impl Matcher {
    /// One record by itself: hits of rules, and sightings for [`Engine::join`].
    pub fn look(
        &mut self,
        record: &LogRecord,
        now: Micros,
        out: &mut Vec<SigmaHit>,
        sightings: &mut Vec<Sighting>,
    ) {
        self.scratch.matching(record, &mut self.found);
        if self.found.is_empty() {
            return;
        }
        let is_odd = record.at <= 0 || record.at > now.saturating_add(AHEAD_MAX);
        let at = if is_odd && now > 0 { now } else { record.at };
        let subjects = subjects(record);
        let rules = Arc::clone(self.scratch.rules());
        for &number in &self.found {
            let Some(rule) = rules.rules.get(number as usize) else { continue };
            for &(correlation, position) in &rule.feeds {
                let inputs = &rules.joined[correlation as usize].inputs[usize::from(position)];
                let group: Vec<String> =
                    inputs.group.iter().map(|slot| key(self.scratch.value(*slot))).collect();
                let counted: Vec<String> =
                    inputs.counted.iter().map(|slot| key(self.scratch.value(*slot))).collect();
                // Who is not named is not the same as another who is not named.
                let is_counted = counted.is_empty() || counted.iter().any(|value| !value.is_empty());
                if group.iter().any(String::is_empty) || !is_counted {
                    continue;
                }
                sightings.push(Sighting {
                    correlation,
                    position,
                    group: group.into(),
                    value: counted.join("\u{1f}"),
                    at,
                    number: record.number,
                    host: record.host.clone(),
                    subjects: subjects.clone(),
                });
            }
            if rule.speaks {
                out.push(SigmaHit {
                    rule: Arc::clone(&rule.info),
                    at,
                    number: record.number,
                    host: record.host.clone(),
                    channel: record.channel.clone(),
                    event_id: record.event_id,
                    fields: self.scratch.witnesses(number, FIELDS_MAX),
                    subjects: subjects.clone(),
                    together: None,
                });
            }
        }
    }
}

fn refused(info: &RuleInfo, reason: String) -> NotLoaded {
    NotLoaded { name: format!("{}: {}", info.file, info.title), reason }
}

/// A rule on its way.
struct Half {
    info: RuleInfo,
    source: Logsource,
    condition: Condition,
}

fn build(found: Vec<Document>, filter: &Filter, not_loaded: &mut Vec<NotLoaded>) -> Ruleset {
    let (mut singles, mut joins, mut filters) = (Vec::new(), Vec::new(), Vec::new());
    for Document { info, body } in found {
        match body {
            Body::Single { logsource, condition } => {
                singles.push(Half { info, source: logsource, condition })
            }
            Body::Correlation(correlation) => joins.push((info, correlation)),
            Body::Filter { logsource, targets, condition } => filters.push((logsource, targets, condition)),
        }
    }
    let wanted = wanted(&joins, filter);
    joins.retain(|(info, _)| filter.takes(info) || called_by(info).any(|name| wanted.contains(name)));
    let is_called = |info: &RuleInfo| called_by(info).any(|name| wanted.contains(name));
    singles.retain(|half| filter.takes(&half.info) || is_called(&half.info));
    let mut tests = Tests::new();
    let mut rules: Vec<Single> = Vec::new();
    for mut half in singles {
        narrow(&mut half, &filters);
        match single(&half, &mut tests) {
            Ok((expr, ids)) => rules.push(Single {
                speaks: filter.takes(&half.info),
                info: Arc::new(half.info),
                source: half.source,
                ids,
                expr,
                is_triggered: false,
                slots: Box::new([]),
                feeds: Vec::new(),
            }),
            Err(reason) => not_loaded.push(refused(&half.info, reason)),
        }
    }
    let joined = join_all(joins, filter, &mut rules, &mut tests, not_loaded);
    for rule in &mut rules {
        let mut slots: BTreeSet<u32> = BTreeSet::new();
        slots_of(&rule.expr, &tests, &mut slots);
        for (correlation, position) in &rule.feeds {
            let inputs = &joined[*correlation as usize].inputs[usize::from(*position)];
            slots.extend(inputs.group.iter().chain(&inputs.counted));
        }
        rule.slots = slots.into_iter().collect();
    }
    Ruleset::new(rules, joined, tests)
}

/// Ids and names that correlations ask for, those too that only serve others.
fn wanted(joins: &[(RuleInfo, Correlation)], filter: &Filter) -> BTreeSet<String> {
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = wanted.len();
        for (info, join) in joins {
            if filter.takes(info) || called_by(info).any(|name| wanted.contains(name)) {
                wanted.extend(join.rules.iter().cloned());
            }
        }
        if wanted.len() == before {
            return wanted;
        }
    }
}

fn called_by(info: &RuleInfo) -> impl Iterator<Item = &str> {
    info.id.as_deref().into_iter().chain(info.name.as_deref())
}

/// Adds what Sigma filters say of a rule to its condition.
fn narrow(half: &mut Half, filters: &[(Logsource, Vec<String>, Condition)]) {
    for (source, targets, condition) in filters {
        let names =
            |wanted: &String| called_by(&half.info).any(|name| name == wanted) || half.info.title == *wanted;
        let is_same = |theirs: &Option<String>, ours: &Option<String>| theirs.is_none() || theirs == ours;
        let is_for = (targets.is_empty() || targets.iter().any(names))
            && is_same(&source.product, &half.source.product)
            && is_same(&source.category, &half.source.category)
            && is_same(&source.service, &half.source.service);
        if is_for {
            let own = std::mem::replace(&mut half.condition, Condition::And(Vec::new()));
            half.condition = Condition::And(vec![own, condition.clone()]);
        }
    }
}

fn single(half: &Half, tests: &mut Tests) -> Result<(Expr, super::route::Ids), String> {
    let mut expr = compile(&half.condition, tests)?;
    if let types @ [_, ..] = route::event_types(half.source.category.as_deref().unwrap_or_default()) {
        let slot = tests.slot(Some("EventType"));
        let named: Vec<Expr> = types.iter().map(|name| tests.literal(slot, Place::Whole, name)).collect();
        let exists = tests.lazy(slot, "exists", || Ok(super::expr::Kind::Exists))?;
        let fits = or(named.into_iter().chain([Expr::Not(Box::new(exists))]).collect(), tests);
        expr = and(vec![expr, fits], tests);
    }
    Ok((expr, event_ids(&half.condition)))
}

/// Who is called by an id or name.
#[derive(Clone, Copy)]
enum Called {
    Single(usize),
    Joined(usize),
}

fn join_all(
    mut joins: Vec<(RuleInfo, Correlation)>,
    filter: &Filter,
    rules: &mut [Single],
    tests: &mut Tests,
    not_loaded: &mut Vec<NotLoaded>,
) -> Vec<Joined> {
    // One that cannot be used takes those with it that rest on it, so this goes on until nothing more falls.
    let names = loop {
        let mut names: BTreeMap<String, Called> = BTreeMap::new();
        for (number, rule) in rules.iter().enumerate() {
            names.extend(called_by(&rule.info).map(|name| (name.to_owned(), Called::Single(number))));
        }
        for (number, (info, _)) in joins.iter().enumerate() {
            names.extend(called_by(info).map(|name| (name.to_owned(), Called::Joined(number))));
        }
        let before = joins.len();
        joins.retain(|(info, join)| {
            let missing = join.rules.iter().find(|name| !names.contains_key(*name));
            let too_many = join.predicates.iter().find(|(_, number)| *number > THRESHOLD_MAX);
            let reason = match (missing, too_many) {
                (Some(name), _) => format!("it looks at `{name}`, which was not loaded"),
                (_, Some((_, number))) if matches!(join.measure, Measure::Events | Measure::Values) => {
                    format!("it asks for {number} records, of which no more than {THRESHOLD_MAX} are kept")
                }
                _ => return true,
            };
            not_loaded.push(refused(info, reason));
            false
        });
        if joins.len() == before {
            break names;
        }
    };
    let mut joined: Vec<Joined> = joins.iter().map(|(info, join)| one_join(info, join, tests)).collect();
    for (number, (_, join)) in joins.iter().enumerate() {
        for (position, name) in join.rules.iter().enumerate() {
            let feed = (number as u32, position as u16);
            match names.get(name) {
                Some(Called::Single(called)) => rules[*called].feeds.push(feed),
                Some(Called::Joined(called)) if *called != number => joined[*called].feeds.push(feed),
                _ => {}
            }
        }
    }
    for rule in &mut joined {
        rule.speaks = filter.takes(&rule.info);
    }
    silence(&joins, &names, rules, &mut joined);
    joined
}

/// A rule that only serves correlations says nothing of itself, unless one of them wants it to.
fn silence(
    joins: &[(RuleInfo, Correlation)],
    names: &BTreeMap<String, Called>,
    rules: &mut [Single],
    joined: &mut [Joined],
) {
    let mut loud: BTreeSet<&str> = BTreeSet::new();
    loud.extend(
        joins
            .iter()
            .filter(|(_, join)| join.generate)
            .flat_map(|(_, join)| join.rules.iter().map(String::as_str)),
    );
    for name in joins.iter().flat_map(|(_, join)| &join.rules) {
        if loud.contains(name.as_str()) {
            continue;
        }
        match names.get(name) {
            Some(Called::Single(called)) => rules[*called].speaks = false,
            Some(Called::Joined(called)) => joined[*called].speaks = false,
            None => {}
        }
    }
}

fn one_join(info: &RuleInfo, join: &Correlation, tests: &mut Tests) -> Joined {
    let mut inputs = Vec::new();
    for rule in &join.rules {
        let names: Vec<String> = join
            .group_by
            .iter()
            .map(|field| {
                let alias = join.aliases.iter().find(|(alias, _)| alias == field);
                let mapped = alias.and_then(|(_, fields)| fields.iter().find(|(name, _)| name == rule));
                mapped.map_or(field, |(_, field)| field).clone()
            })
            .collect();
        inputs.push(Inputs {
            group: names.iter().map(|name| tests.slot(Some(name))).collect(),
            counted: join.fields.iter().map(|name| tests.slot(Some(name))).collect(),
            group_names: names,
            counted_names: join.fields.clone(),
        });
    }
    let told = format!("{:?} {:?}", info.id.as_ref().unwrap_or(&info.title), join);
    Joined {
        info: Arc::new(info.clone()),
        measure: join.measure,
        span: join.span,
        window: join.window,
        predicates: join.predicates.clone(),
        wanted: join.wanted.clone(),
        group_by: join.group_by.clone(),
        inputs,
        speaks: true,
        feeds: Vec::new(),
        fingerprint: fnv(told.as_bytes()),
    }
}

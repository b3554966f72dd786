//! One record against all rules that are for it.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::{LogRecord, ValueKind};

use super::expr::{ANY, Expr, Kind, Slot, TestId};
use super::glob::{fold, fold_into};
use super::rule::{ClockPart, Place};
use super::ruleset::{Bucket, Ruleset};

/// Logs whose rules are remembered. A flood of made-up channel names empties the memory, nothing else.
const LOGS_MAX: usize = 4_096;
/// Fields of one record that are looked at; no honest record comes near this.
const FIELDS_MAX: usize = 4_096;
const NOBODY: u32 = u32::MAX;

/// A field of the record in hand.
#[derive(Debug, Clone, Copy)]
struct Cell {
    slot: Slot,
    raw: (u32, u32),
    folded: (u32, u32),
    kind: ValueKind,
    /// The next one of the same name.
    next: u32,
}

/// Product, event id, and which bucket of rules is for records with these.
type Way = (&'static str, Option<u32>, u32);

/// What one thread needs to match records.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    rules: Arc<Ruleset>,
    /// By channel: product, event id and the bucket of the rules for it.
    logs: HashMap<String, Vec<Way>, FixedState>,
    buckets: Vec<Arc<Bucket>>,
    generation: u32,
    /// By test: twice the generation, and one more when it holds.
    marks: Vec<u32>,
    /// By slot: generation and first cell.
    heads: Vec<(u32, u32)>,
    cells: Vec<Cell>,
    raw: String,
    folded: String,
    /// By rule: the generation in which it was put into the queue.
    queued: Vec<u32>,
    queue: Vec<u32>,
}

impl Scratch {
    pub(super) fn new(rules: Arc<Ruleset>) -> Self {
        Self {
            logs: HashMap::default(),
            buckets: Vec::new(),
            generation: 0,
            marks: vec![0; rules.tests.len()],
            heads: vec![(0, NOBODY); rules.names.len()],
            cells: Vec::new(),
            raw: String::new(),
            folded: String::new(),
            queued: vec![0; rules.rules.len()],
            queue: Vec::new(),
            rules,
        }
    }

    pub(super) fn rules(&self) -> &Arc<Ruleset> {
        &self.rules
    }

    /// Numbers of the rules that hold, in their order.
    pub(super) fn matching(&mut self, record: &LogRecord, found: &mut Vec<u32>) {
        found.clear();
        let bucket = self.bucket(record);
        if bucket.is_empty {
            return;
        }
        self.begin();
        self.take(record, &bucket);
        self.find(&bucket);
        for &rule in &bucket.always {
            self.queue.push(rule);
        }
        let rules = Arc::clone(&self.rules);
        for at in 0..self.queue.len() {
            let number = self.queue[at];
            if self.holds(&rules.rules[number as usize].expr, &rules) {
                found.push(number);
            }
        }
        found.sort_unstable();
    }

    /// Whether a rule can hold for a record of that sort, of which no more is known than these fields.
    pub(super) fn can_match(&mut self, record: &LogRecord, known: &[(&str, &str)]) -> bool {
        let bucket = self.bucket(record);
        self.begin();
        self.take(record, &bucket);
        self.find(&bucket);
        let rules = Arc::clone(&self.rules);
        let known: Vec<Slot> = known.iter().filter_map(|(name, _)| rules.slots.get(*name).copied()).collect();
        let of_it = (0..).zip(&rules.rules).filter(|(number, _)| bucket.has(*number));
        of_it.into_iter().any(|(_, rule)| self.can_be(true, &rule.expr, &known, &rules))
    }

    /// Whether an expression can come out as `wanted`, where only tests of the `known` fields are decided.
    fn can_be(&mut self, wanted: bool, expr: &Expr, known: &[Slot], rules: &Ruleset) -> bool {
        let mut inner = |expr: &Expr| self.can_be(wanted, expr, known, rules);
        match expr {
            Expr::Always => wanted,
            Expr::Never => !wanted,
            Expr::And(all) if wanted => all.iter().all(inner),
            Expr::And(all) => all.iter().any(inner),
            Expr::Or(any) if wanted => any.iter().any(inner),
            Expr::Or(any) => any.iter().all(inner),
            Expr::AtLeast(count, some) => {
                let can = some.iter().filter(|expr| inner(expr)).count();
                if wanted { can >= *count as usize } else { can + *count as usize > some.len() }
            }
            Expr::Not(expr) => self.can_be(!wanted, expr, known, rules),
            Expr::Test(id) => {
                let test = &rules.tests[*id as usize];
                let is_decided = known.contains(&test.slot) && !matches!(test.kind, Kind::Field { .. });
                !is_decided || self.test(*id, rules) == wanted
            }
        }
    }

    fn bucket(&mut self, record: &LogRecord) -> Arc<Bucket> {
        let id =
            record.event_id.filter(|id| self.rules.ids.contains(id)).or(record.event_id.map(|_| u32::MAX));
        if let Some(known) = self.logs.get(record.channel.as_str())
            && let Some((_, _, number)) =
                known.iter().find(|(product, of, _)| *of == id && *product == record.product)
        {
            return Arc::clone(&self.buckets[*number as usize]);
        }
        if self.buckets.len() >= LOGS_MAX {
            self.logs.clear();
            self.buckets.clear();
        }
        let bucket = Arc::new(Bucket::new(&self.rules, record.product, &record.channel, id));
        let number = self.buckets.len() as u32;
        self.buckets.push(Arc::clone(&bucket));
        self.logs.entry(record.channel.clone()).or_default().push((record.product, id, number));
        bucket
    }

    fn begin(&mut self) {
        if self.generation >= u32::MAX / 2 - 1 {
            self.generation = 0;
            self.marks.fill(0);
            self.heads.fill((0, NOBODY));
            self.queued.fill(0);
        }
        self.generation += 1;
        self.cells.clear();
        self.raw.clear();
        self.folded.clear();
        self.queue.clear();
    }

    fn take(&mut self, record: &LogRecord, bucket: &Bucket) {
        for (name, value, kind) in record.iter().take(FIELDS_MAX) {
            let slot = self.rules.slots.get(name).copied();
            match slot {
                Some(slot) if bucket.reads(slot) || bucket.reads_all => self.add(slot, value, kind),
                None if bucket.reads_all => self.add(ANY, value, kind),
                _ => {}
            }
        }
        let id = record.event_id.map(|id| id.to_string());
        // What the rules call by these names though it may not be among the fields.
        for (name, value) in [
            ("EventID", id.as_deref().unwrap_or_default()),
            ("Channel", record.channel.as_str()),
            ("Provider_Name", record.provider.as_str()),
            ("Computer", record.host.as_str()),
        ] {
            let Some(&slot) = self.rules.slots.get(name) else { continue };
            if !value.is_empty() && bucket.reads(slot) && self.heads[slot as usize].0 != self.generation {
                self.add(slot, value, ValueKind::Text);
            }
        }
    }

    fn add(&mut self, slot: Slot, value: &str, kind: ValueKind) {
        let (raw, folded) = (self.raw.len() as u32, self.folded.len() as u32);
        self.raw.push_str(value);
        fold_into(value, &mut self.folded);
        let number = self.cells.len() as u32;
        let mut next = NOBODY;
        if slot != ANY {
            let head = &mut self.heads[slot as usize];
            if head.0 == self.generation {
                next = head.1;
            }
            *head = (self.generation, number);
        }
        let (raw, folded) = ((raw, self.raw.len() as u32), (folded, self.folded.len() as u32));
        self.cells.push(Cell { slot, raw, folded, kind, next });
    }

    /// Lets the finders of the fields look, marks what they find and puts into the queue what that triggers.
    fn find(&mut self, bucket: &Bucket) {
        let Self { rules, cells, folded, marks, queued, queue, generation, .. } = self;
        let (generation, holds) = (*generation, *generation * 2 + 1);
        let any = bucket.may_have_keywords(folded).then_some(ANY);
        for cell in cells.iter() {
            let value = folded.get(cell.folded.0 as usize..cell.folded.1 as usize).unwrap_or_default();
            let own = (cell.slot != ANY && bucket.reads(cell.slot)).then_some(cell.slot);
            let finders = own.into_iter().chain(any).filter_map(|slot| rules.finders[slot as usize].as_ref());
            for finder in finders {
                finder.find(value, |test| {
                    let mark = &mut marks[test as usize];
                    if std::mem::replace(mark, holds) == holds {
                        return;
                    }
                    for &rule in rules.triggered(test) {
                        if bucket.has(rule) && queued[rule as usize] != generation {
                            queued[rule as usize] = generation;
                            queue.push(rule);
                        }
                    }
                });
            }
        }
    }

    fn holds(&mut self, expr: &Expr, rules: &Ruleset) -> bool {
        match expr {
            Expr::Always => true,
            Expr::Never => false,
            Expr::And(inner) => inner.iter().all(|expr| self.holds(expr, rules)),
            Expr::Or(inner) => inner.iter().any(|expr| self.holds(expr, rules)),
            Expr::Not(inner) => !self.holds(inner, rules),
            Expr::AtLeast(count, inner) => {
                let mut left = *count;
                inner.iter().any(|expr| {
                    left = left.saturating_sub(u32::from(left > 0 && self.holds(expr, rules)));
                    left == 0
                }) || left == 0
            }
            Expr::Test(id) => self.test(*id, rules),
        }
    }

    fn test(&mut self, id: TestId, rules: &Ruleset) -> bool {
        let mark = self.marks[id as usize];
        if mark / 2 == self.generation {
            return mark % 2 == 1;
        }
        let test = &rules.tests[id as usize];
        let holds = match &test.kind {
            // The finders have looked: what they did not find is not there.
            Kind::Literal => false,
            kind => self.compare(test.slot, kind),
        };
        self.marks[id as usize] = self.generation * 2 + u32::from(holds);
        holds
    }

    fn compare(&self, slot: Slot, kind: &Kind) -> bool {
        match kind {
            Kind::Null => slot != ANY && self.values(slot).all(|cell| cell.kind == ValueKind::Null),
            Kind::Exists => self.values(slot).any(|cell| cell.kind != ValueKind::Null),
            Kind::Empty => self.values(slot).any(|cell| cell.raw.0 == cell.raw.1),
            Kind::Field { other, place, cased } => self.values(slot).any(|left| {
                self.values(*other).any(|right| {
                    let pick = |cell| if *cased { self.raw(cell) } else { self.folded(cell) };
                    stands(*place, pick(left), pick(right))
                })
            }),
            kind => self.values(slot).any(|cell| self.one(cell, kind)),
        }
    }

    fn one(&self, cell: Cell, kind: &Kind) -> bool {
        let raw = self.raw(cell);
        match kind {
            Kind::Short(place, text) => stands(*place, self.folded(cell), text),
            Kind::Glob(glob) => glob.fits(self.folded(cell)),
            Kind::Cased(glob) => glob.fits(raw),
            Kind::Regex(regex) => regex.is_match(raw),
            Kind::Cidr(net) => {
                raw.trim().parse::<IpAddr>().is_ok_and(|address| net.contains(&address.to_canonical()))
            }
            Kind::Number(compare, right) => number(raw).is_some_and(|left| compare.holds(left, *right)),
            Kind::Bool(yes) => match self.folded(cell) {
                "true" | "1" | "yes" => *yes,
                "false" | "0" | "no" => !*yes,
                _ => false,
            },
            Kind::Clock(part, wanted) => clock(raw, *part).is_some_and(|found| f64::from(found) == *wanted),
            Kind::Literal | Kind::Null | Kind::Exists | Kind::Empty | Kind::Field { .. } => false,
        }
    }

    fn values(&self, slot: Slot) -> impl Iterator<Item = Cell> {
        let (generation, head) = self.heads[slot as usize];
        let mut next = if slot == ANY {
            0
        } else if generation == self.generation {
            head
        } else {
            NOBODY
        };
        std::iter::from_fn(move || {
            let cell = *self.cells.get(next as usize)?;
            next = if slot == ANY { next + 1 } else { cell.next };
            Some(cell)
        })
    }

    fn raw(&self, cell: Cell) -> &str {
        self.raw.get(cell.raw.0 as usize..cell.raw.1 as usize).unwrap_or_default()
    }

    fn folded(&self, cell: Cell) -> &str {
        self.folded.get(cell.folded.0 as usize..cell.folded.1 as usize).unwrap_or_default()
    }

    /// The first value of a field of the record that was matched last; empty when it has none that says something.
    pub(super) fn value(&self, slot: Slot) -> &str {
        let said = |cell: &Cell| cell.kind != ValueKind::Null && !matches!(self.raw(*cell), "" | "-");
        self.values(slot).filter(said).last().map(|cell| self.raw(cell)).unwrap_or_default()
    }

    /// Field and value of the comparisons on which a rule rests that has just held.
    pub(super) fn witnesses(&mut self, number: u32, most: usize) -> Vec<(String, String)> {
        let rules = Arc::clone(&self.rules);
        let mut slots = Vec::new();
        self.witness(&rules.rules[number as usize].expr, &rules, most, &mut slots);
        let mut found = Vec::new();
        for slot in slots {
            let value = self.value(slot);
            if !value.is_empty() {
                found.push((rules.names[slot as usize].clone(), shortened(value)));
            }
        }
        found
    }

    fn witness(&mut self, expr: &Expr, rules: &Ruleset, most: usize, into: &mut Vec<Slot>) {
        match expr {
            Expr::And(inner) | Expr::Or(inner) | Expr::AtLeast(_, inner) => {
                for expr in inner {
                    if into.len() < most && self.holds(expr, rules) {
                        self.witness(expr, rules, most, into);
                    }
                }
            }
            Expr::Test(id) => {
                let slot = rules.tests[*id as usize].slot;
                if slot != ANY && !into.contains(&slot) {
                    into.push(slot);
                }
            }
            Expr::Always | Expr::Never | Expr::Not(_) => {}
        }
    }
}

const SHOWN_MAX: usize = 512;

/// A value as it is shown: without what would move a reader's cursor, and not longer than a line or two.
pub(super) fn shortened(value: &str) -> String {
    let clean = |char: char| if char.is_control() { ' ' } else { char };
    let mut shown: String = value.chars().take(SHOWN_MAX).map(clean).collect();
    if value.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn stands(place: Place, text: &str, piece: &str) -> bool {
    match place {
        Place::Whole => text == piece,
        Place::Anywhere => text.contains(piece),
        Place::Start => text.starts_with(piece),
        Place::End => text.ends_with(piece),
    }
}

/// A value as a number, in decimal.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.starts_with(|char: char| char.is_ascii_digit() || matches!(char, '-' | '+' | '.')) {
        return None;
    }
    text.parse().ok()
}

fn clock(text: &str, part: ClockPart) -> Option<i32> {
    let text = text.trim();
    let at: DateTime = match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(TimeZone::UTC).datetime(),
        Err(_) => text.parse().ok()?,
    };
    Some(match part {
        ClockPart::Minute => at.minute().into(),
        ClockPart::Hour => at.hour().into(),
        ClockPart::Day => at.day().into(),
        ClockPart::Week => at.date().iso_week_date().week().into(),
        ClockPart::Month => at.month().into(),
        ClockPart::Year => at.year().into(),
    })
}

/// A key of a group: names are the same in whatever case a log writes them.
pub(super) fn key(value: &str) -> String {
    const KEY_MAX: usize = 256;
    let mut key = fold(value.trim());
    if let Some((end, _)) = key.char_indices().nth(KEY_MAX) {
        key.truncate(end);
    }
    key
}

//! Who was seen with whom: visible, and to be taken back.

use std::collections::BTreeMap;

use schema::Micros;
use serde::{Deserialize, Serialize};

use crate::logins::view::{DAY, Key, View, joined, kept, key, key_of_address};
use crate::table::Table;

const PAIRS_MAX: usize = 49_152;
const NAMES_MAX: usize = 16_384;
/// One who has that many partners gets further ones without notice.
const FEW: u16 = 8;
/// A machine at which so many get in is everybody's.
const FEW_AT_HOST: u16 = 12;
const RELEARN_MAX: usize = 256;
/// Nobody is silent for so long while he is learnt.
const JUMP: Micros = 30 * DAY;
/// What can be known from before such a jump that was a clock's.
const FEW_PAIRS: usize = 64;

/// Which two belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pair {
    /// An account and where it comes from.
    AccountSource,
    /// An account and where it gets in.
    AccountHost,
    /// A source and where somebody gets in from it.
    SourceHost,
}

/// A pair that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    /// Which two.
    pub pair: Pair,
    /// The account, or the source.
    pub left: Box<str>,
    /// The source, or the host.
    pub right: Box<str>,
    /// Seen for the first time.
    pub first: Micros,
    /// Seen for the last time.
    pub last: Micros,
    /// How often.
    pub count: u64,
}

/// How far the learning is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learning {
    /// The first event, or the last reset; `None` before both.
    pub since: Option<Micros>,
    /// From then on first-seen pairs are told.
    pub until: Option<Micros>,
    /// Pairs that are known.
    pub pairs: usize,
    /// Pairs that were forgotten for want of room.
    pub forgotten: u64,
    /// What is learnt anew after a reset, and until when.
    pub anew: Vec<(Box<str>, Micros)>,
}

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    /// Everything: learning begins anew.
    All,
    /// All pairs of an account, which is learnt anew.
    Account(String),
    /// All pairs of a source (an address or a workstation), which is learnt anew.
    Source(String),
    /// All pairs of a host, which is learnt anew.
    Host(String),
    /// One pair, which is told when it is seen again.
    One(Pair, String, String),
}

/// Who was seen with whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    since: Option<Micros>,
    pairs: Table<Key, Kept>,
    partners: Table<Key, Partners>,
    anew: BTreeMap<Key, (Box<str>, Micros)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    ends: (Key, Key),
    learnt: Learnt,
}

/// How many partners one has on each side.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Partners {
    one: u16,
    other: u16,
}

/// What is new about a log-on.
#[derive(Debug, Clone, Default)]
pub(in crate::logins) struct Fresh {
    pub(in crate::logins) pairs: Vec<Pair>,
    pub(in crate::logins) is_new_account: bool,
}

impl Fresh {
    pub(in crate::logins) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            since: None,
            pairs: Table::new(PAIRS_MAX),
            partners: Table::new(NAMES_MAX),
            anew: BTreeMap::new(),
        }
    }
}

impl Known {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted() + self.partners.evicted()
    }

    /// Learning begins with the first event, whatever it says. `before` and `now` are the latest instants seen before an event and
    /// with it. A device that begins its day in 1970 would end the learning before it began: where next to nothing is learnt yet and
    /// time jumps, it begins anew.
    pub(crate) fn begin(&mut self, before: Micros, now: Micros, period: Micros) {
        let since = *self.since.get_or_insert(now);
        let is_jump = now.saturating_sub(before.max(since)) > JUMP;
        if is_jump && before < since.saturating_add(period) && self.pairs.len() < FEW_PAIRS {
            self.since = Some(now);
        }
    }

    pub(in crate::logins) fn has_pair(&self, account: Key, source: Option<Key>) -> bool {
        source.is_some_and(|source| self.pairs.get(&pair_key(Pair::AccountSource, account, source)).is_some())
    }

    /// Takes in that somebody got in; says which of it should be told.
    pub(in crate::logins) fn take(&mut self, view: &View<'_>) -> Fresh {
        let mut fresh = Fresh::default();
        let Some(account) = view.account else { return fresh };
        let is_learning = self.is_learning(view);
        fresh.is_new_account = self.partners.get(&account).is_none();
        let source = view.source.map(|source| (source, view.source_name().map(|name| name.to_string())));
        if let Some((source, Some(name))) = &source {
            let ends = (account, *source);
            self.meet(Pair::AccountSource, ends, view, &mut fresh, |view| (name_of(view), kept(name)));
        }
        if !view.event.host.is_empty() {
            let ends = (account, view.host);
            self.meet(Pair::AccountHost, ends, view, &mut fresh, |view| {
                (name_of(view), kept(view.event.host))
            });
            if let Some((source, Some(name))) = &source {
                let ends = (*source, view.host);
                self.meet(Pair::SourceHost, ends, view, &mut fresh, |view| {
                    (kept(name), kept(view.event.host))
                });
            }
        }
        if is_learning {
            fresh.pairs.clear();
        }
        fresh
    }

    fn meet(
        &mut self,
        pair: Pair,
        ends: (Key, Key),
        view: &View<'_>,
        fresh: &mut Fresh,
        names: impl FnOnce(&View<'_>) -> (Box<str>, Box<str>),
    ) {
        let at = view.at();
        let key = pair_key(pair, ends.0, ends.1);
        if let Some(kept) = self.pairs.get_mut(&key) {
            let learnt = &mut kept.learnt;
            (learnt.first, learnt.last) = (learnt.first.min(at), learnt.last.max(at));
            learnt.count += 1;
            return;
        }
        let (left, right) = names(view);
        let learnt = Learnt { pair, left, right, first: at, last: at, count: 1 };
        self.pairs.insert(key, Kept { ends, learnt });
        let (of_left, of_right) = match pair {
            Pair::AccountSource => (self.partners.slot(ends.0).one(), self.partners.slot(ends.1).one()),
            Pair::AccountHost => (self.partners.slot(ends.0).other(), self.partners.slot(ends.1).one()),
            Pair::SourceHost => (self.partners.slot(ends.0).other(), self.partners.slot(ends.1).other()),
        };
        let few_right = if pair == Pair::AccountSource { FEW } else { FEW_AT_HOST };
        if of_left <= FEW && of_right <= few_right {
            fresh.pairs.push(pair);
        }
    }

    fn is_learning(&self, view: &View<'_>) -> bool {
        let at = view.at();
        let until = self.since.map(|since| since.saturating_add(view.rules.learning()));
        let anew = |key: Key| self.anew.get(&key).is_some_and(|(_, until)| at < *until);
        until.is_none_or(|until| at < until)
            || (!self.anew.is_empty()
                && [view.account, view.source, Some(view.host)].into_iter().flatten().any(anew))
    }

    /// How far the learning is, for so long a period.
    pub(in crate::logins) fn learning(&self, period: Micros) -> Learning {
        Learning {
            since: self.since,
            until: self.since.map(|since| since.saturating_add(period)),
            pairs: self.pairs.len(),
            forgotten: self.pairs.evicted(),
            anew: self.anew.values().cloned().collect(),
        }
    }

    /// Every pair, in order.
    pub(in crate::logins) fn learnt(&self) -> Vec<Learnt> {
        let mut all: Vec<Learnt> =
            self.pairs.sorted().into_iter().map(|(_, kept)| kept.learnt.clone()).collect();
        all.sort_by(|a, b| (a.pair, &a.left, &a.right).cmp(&(b.pair, &b.left, &b.right)));
        all
    }

    /// Takes back what was learnt; says how many pairs that were.
    pub(in crate::logins) fn forget(&mut self, what: &Forget, now: Micros, period: Micros) -> usize {
        let gone: Vec<(Key, (Key, Key))> = match what {
            Forget::All => {
                let many = self.pairs.len();
                *self = Self { since: Some(now), ..Self::default() };
                return many;
            }
            Forget::One(pair, left, right) => {
                let ends = match pair {
                    Pair::AccountSource => (key(b'u', left), source_key(right)),
                    Pair::AccountHost => (key(b'u', left), key(b'h', right)),
                    Pair::SourceHost => (source_key(left), key(b'h', right)),
                };
                let key = pair_key(*pair, ends.0, ends.1);
                self.pairs.get(&key).map(|kept| (key, kept.ends)).into_iter().collect()
            }
            Forget::Account(name) => self.anew(key(b'u', name), name, now, period),
            Forget::Source(name) => self.anew(source_key(name), name, now, period),
            Forget::Host(name) => self.anew(key(b'h', name), name, now, period),
        };
        for (key, ends) in &gone {
            self.pairs.remove(key);
            for end in [ends.0, ends.1] {
                if let Some(partners) = self.partners.get_mut(&end) {
                    *partners = Partners {
                        one: partners.one.saturating_sub(1),
                        other: partners.other.saturating_sub(1),
                    };
                }
            }
        }
        gone.len()
    }

    fn anew(&mut self, end: Key, name: &str, now: Micros, period: Micros) -> Vec<(Key, (Key, Key))> {
        self.anew.retain(|_, (_, until)| *until > now);
        if self.anew.len() < RELEARN_MAX {
            self.anew.insert(end, (kept(name), now.saturating_add(period)));
        }
        let of_it = |(key, kept): (&Key, &Kept)| {
            (kept.ends.0 == end || kept.ends.1 == end).then_some((*key, kept.ends))
        };
        self.pairs.sorted().into_iter().filter_map(of_it).collect()
    }
}

impl Partners {
    fn one(&mut self) -> u16 {
        self.one = self.one.saturating_add(1);
        self.one
    }

    fn other(&mut self) -> u16 {
        self.other = self.other.saturating_add(1);
        self.other
    }
}

fn name_of(view: &View<'_>) -> Box<str> {
    kept(view.account_name().unwrap_or_default())
}

fn source_key(name: &str) -> Key {
    name.parse().map_or_else(|_| key(b'w', name), key_of_address)
}

fn pair_key(pair: Pair, left: Key, right: Key) -> Key {
    joined(&[pair as u64, left, right])
}

//! Failures by source, by account and by host, and what of them a success explains.

use std::collections::VecDeque;

use schema::Micros;
use serde::{Deserialize, Serialize};

use crate::logins::marks::{Mark, Marks, Trail};
use crate::logins::view::{DAY, HOUR, Key, MINUTE, View};
use crate::table::Table;

const SOURCES_MAX: usize = 16_384;
const ACCOUNTS_MAX: usize = 16_384;
const HOSTS_MAX: usize = 4096;
/// Marks kept of one source, account or host.
const KEPT: usize = 64;
/// So long a failure counts that no success explains.
pub(super) const WEEK: Micros = 7 * DAY;
/// Accounts that got in from one source, remembered one by one.
const PEOPLE_MAX: usize = 64;
/// One in so many people may be mistyping at the same time.
const MISTYPING: usize = 4;
/// A failure without an account is explained by a success from the same source within this.
const NAMELESS_WITHIN: Micros = 10 * MINUTE;

/// What failed lately.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tries {
    pub(super) sources: Table<Key, BySource>,
    pub(super) accounts: Table<Key, ByAccount>,
    pub(super) hosts: Table<Key, Marks>,
}

/// The failures of one source.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BySource {
    pub(super) marks: Marks,
    /// All of them since it began, also those that are no longer kept one by one.
    pub(super) run: Trail,
    /// Who got in from there lately: many for a terminal server or an address that a ward shares.
    people: VecDeque<(Key, Micros)>,
    /// When it was told as one who guesses.
    pub(super) guessed: Option<Micros>,
}

/// The failures with one account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ByAccount {
    pub(super) marks: Marks,
    pub(super) guessed: Option<Micros>,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            sources: Table::new(SOURCES_MAX),
            accounts: Table::new(ACCOUNTS_MAX),
            hosts: Table::new(HOSTS_MAX),
        }
    }
}

impl Tries {
    pub(crate) fn evicted(&self) -> u64 {
        self.sources.evicted() + self.accounts.evicted() + self.hosts.evicted()
    }

    /// Takes in a failure. `rhythmic`: it belongs to a rhythm that is told elsewhere. `half`: its other half was counted already.
    pub(crate) fn fail(&mut self, view: &View<'_>, rhythmic: bool, half: bool) {
        let mark = Mark::of(view, rhythmic);
        if let Some(source) = view.source {
            let source = self.sources.slot(source);
            if source.run.count == 0 || mark.at.saturating_sub(source.run.last) > DAY {
                source.run = Trail::default();
            }
            if source.marks.add(mark, half, WEEK, KEPT) {
                source.run.add(mark.at);
            }
        }
        if let Some(account) = view.account {
            self.accounts.slot(account).marks.add(mark, half, WEEK, KEPT);
        }
        if !rhythmic {
            self.hosts.slot(view.host).add(mark, half, HOUR, 4 * KEPT);
        }
    }

    /// Takes in a success: what it explains goes.
    pub(crate) fn succeed(&mut self, view: &View<'_>) {
        let (at, account, source) = (view.at(), view.account, view.source);
        if let Some(key) = source
            && (account.is_some() || self.sources.get(&key).is_some())
        {
            let by_source = self.sources.slot(key);
            by_source.marks.remove(|mark| match (mark.account(), account) {
                (Some(failed), Some(account)) => failed == account,
                _ => mark.host == view.host && mark.at.abs_diff(at) <= NAMELESS_WITHIN.unsigned_abs(),
            });
            if by_source.marks.last().is_none() {
                by_source.run = Trail::default();
            }
            if let Some(account) = account {
                by_source.welcome(account, at);
            }
        }
        if let Some(account) = account
            && let Some(by_account) = self.accounts.get_mut(&account)
        {
            by_account.marks.remove(|mark| mark.source() == source);
        }
        if let Some(marks) = self.hosts.get_mut(&view.host) {
            marks.remove(|mark| {
                (mark.account().is_some() && mark.account() == account)
                    || (mark.account().is_none() && mark.source().is_some() && mark.source() == source)
            });
        }
    }
}

impl BySource {
    fn welcome(&mut self, account: Key, at: Micros) {
        if let Some(known) = self.people.iter_mut().find(|known| known.0 == account) {
            known.1 = known.1.max(at);
            return;
        }
        if self.people.len() >= PEOPLE_MAX {
            self.people.pop_front();
        }
        self.people.push_back((account, at));
    }

    /// From how many on it is guessing: from `least`, or where many people work from more.
    pub(super) fn too_many(&self, least: u16, at: Micros) -> usize {
        let least = usize::from(least);
        if self.people.len() / MISTYPING <= least { least } else { least.max(self.people(at) / MISTYPING) }
    }

    /// How many different people got in from there in the last twelve hours: so many may mistype at the same time.
    pub(super) fn people(&self, at: Micros) -> usize {
        let near = |known: &&(Key, Micros)| at.abs_diff(known.1) <= (12 * HOUR).unsigned_abs();
        self.people.iter().filter(near).count()
    }

    /// Its failures that are no rhythm.
    pub(super) fn loose(&self) -> impl DoubleEndedIterator<Item = &Mark> + Clone {
        self.marks.iter().filter(|mark| !mark.rhythmic)
    }
}

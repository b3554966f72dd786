//! Who logged in where, from where and how often: what the logs say without any rule.

use std::collections::HashMap;

use jiff::Timestamp;
use schema::{AuthEvent, AuthOutcome, AuthProtocol, Lang, Micros};
use serde::Serialize;

use crate::output::{Output, printable};

/// Who, where and how: more of them than this are counted together.
const KEYS_MAX: usize = 200_000;
/// Lines for people.
const LINES_MAX: usize = 40;

/// Logons of the same account from the same place to the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
struct Key {
    host: String,
    account: String,
    source: String,
    protocol: AuthProtocol,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Count {
    failures: u64,
    successes: u64,
    reached: u64,
    ended: u64,
    first: Micros,
    last: Micros,
}

/// Logons, counted.
#[derive(Debug, Default)]
pub(super) struct Logons {
    counts: HashMap<Key, Count>,
    events: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    key: &'a Key,
    #[serde(flatten)]
    count: &'a Count,
}

impl Logons {
    /// How many records told of one.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Takes one in.
    pub(super) fn take(&mut self, event: &AuthEvent<'_>) {
        let source = event.source.map(|source| source.to_string());
        let key = Key {
            host: event.host.to_owned(),
            account: event.account.unwrap_or_default().to_lowercase(),
            source: source.or_else(|| event.workstation.map(str::to_lowercase)).unwrap_or_default(),
            protocol: event.protocol,
        };
        let mut count = Count { first: event.at, last: event.at, ..Count::default() };
        match event.outcome {
            AuthOutcome::Failure => count.failures = 1,
            AuthOutcome::Success | AuthOutcome::Resumed => count.successes = 1,
            AuthOutcome::Reached => count.reached = 1,
            AuthOutcome::Ended => count.ended = 1,
        }
        self.events += 1;
        self.put(key, &count);
    }

    /// Adds what another has counted.
    pub(super) fn add(&mut self, other: Logons) {
        self.events += other.events;
        other.counts.into_iter().for_each(|(key, count)| self.put(key, &count));
    }

    fn put(&mut self, key: Key, more: &Count) {
        let is_full = self.counts.len() >= KEYS_MAX && !self.counts.contains_key(&key);
        let key = if is_full { Key { account: "*".into(), source: "*".into(), ..key } } else { key };
        let count = self.counts.entry(key).or_insert_with(|| Count { first: more.first, ..Count::default() });
        count.failures += more.failures;
        count.successes += more.successes;
        count.reached += more.reached;
        count.ended += more.ended;
        count.first = count.first.min(more.first);
        count.last = count.last.max(more.last);
    }

    /// Tells them, those with most failures first.
    pub(super) fn tell(&self, output: Output, lang: Lang) -> anyhow::Result<()> {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by(|(key, count), (other_key, other)| {
            (other.failures, other.successes)
                .cmp(&(count.failures, count.successes))
                .then_with(|| key.cmp(other_key))
        });
        for (key, count) in &all {
            output.line(&Line { kind: "logons", key, count })?;
        }
        if output == Output::People && !all.is_empty() {
            output.say(table(&all, lang));
        }
        Ok(())
    }
}

fn table(all: &[(&Key, &Count)], lang: Lang) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(lang.pick(
        ["account", "from", "host", "protocol", "failed", "logged in", "first", "last"],
        ["アカウント", "接続元", "接続先", "方式", "失敗", "成功", "最初", "最後"],
    ));
    for (key, count) in all.iter().take(LINES_MAX) {
        let at = |at| Timestamp::from_microsecond(at).map(|at| format!("{at:.0}")).unwrap_or_default();
        table.add_row([
            printable(&key.account),
            printable(&key.source),
            printable(&key.host),
            format!("{:?}", key.protocol),
            count.failures.to_string(),
            count.successes.to_string(),
            at(count.first),
            at(count.last),
        ]);
    }
    let more = all.len().saturating_sub(LINES_MAX);
    let rest = match more {
        0 => String::new(),
        _ => lang.pick(
            format!("\n… and {more} more (all of them with --json)"),
            format!("\nほか {more} 件（--json ですべて表示）"),
        ),
    };
    format!("{table}{rest}")
}

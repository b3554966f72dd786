//! What one process said before: programs tell who came and what became of him in several lines.
//!
//! A bounded table. When it is full the oldest entry of a row gives way, which costs an address or counts an attempt twice,
//! never more.

use std::net::IpAddr;

use schema::{AuthReason, Micros};

use super::line::Line;

/// Rows of four; some 300 kB at most.
const ROWS: usize = 512;
const WAYS: usize = 4;
/// Numbers of processes come again; what is older belongs to another one.
const AGE_MAX: Micros = 600 * 1_000_000;
/// Attempts that wait for their end.
const HELD_MAX: u8 = 8;

/// Processes that said something which belongs to a later line.
#[derive(Debug, Default)]
pub(super) struct Join {
    /// Empty until the first entry.
    table: Vec<Option<Box<Entry>>>,
}

/// What a process said.
#[derive(Debug, Default)]
pub(super) struct Entry {
    key: u64,
    at: Micros,
    /// Who is at the other end.
    pub(super) source: Option<IpAddr>,
    /// What PAM refused, for `account`: a failure unless the same account is let in, or the program says it itself.
    pub(super) held: u8,
    /// A failure without an address, which waits for one.
    pub(super) pending: Option<AuthReason>,
    /// Whose.
    pub(super) account: String,
    /// A failure of this process was told, in more words than those that follow.
    pub(super) is_told: bool,
    /// The next line is about the attempt that was told.
    pub(super) is_same: bool,
}

impl Entry {
    /// Another attempt that PAM refused.
    pub(super) fn hold(&mut self, account: &str, source: Option<IpAddr>) {
        self.account.clear();
        self.account.push_str(account);
        self.source = source.or(self.source);
        self.held = self.held.saturating_add(1).min(HELD_MAX);
    }
}

impl Join {
    /// What the process of this line said.
    pub(super) fn find(&mut self, line: &Line<'_>) -> Option<&mut Entry> {
        if self.table.is_empty() || line.pid.is_empty() {
            return None;
        }
        let key = key(line);
        let row = self.table.get_mut(row(key))?.iter_mut().flatten();
        row.map(Box::as_mut)
            .find(|entry| entry.key == key && line.at.saturating_sub(entry.at).abs() < AGE_MAX)
    }

    /// The same, made where there is none. Lines without a process have none.
    pub(super) fn open(&mut self, line: &Line<'_>) -> Option<&mut Entry> {
        if line.pid.is_empty() {
            return None;
        }
        if self.table.is_empty() {
            self.table.resize_with(ROWS * WAYS, || None);
        }
        let key = key(line);
        let row = self.table.get_mut(row(key))?;
        let is_it = |slot: &Option<Box<Entry>>| slot.as_ref().is_some_and(|entry| entry.key == key);
        let place =
            row.iter().position(is_it).or_else(|| row.iter().position(Option::is_none)).unwrap_or_else(
                || {
                    let age = |slot: &Option<Box<Entry>>| slot.as_ref().map(|entry| entry.at);
                    (0..row.len()).min_by_key(|at| row.get(*at).and_then(age)).unwrap_or(0)
                },
            );
        let entry = row.get_mut(place)?.get_or_insert_default();
        if entry.key != key || line.at.saturating_sub(entry.at).abs() >= AGE_MAX {
            let account = std::mem::take(&mut entry.account);
            **entry = Entry { key, account, ..Entry::default() };
            entry.account.clear();
        }
        entry.at = line.at;
        Some(entry)
    }

    /// The process has ended.
    pub(super) fn close(&mut self, line: &Line<'_>) {
        if let Some(entry) = self.find(line) {
            // The age of another time: it is taken next, and its memory with it.
            entry.at = Micros::MIN;
            entry.key = 0;
        }
    }
}

fn row(key: u64) -> std::ops::Range<usize> {
    let start = (key >> 40) as usize % ROWS * WAYS;
    start..start + WAYS
}

/// Numbers are given by the kernel, so that nobody can fill one row on purpose from outside.
fn key(line: &Line<'_>) -> u64 {
    let bytes = line.host.bytes().chain([0]).chain(line.pid.bytes());
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: &str, at: Micros) -> Line<'_> {
        Line { at, host: "emr1", program: "sshd", pid, text: "" }
    }

    #[test]
    fn a_process_is_found_again_until_it_ends_or_its_number_is_old() {
        let mut join = Join::default();
        assert!(join.find(&line("7", 0)).is_none());
        join.open(&line("7", 0)).unwrap().hold("root", None);
        join.open(&line("7", 1)).unwrap().hold("root", None);
        let entry = join.find(&line("7", 2)).unwrap();
        assert_eq!((entry.held, entry.account.as_str()), (2, "root"));
        assert!(join.find(&line("8", 2)).is_none() && join.find(&line("7", 1 + AGE_MAX)).is_none());
        assert_eq!(join.open(&line("7", 1 + AGE_MAX)).unwrap().held, 0);
        join.close(&line("7", 1 + AGE_MAX));
        assert!(join.find(&line("7", 1 + AGE_MAX)).is_none() && join.open(&line("", 0)).is_none());
    }

    #[test]
    fn the_table_does_not_grow() {
        let mut join = Join::default();
        for pid in 0..100_000 {
            join.open(&line(&pid.to_string(), pid)).unwrap();
        }
        assert_eq!(join.table.len(), ROWS * WAYS);
        assert!(join.find(&line("99999", 99_999)).is_some() && join.find(&line("0", 99_999)).is_none());
    }
}

//! Processes as /proc shows them.

use std::fs;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) command: String,
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// proc_pid_stat(5) field 22.
    pub(crate) start_ticks: u64,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    /// The name may hold blanks and parentheses, so it ends at the last one.
    fn parse(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// Stopped, dead, or gone: it does nothing more.
    pub(crate) fn stands_still(pid: i32, start_ticks: u64) -> bool {
        match Self::of(pid) {
            Some(process) if process.start_ticks == start_ticks => {
                matches!(process.state, 'T' | 't' | 'Z' | 'X')
            }
            _ => true,
        }
    }
}

/// Every process that can be seen.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Process::of)
        .collect()
}

/// `roots` and all that descend from them.
pub(crate) fn tree(roots: &[(i32, u64)]) -> Vec<Process> {
    let all = all();
    let mut tree: Vec<Process> =
        all.iter().filter(|process| roots.contains(&(process.pid, process.start_ticks))).cloned().collect();
    let mut at = 0;
    while let Some(parent) = tree.get(at).map(|process| process.pid) {
        for child in all.iter().filter(|process| process.parent == parent) {
            if !tree.iter().any(|known| known.pid == child.pid) {
                tree.push(child.clone());
            }
        }
        at += 1;
    }
    tree
}

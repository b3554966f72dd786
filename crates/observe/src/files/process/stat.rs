//! One process as proc_pid_stat(5) shows it.

use super::whole;

/// One line of proc_pid_stat(5), as far as the guard needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process or thread id.
    pub pid: i32,
    /// Name of the command, at most 15 bytes.
    pub command: String,
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub state: char,
    /// Parent's process id.
    pub parent: i32,
    /// Process group; equal to `pid` in the leader of a job.
    pub group: i32,
    /// Session id; equal to `pid` in a session leader.
    pub session: i32,
    /// Controlling terminal, 0 for none.
    pub terminal: i32,
    /// It was forked and has not replaced its program since: it runs what its parent ran then. No program can undo that.
    pub forked: bool,
    /// Clock ticks since boot.
    pub start_ticks: u64,
}

/// `PF_FORKNOEXEC` of linux/sched.h; proc_pid_stat(5) shows it in field 9, also of a process that has ended.
const FORKED: u32 = 0x40;

impl Stat {
    /// Of a process or a thread that lives.
    pub fn of(pid: i32) -> Option<Self> {
        Self::parse(&whole(&format!("/proc/{pid}/stat"))?)
    }

    /// Of a process that has ended, as far as its birth tells.
    pub(super) fn of_departed(pid: i32, parent: i32, start_ticks: u64) -> Self {
        let command = String::new();
        Self {
            pid,
            command,
            state: 'X',
            parent,
            group: 0,
            session: 0,
            terminal: 0,
            forked: false,
            start_ticks,
        }
    }

    /// It is [`Stat::of_departed`].
    pub(super) fn has_departed(&self) -> bool {
        self.state == 'X'
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        // The name may hold blanks and parentheses, so it ends at the last one.
        let (pid, rest) = text.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            terminal: fields.get(4)?.parse().ok()?,
            forked: fields.get(6)?.parse::<u32>().ok()? & FORKED != 0,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_command_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = b"42 (a) (b c) S 7 42 41 34816 42 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200 1\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.command.as_str(), stat.parent, stat.group, stat.session, stat.terminal, stat.start_ticks),
            ("a) (b c", 7, 42, 41, 34816, 987_654)
        );
        assert!(!stat.forked);
        assert_eq!(Stat::parse(b"42 (cut off"), None);
    }

    #[test]
    fn a_fork_is_told_from_a_program_that_was_started_also_when_it_has_ended() {
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(!own.forked);
        // The subshell runs what the shell runs; `cat` is a program of its own. The shell becomes one that waits for nobody, before
        // either ends.
        for (line, forked) in [("( read line <&3 )", true), ("cat <&3", false)] {
            let mut shell = Command::new("sh")
                .args(["-c", &format!("exec 3<&0; {line} & echo $!; exec sleep 60 >/dev/null")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let shells = i32::try_from(shell.id()).unwrap();
            let mut pid = String::new();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
            let pid = pid.trim().parse().unwrap();
            let end = Instant::now() + Duration::from_secs(30);
            while Stat::of(shells).unwrap().command != "sleep" && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            drop(shell.stdin.take());
            let ended = loop {
                let stat = Stat::of(pid).filter(|stat| stat.state == 'Z');
                if stat.is_some() || Instant::now() > end {
                    break stat;
                }
                thread::sleep(Duration::from_millis(5));
            };
            shell.kill().unwrap();
            shell.wait().unwrap();
            assert_eq!(ended.map(|stat| stat.forked), Some(forked), "{line}");
        }
    }
}

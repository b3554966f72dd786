//! What a waiting open asked for.

use std::fs;
use std::time::Duration;

/// In place of a call while the thread is not yet asleep.
pub(in crate::files) const RUNNING: &str = "running";
pub(in crate::files) const CALL_TRIES: u32 = 100;
pub(in crate::files) const CALL_PAUSE: Duration = Duration::from_micros(100);

/// What an open may do to the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// It can only read.
    Read,
    /// It may write, or nobody can tell.
    Write,
}

/// What the open asked for that thread `tid` is waiting in.
pub(in crate::files) fn intent(tid: i32) -> Intent {
    call_of(tid).as_deref().and_then(parse_syscall).unwrap_or(Intent::Write)
}

/// proc_pid_syscall(5) of a thread that waits. Its event may arrive before it has gone to sleep, and on a busy machine long before.
pub(in crate::files) fn call_of(tid: i32) -> Option<String> {
    for _ in 0..CALL_TRIES {
        let line = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
        if !line.starts_with(RUNNING) {
            return Some(line);
        }
        std::thread::sleep(CALL_PAUSE);
    }
    None
}

/// What an open asked for, from a line of proc_pid_syscall(5).
///
/// Only flags passed in a register are believed: `openat2` takes them from memory that another thread could change after
/// the kernel has read it. What cannot be told (io_uring, a 32-bit process, a kernel thread) counts as a write.
pub(in crate::files) fn parse_syscall(line: &str) -> Option<Intent> {
    let mut fields = line.split_ascii_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    let mut arguments = fields.map(|field| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok());
    let flags = if number == libc::SYS_openat {
        arguments.nth(2)??
    } else if is_old_open(number) {
        arguments.nth(1)??
    } else if number == libc::SYS_execve || number == libc::SYS_execveat {
        return Some(Intent::Read);
    } else {
        return None;
    };
    let flags = i32::try_from(flags & 0x7fff_ffff).ok()?;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_TRUNC | libc::O_CREAT) != 0;
    Some(if writes { Intent::Write } else { Intent::Read })
}

#[cfg(target_arch = "x86_64")]
fn is_old_open(number: i64) -> bool {
    number == libc::SYS_open
}

/// Newer architectures have openat only.
#[cfg(not(target_arch = "x86_64"))]
fn is_old_open(_: i64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_that_surely_reads_is_a_read() {
        let openat = libc::SYS_openat;
        for (line, expected) in [
            (format!("{openat} 0xffffff9c 0x7ffe 0x80000 0x0 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Read)),
            (format!("{openat} 0xffffff9c 0x7ffe 0x80241 0x1b6 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Write)),
            (format!("{openat} 0xffffff9c 0x7ffe 0x200 0x0 0x0 0x0 0x7ffd 0x7f"), Some(Intent::Write)),
            (format!("{} 0xffffff9c 0x7ffe 0x7fff 0x18 0x0 0x0 0x7ffd 0x7f", libc::SYS_openat2), None),
            ("running".to_owned(), None),
            ("-1 0x7ffd 0x7f".to_owned(), None),
        ] {
            assert_eq!(parse_syscall(&line), expected, "{line}");
        }
    }
}

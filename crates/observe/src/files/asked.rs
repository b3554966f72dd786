//! What waiting opens asked for, looked up through descriptors that are kept.
//!
//! Opening `/proc/TID/syscall` costs ten times as much as reading it, and a job opens thousands of files from one thread. The descriptor
//! belongs to the thread itself, not to its number: once the thread has ended, reading gives ESRCH even where the number was given out
//! again, and then the file is opened anew.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::pread;

use super::process::{CALL_PAUSE, CALL_TRIES, Intent, RUNNING, parse_syscall};

/// Threads that are remembered: more than work on one tree at a time, and few enough to search one by one.
const KEPT_MAX: usize = 16;
/// A line of proc_pid_syscall(5): a number and eight more in hexadecimal.
const LINE_MAX: usize = 256;

/// The memory of threads that opened something lately, newest first.
#[derive(Debug, Default)]
pub struct Asked {
    kept: Vec<(i32, OwnedFd)>,
}

impl Asked {
    /// What the open asked for that thread `tid` is waiting in.
    pub fn intent(&mut self, tid: i32) -> Intent {
        if let Some(at) = self.kept.iter().position(|(known, _)| *known == tid) {
            let intent = self.kept.get(at).and_then(|(_, file)| read(file));
            if let Some(intent) = intent {
                self.kept.get_mut(..=at).unwrap_or_default().rotate_right(1);
                return intent;
            }
            self.kept.remove(at);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(file) = openat(CWD, format!("/proc/{tid}/syscall"), flags, Mode::empty()) else {
            return Intent::Write;
        };
        let intent = read(&file);
        if intent.is_some() {
            self.kept.truncate(KEPT_MAX - 1);
            self.kept.insert(0, (tid, file));
        }
        intent.unwrap_or(Intent::Write)
    }
}

/// `None` when the thread has ended.
fn read(file: &OwnedFd) -> Option<Intent> {
    let mut line = [0; LINE_MAX];
    for _ in 0..CALL_TRIES {
        let len = pread(file, &mut line, 0).ok()?;
        let line = line.get(..len).filter(|line| !line.is_empty())?;
        if !line.starts_with(RUNNING.as_bytes()) {
            return Some(std::str::from_utf8(line).ok().and_then(parse_syscall).unwrap_or(Intent::Write));
        }
        // Its event may arrive before it has gone to sleep.
        std::thread::sleep(CALL_PAUSE);
    }
    Some(Intent::Write)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;

    struct Waiter(Child);

    impl Drop for Waiter {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_kept_thread_is_told_by_what_it_asks_for_now_and_a_dead_one_counts_as_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = dir.path().join(name);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(0o600), 0).unwrap();
            path
        };
        let (first, second) = (pipe("first"), pipe("second"));
        // One thread that waits in the open of a pipe for reading, and once that is done, of another for writing.
        let script = "exec 3<\"$0\"; exec 4>\"$1\"";
        let shell = Command::new("sh").args(["-c", script]).args([&first, &second]).spawn().unwrap();
        let tid = i32::try_from(shell.id()).unwrap();
        let shell = Waiter(shell);
        let mut asked = Asked::default();
        let mut until = |expected| {
            let end = Instant::now() + Duration::from_secs(20);
            while asked.intent(tid) != expected {
                assert!(Instant::now() < end, "never {expected:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until(Intent::Read);
        let kept_open = OpenOptions::new().write(true).open(&first).unwrap();
        until(Intent::Write);
        drop((shell, kept_open));
        assert_eq!(asked.intent(tid), Intent::Write);
        assert!(asked.kept.is_empty(), "a thread that has ended is forgotten");
    }
}

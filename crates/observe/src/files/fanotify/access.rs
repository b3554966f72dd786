//! What a call that waits for `FAN_PRE_ACCESS` is about to do: read, or change what the file holds.

use std::collections::HashMap;

use super::super::process::call_of;

/// After so many pieces of one file the judging thread is asked to keep the file, so that nobody need ask for more of them.
const PIECES_MAX: u16 = 256;
const FILES_MAX: usize = 1024;
/// The kernel rounds to whole pages: truncation of a file is told as one page.
const PAGE: u64 = 4096;

/// What the access may do to the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It can only read.
    Read,
    /// It may change the content, or nobody can tell.
    Change,
}

/// What thread `tid` waits in, by proc_pid_syscall(5); only looked at where the number of bytes does not tell.
pub(super) fn access(tid: i32, bytes: Option<u64>) -> Access {
    // A truncation is about one page. More than one is a read, or a write through a descriptor whose open was held.
    if bytes.is_some_and(|bytes| bytes > PAGE) {
        return Access::Read;
    }
    parse(&call_of(tid).unwrap_or_default())
}

fn parse(line: &str) -> Access {
    let number: Option<i64> = line.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    match number {
        // A mapping changes nothing by itself: it needs a descriptor whose open was judged.
        Some(
            libc::SYS_read
            | libc::SYS_pread64
            | libc::SYS_readv
            | libc::SYS_preadv
            | libc::SYS_preadv2
            | libc::SYS_sendfile
            | libc::SYS_mmap
            | libc::SYS_readahead
            | libc::SYS_fadvise64
            | libc::SYS_madvise
            | libc::SYS_execve
            | libc::SYS_execveat,
        ) => Access::Read,
        _ => Access::Change,
    }
}

/// Counts reads of files that are asked for piece by piece.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    counts: HashMap<(u64, u64), u16>,
}

impl Pieces {
    /// `true` when this piece is one too many.
    pub(super) fn is_enough(&mut self, key: (u64, u64)) -> bool {
        if self.counts.len() >= FILES_MAX && !self.counts.contains_key(&key) {
            self.counts.clear();
        }
        let count = self.counts.entry(key).or_default();
        *count += 1;
        let enough = *count >= PIECES_MAX;
        if enough {
            self.counts.remove(&key);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_reads_is_a_read() {
        for (number, expected) in [
            (libc::SYS_read, Access::Read),
            (libc::SYS_pread64, Access::Read),
            (libc::SYS_mmap, Access::Read),
            (libc::SYS_write, Access::Change),
            (libc::SYS_ftruncate, Access::Change),
            (libc::SYS_truncate, Access::Change),
            (libc::SYS_io_uring_enter, Access::Change),
            (libc::SYS_copy_file_range, Access::Change),
        ] {
            assert_eq!(parse(&format!("{number} 0x3 0x7ffe 0x1000 0x0 0x0 0x0 0x7ffd 0x7f")), expected);
        }
        for unknown in ["running", "", "-1 0x7ffd 0x7f"] {
            assert_eq!(parse(unknown), Access::Change, "{unknown}");
        }
    }

    #[test]
    fn a_file_that_is_read_in_many_pieces_is_told_of_once_in_a_while() {
        let mut pieces = Pieces::default();
        let told = (0..600).filter(|_| pieces.is_enough((1, 2))).count();
        assert_eq!(told, 2);
        for inode in 0..10_000 {
            assert!(!pieces.is_enough((1, inode)));
        }
        assert!(pieces.counts.len() <= FILES_MAX);
    }
}

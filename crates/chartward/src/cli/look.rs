//! What `ls`, `find`, `diff` and `dump` share: which snapshots are meant, and how an entry reads in one line.

use std::io::{BufWriter, StdoutLock, Write};
use std::ops::ControlFlow;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use recover::vault::{Entry, Snapshot, Unlisted};
use schema::Lang;

use crate::output::printable;

/// Folders that could not be listed, named one by one.
const NAMED_MAX: usize = 50;

/// Names what could not be listed, the first fifty one by one.
#[derive(Default)]
pub(crate) struct Unread {
    seen: Vec<std::path::PathBuf>,
    more: u64,
}

impl Unread {
    pub(crate) fn name(&mut self, unlisted: &Unlisted, lang: Lang) {
        if self.seen.contains(&unlisted.path) {
            return;
        }
        if self.seen.len() == NAMED_MAX {
            self.more += 1;
            return;
        }
        self.seen.push(unlisted.path.clone());
        let path = printable(&unlisted.path.to_string_lossy());
        let what = lang.pick("cannot list", "一覧を読み取れません");
        eprintln!("chartward: {what}: {path}: {}", unlisted.error);
    }

    /// Whether there was none; tells how many were not named.
    pub(crate) fn finish(self, lang: Lang) -> bool {
        if self.more > 0 {
            let more = self.more;
            eprintln!("chartward: {}", lang.pick(format!("and {more} more"), format!("ほか {more} 件")));
        }
        self.seen.is_empty()
    }
}

/// Tells what is found as it is found, and what cannot be listed. Ends when nobody reads any more, or nothing can be written.
pub(crate) struct Telling {
    pub(crate) out: BufWriter<StdoutLock<'static>>,
    lang: Lang,
    unread: Unread,
    failure: Option<anyhow::Error>,
}

impl Telling {
    pub(crate) fn new(lang: Lang) -> Telling {
        let out = BufWriter::new(std::io::stdout().lock());
        Telling { out, lang, unread: Unread::default(), failure: None }
    }

    /// Takes the next find; `tell` writes it and says whether anybody reads on.
    pub(crate) fn take<T>(
        &mut self,
        found: Result<T, &Unlisted>,
        tell: impl FnOnce(&mut BufWriter<StdoutLock<'static>>, T) -> anyhow::Result<bool>,
    ) -> ControlFlow<()> {
        let told = match found {
            Ok(found) => tell(&mut self.out, found),
            Err(unlisted) => {
                self.unread.name(unlisted, self.lang);
                return ControlFlow::Continue(());
            }
        };
        match told {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// An error if something could not be written.
    pub(crate) fn written(&mut self) -> anyhow::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Writes what is left.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        match self.out.flush() {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether everything could be listed; tells what was not named.
    pub(crate) fn finish(self) -> bool {
        self.unread.finish(self.lang)
    }
}

/// Snapshots by what was asked for; all of them when nothing was.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Filter {
    /// Only snapshots of this host
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Only snapshots with this tag
    #[arg(long, value_name = "T")]
    tag: Vec<String>,
    /// Only snapshots of this folder
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
}

impl Filter {
    pub(crate) fn takes(&self, snapshot: &Snapshot) -> bool {
        let is_one = |wanted: &[String], has: &[String]| {
            wanted.is_empty() || wanted.iter().any(|wanted| has.contains(wanted))
        };
        is_one(&self.host, std::slice::from_ref(&snapshot.hostname))
            && is_one(&self.tag, &snapshot.tags)
            && is_one(&self.path, &snapshot.paths)
    }
}

/// One line of a long listing.
pub(crate) fn long_line(entry: &Entry) -> String {
    let time = entry.mtime().to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
    let target = entry.link_target().map(|to| format!(" -> {}", printable(&to.to_string_lossy())));
    format!(
        "{} {:>5} {:>5} {:>12} {time} {}{}",
        entry.permissions(),
        entry.uid(),
        entry.gid(),
        entry.size(),
        printable(&entry.path.to_string_lossy()),
        target.unwrap_or_default()
    )
}

/// A moment as it is typed: `2018-10-16`, `2018-10-16 05:40:00` in the machine's time zone, or with a zone of its own.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok().map(|z| z.timestamp());
    text.parse()
        .ok()
        .or_else(local)
        .ok_or_else(|| format!("{text} is not a time such as 2018-10-16 05:40:00"))
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    let mut rest = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} TiB")
}

/// A line of `stdout`; `false` when nobody reads any more.
pub(crate) fn print(out: &mut impl std::io::Write, line: &[u8]) -> anyhow::Result<bool> {
    match out.write_all(line).and_then(|()| out.write_all(b"\n")) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to the output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        for text in ["2018-10-16T05:40:00Z", "2018-10-16", "2018-10-16 05:40", "2018-10-16T14:40:00+09:00"] {
            assert!(moment(text).is_ok(), "{text}");
        }
        for text in ["", "yesterday", "2018-13-01"] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert_eq!(moment("2018-10-16T14:40:00+09:00"), moment("2018-10-16T05:40:00Z"));
    }

    #[test]
    fn bytes_are_written_with_their_unit() {
        for (count, expected) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")] {
            assert_eq!(bytes(count), expected);
        }
    }
}

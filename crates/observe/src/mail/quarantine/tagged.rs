//! Mails that were delivered with a mark: when, what they were and for whom, so that they can be counted. One line of JSON each, a file for
//! each day, kept as long as held mail.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schema::MailVerdict;
use serde::{Deserialize, Serialize};

use super::{Store, failed};
use crate::Error;

const FOLDER: &str = "tagged";
/// A day of a hundred thousand marked mails; what comes on top is not counted.
const DAY_BYTES_MAX: u64 = 16 << 20;
const RECIPIENTS_MAX: usize = 1_000;

/// A mail that was delivered with a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// When it came.
    pub at: Timestamp,
    /// What it is.
    pub verdict: MailVerdict,
    /// Whom it was delivered to.
    pub to: Vec<String>,
}

impl Store {
    /// Writes it down to be counted.
    pub fn note_tagged(&self, tagged: &Tagged) -> Result<(), Error> {
        let failed = failed(&self.dir, "count a marked mail in");
        let folder = self.dir.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let to = tagged.to.iter().take(RECIPIENTS_MAX).cloned().collect();
        let mut line =
            serde_json::to_vec(&Tagged { to, ..*tagged }).map_err(|source| failed(source.into()))?;
        line.push(b'\n');
        let path = folder.join(name(day(tagged.at)));
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > DAY_BYTES_MAX {
            return Ok(());
        }
        file.write_all(&line).map_err(failed)
    }

    /// Looks at each that came from `from` on and before `until`. What cannot be read is left out.
    pub fn each_tagged(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut look: impl FnMut(&Tagged),
    ) -> Result<(), Error> {
        let (first, last) = (day(from), day(until));
        for (date, path) in self.tagged_days()? {
            let Some(file) =
                Some(date).filter(|date| (first..=last).contains(date)).map(|_| File::open(path))
            else {
                continue;
            };
            let reader = BufReader::new(file.map_err(failed(&self.dir, "read"))?.take(2 * DAY_BYTES_MAX));
            let tagged = reader.split(b'\n').map_while(Result::ok);
            let tagged = tagged.filter_map(|line| serde_json::from_slice::<Tagged>(&line).ok());
            tagged.filter(|it| (from..until).contains(&it.at)).for_each(|it| look(&it));
        }
        Ok(())
    }

    /// Forgets days that are older than this.
    pub(super) fn forget_tagged(&self, now: Timestamp, for_: SignedDuration) {
        let Ok(days) = self.tagged_days() else { return };
        let oldest = now.checked_sub(for_).map(day);
        for (date, path) in days {
            if oldest.as_ref().is_ok_and(|oldest| date < *oldest) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn tagged_days(&self) -> Result<Vec<(Date, std::path::PathBuf)>, Error> {
        let entries = match fs::read_dir(self.dir.join(FOLDER)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.dir, "list")(error)),
        };
        let day = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let date = Date::strptime("%Y-%m-%d", name.strip_suffix(".jsonl")?).ok()?;
            Some((date, entry.path()))
        };
        let mut days: Vec<_> = entries.flatten().filter_map(day).collect();
        days.sort();
        Ok(days)
    }
}

/// Days are counted in UTC: a file is no more than a part of what is looked through.
fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn name(day: Date) -> String {
    format!("{day}.jsonl")
}

#[cfg(test)]
mod tests {
    use super::super::Keeping;
    use super::*;

    #[test]
    fn marked_mails_are_counted_by_when_they_came_and_forgotten_like_held_ones() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::make(dir.path(), Keeping::default()).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (first, second) = (at("2026-11-01T23:59:59Z"), at("2026-11-02T00:00:01Z"));
        let seen = |from, until| {
            let mut seen = Vec::new();
            store.each_tagged(from, until, |it| seen.push(it.at)).unwrap();
            seen
        };
        assert!(seen(first, second).is_empty(), "nothing was ever marked");
        for at in [first, second] {
            let to = vec!["a@hospital.invalid".to_owned()];
            store.note_tagged(&Tagged { at, verdict: MailVerdict::Suspicious, to }).unwrap();
        }
        let file = dir.path().join("tagged/2026-11-02.jsonl");
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"cut\n").unwrap();
        assert_eq!(seen(at("2026-11-01T00:00:00Z"), at("2026-11-03T00:00:00Z")), [first, second]);
        assert_eq!(seen(second, at("2026-11-03T00:00:00Z")), [second]);
        store.expire(at("2026-12-02T12:00:00Z")).unwrap();
        assert_eq!(seen(first, at("2026-11-03T00:00:00Z")), [second]);
        assert!(file.exists());
    }
}

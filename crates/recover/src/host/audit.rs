//! What happened at the host that somebody may want to know: chained lines, and no flood of them.

use std::collections::HashMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use crate::Error;

/// The same about the same client is written at most so often, with how many times it happened.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// A line of the audit file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noted {
    /// The host's clock.
    pub at: Timestamp,
    /// What happened, such as `removal-refused`.
    pub what: String,
    /// Whose repository or key; empty when that is not known.
    pub client: String,
    /// Who did it.
    pub by: String,
    /// In words.
    pub detail: String,
    /// How many times since the last such line.
    pub times: u64,
}

#[derive(Debug)]
pub(super) struct Audit {
    chain: Chain,
    lately: HashMap<(String, String), (Timestamp, u64)>,
}

impl Audit {
    pub(super) fn open(root: &Path) -> Result<Audit, Error> {
        Ok(Audit { chain: Chain::open(&root.join("audit.jsonl"))?, lately: HashMap::new() })
    }

    /// Notes what a person did: always, and each by itself.
    pub(super) fn note(&mut self, what: &str, client: &str, by: &str, detail: &str) -> Result<Noted, Error> {
        self.write(what, client, by, detail, 1)
    }

    /// Notes what a program does, perhaps thousands of times a minute; the line that was written, if one was.
    pub(super) fn note_often(
        &mut self,
        what: &str,
        client: &str,
        by: &str,
        detail: &str,
    ) -> Result<Option<Noted>, Error> {
        let now = Timestamp::now();
        let lately = self.lately.entry((what.to_owned(), client.to_owned())).or_insert((Timestamp::MIN, 0));
        lately.1 += 1;
        if now.duration_since(lately.0) < AGAIN_AFTER {
            return Ok(None);
        }
        let times = std::mem::take(&mut lately.1);
        lately.0 = now;
        self.write(what, client, by, detail, times).map(Some)
    }

    fn write(
        &mut self,
        what: &str,
        client: &str,
        by: &str,
        detail: &str,
        times: u64,
    ) -> Result<Noted, Error> {
        let [what, client, by, detail] = [what, client, by, detail].map(str::to_owned);
        let noted = Noted { at: Timestamp::now(), what, client, by, detail, times };
        self.chain.hold(|_, _: serde::de::IgnoredAny| ())?.append(std::slice::from_ref(&noted))?;
        Ok(noted)
    }

    pub(super) fn all(root: &Path) -> Result<(Vec<Noted>, Option<u64>), Error> {
        let mut chain = Chain::open(&root.join("audit.jsonl"))?;
        let mut all = Vec::new();
        chain.hold(|_, noted: Noted| all.push(noted))?;
        Ok((all, chain.broken_at()))
    }
}

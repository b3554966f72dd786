//! Requests to forget what was learnt of logons: lines that people leave, each with its time, for the watcher of logs.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use judge::logins::Forget;
use schema::Micros;
use serde::{Deserialize, Serialize};

use super::FOLDER;

/// Below the folder of logons.
pub(crate) const FILE: &str = "forget.jsonl";
const BYTES_MAX: u64 = 1 << 20;
/// The last ones are kept: a watcher that is down takes them in later.
const REQUESTS_MAX: usize = 1_000;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// When, and its number: no two are the same.
    pub(crate) at: Micros,
    pub(crate) what: Forget,
}

/// Leaves a request.
pub(crate) fn ask(state: &Path, what: &Forget, now: Timestamp) -> anyhow::Result<()> {
    let _alone = super::alone(state)?;
    let folder = state.join(FOLDER);
    let mut all = since(&folder, Micros::MIN)?;
    let at = all.last().map_or(0, |last| last.at.saturating_add(1)).max(now.as_microsecond());
    all.push(Request { at, what: what.clone() });
    let surplus = all.len().saturating_sub(REQUESTS_MAX);
    let mut text = String::new();
    for request in &all[surplus..] {
        text += &serde_json::to_string(request)?;
        text.push('\n');
    }
    let new = folder.join("forget.new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, folder.join(FILE)))
        .with_context(|| format!("leave the request in {}", folder.display()))
}

/// Requests after a time, oldest first. `folder` is that of logons itself.
pub(crate) fn since(folder: &Path, after: Micros) -> anyhow::Result<Vec<Request>> {
    let path = folder.join(FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.with_context(|| format!("read {}", path.display()))?,
    };
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).with_context(|| format!("read {}", path.display()))?;
    let requests = text.lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
    Ok(requests.filter(|request| request.at > after).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_in_order_with_times_of_their_own_and_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        assert!(since(&folder, 0).unwrap().is_empty());
        let now = Timestamp::from_second(10).unwrap();
        let asked = [Forget::Account("suzuki".into()), Forget::All];
        asked.iter().for_each(|what| ask(dir.path(), what, now).unwrap());
        let all = since(&folder, 0).unwrap();
        assert_eq!(all.iter().map(|request| request.what.clone()).collect::<Vec<_>>(), asked);
        assert_eq!(since(&folder, all[0].at).unwrap(), all[1..]);
        for _ in 0..REQUESTS_MAX {
            ask(dir.path(), &Forget::All, now).unwrap();
        }
        let kept = since(&folder, 0).unwrap();
        assert_eq!(kept.len(), REQUESTS_MAX);
        assert!(kept.iter().all(|request| request.what == Forget::All));
    }
}

//! What the detectors of logons remember from one start to the next, for whoever runs them: the watcher of logs, and `chartward logons learn`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use judge::logins::{Detectors, Rules};

use super::FOLDER;
use super::grants::Grants;
use super::shown::{Shown, asked_to_forget};

/// The tables' bounds, written out, take less than a third of it.
const BYTES_MAX: u64 = 256 << 20;

/// The detectors with what they remember and what is open for contractors. A memory of another version is no error: they learn anew.
pub(crate) fn load(state: &Path, rules: &Rules) -> anyhow::Result<Detectors> {
    let rules = Rules { grants: Grants::load(state)?.grants, ..rules.clone() };
    let file = state.join(FOLDER).join("state.json");
    let opened = match File::open(&file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Detectors::new(&rules)),
        Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
    };
    let mut bytes = Vec::new();
    opened.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        bail!("{} is larger than any memory of the detectors", file.display());
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(kept) => Detectors::resume(&rules, kept),
        Err(_) => Detectors::new(&rules),
    })
}

/// Takes in what people asked to be forgotten and what was opened or closed since the last time; says how many pairs were forgotten.
pub(crate) fn look(state: &Path, detectors: &mut Detectors, now: Timestamp) -> anyhow::Result<usize> {
    detectors.set_grants(Grants::load(state)?.grants);
    let asked = asked_to_forget(state)?;
    Ok(asked.iter().map(|what| detectors.forget(what, now.as_microsecond())).sum())
}

/// Puts what they remember on the disk, whole or not at all, and what pages show of it.
pub(crate) fn save(state: &Path, detectors: &Detectors, now: Timestamp) -> anyhow::Result<()> {
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let new = folder.join("state.new");
    fs::write(&new, serde_json::to_vec(detectors.state())?)
        .with_context(|| format!("write {}", new.display()))?;
    fs::rename(&new, folder.join("state.json")).context("keep what the detectors of logons remember")?;
    Shown::of(detectors, now).save(state)
}

#[cfg(test)]
mod tests {
    use judge::logins::Forget;
    use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};

    use super::*;
    use crate::wiring::logins::shown::ask_to_forget;

    #[test]
    fn what_was_learnt_outlives_a_restart_and_is_forgotten_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let rules = Rules::default();
        let mut detectors = load(dir.path(), &rules).unwrap();
        let event = AuthEvent {
            at: 1_000_000,
            host: "emr01",
            protocol: AuthProtocol::Rdp,
            outcome: AuthOutcome::Success,
            reason: AuthReason::None,
            account: Some("suzuki"),
            domain: None,
            source: "10.1.1.7".parse().ok(),
            workstation: None,
            logon_type: Some(10),
            session: None,
        };
        detectors.step(&event, 0, &mut Vec::new());
        let now = Timestamp::from_second(10).unwrap();
        save(dir.path(), &detectors, now).unwrap();
        let mut again = load(dir.path(), &rules).unwrap();
        assert_eq!(again.learnt(), detectors.learnt());
        assert_eq!(Shown::load(dir.path()).unwrap().learnt.len(), 3);
        ask_to_forget(dir.path(), &Forget::Account("suzuki".into())).unwrap();
        assert_eq!(look(dir.path(), &mut again, now).unwrap(), 2);
        assert_eq!(look(dir.path(), &mut again, now).unwrap(), 0);
        std::fs::write(dir.path().join("logins/state.json"), "{}x").unwrap();
        assert!(load(dir.path(), &rules).unwrap().learnt().is_empty());
    }
}

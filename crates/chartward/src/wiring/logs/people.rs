//! What people said to the watcher while it works: what they opened for contractors, and what it should forget. It reads both and
//! changes neither.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use judge::logins::Detectors;
use schema::Micros;

use crate::wiring::logins::forget;
use crate::wiring::logins::grants::{self, Grants};

/// When the two files were written last, and how long they are.
type Mark = [Option<(SystemTime, u64)>; 2];

/// The folder that people's words lie in.
#[derive(Debug)]
pub(super) struct People {
    folder: Option<PathBuf>,
    mark: Option<Mark>,
    /// The youngest request that was followed.
    pub(super) forgot: Micros,
}

impl People {
    pub(super) fn new(folder: Option<PathBuf>, forgot: Micros) -> Self {
        Self { folder, mark: None, forgot }
    }

    /// The next look reads them whatever they are.
    pub(super) fn look_again(&mut self) {
        self.mark = None;
    }

    /// Takes in what is new; says whether anything was.
    pub(super) fn look(&mut self, detectors: &mut Detectors, now: Micros) -> anyhow::Result<bool> {
        let Some(folder) = &self.folder else { return Ok(false) };
        let mark = mark(folder);
        if self.mark == Some(mark) {
            return Ok(false);
        }
        // Said once: what cannot be read is looked at again when it changes.
        self.mark = Some(mark);
        detectors.set_grants(Grants::read(folder)?.grants);
        for request in forget::since(folder, self.forgot)? {
            detectors.forget(&request.what, now);
            self.forgot = request.at;
        }
        Ok(true)
    }
}

fn mark(folder: &Path) -> Mark {
    [grants::FILE, forget::FILE].map(|name| {
        let meta = fs::metadata(folder.join(name)).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use judge::logins::{Forget, Rules};
    use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};

    use super::*;
    use crate::wiring::logins::FOLDER;

    #[test]
    fn what_is_asked_is_done_once_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut detectors = Detectors::new(&Rules::default());
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
        let mut people = People::new(Some(dir.path().join(FOLDER)), 0);
        assert!(people.look(&mut detectors, 0).unwrap());
        assert!(!people.look(&mut detectors, 0).unwrap());
        detectors.step(&event, 0, &mut Vec::new());
        assert_eq!(detectors.learnt().len(), 3);

        forget::ask(dir.path(), &Forget::Account("suzuki".into()), Timestamp::now()).unwrap();
        assert!(people.look(&mut detectors, 0).unwrap());
        assert_eq!(detectors.learnt().len(), 1);
        detectors.step(&event, 0, &mut Vec::new());
        let mut again = People::new(Some(dir.path().join(FOLDER)), people.forgot);
        assert!(again.look(&mut detectors, 0).unwrap());
        assert_eq!(detectors.learnt().len(), 3, "what was learnt since is not forgotten");

        Grants::open(dir.path(), "vendor-a", 2.0, "ticket", "local", Timestamp::now()).unwrap();
        assert!(again.look(&mut detectors, 0).unwrap());
    }
}

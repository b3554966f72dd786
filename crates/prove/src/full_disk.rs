//! What a full disk does: the append fails, names the file and the next step, and leaves everything as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use schema::Event;

use crate::lake::{self, Lake};
use crate::{Error, Fact, Ledger, State};

/// A file system of a few megabytes, unmounted when it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(dir: &Path) -> Small {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(dir).status();
        assert!(status.unwrap().success());
        Small(dir.to_owned())
    }

    /// Takes what room is left; dropped bytes give it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let _ = fs::write(&path, vec![0; 4 << 20]);
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn check(refused: &Error) {
    let next = refused.next_step().unwrap_or_else(|| panic!("no next step for {refused:?}"));
    assert!(next.contains("make room"), "{refused}: {next}");
}

#[test]
fn a_full_disk_leaves_state_lake_and_ledger_as_they_were() {
    if !testkit::root("a_full_disk_leaves_state_lake_and_ledger_as_they_were") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = Small::mount(dir.path());
    let now = Timestamp::UNIX_EPOCH;
    let state = State::open(&dir.path().join("state"), now).unwrap();
    let ledger = Ledger::open(&dir.path().join("state"), now).unwrap();
    let settings = lake::Settings { region: "r".into(), account: "a".into(), retention_days: 1 };
    let lake = Lake::open(&dir.path().join("lake"), settings).unwrap();
    let events = vec![event(); 10];
    let put = |n: u64, text: &str| state.write(|tx| tx.put_setting(&format!("key-{n}"), &text));
    let fact = || Fact::IncidentDeclared { title: "x".repeat(50_000), synthetic: true };
    put(1, "small").unwrap();
    lake.append(&events, now).unwrap();

    let filler = small.fill();
    check(&put(2, &"x".repeat(200_000)).unwrap_err());
    check(&lake.append(&events, now).unwrap_err());
    check(&ledger.append_all((0..9).map(|_| fact()).collect(), now).unwrap_err());
    assert_eq!(state.settings(9).unwrap().len(), 1);
    assert_eq!((lake.position(), ledger.entries().unwrap().len()), (10, 1));

    fs::remove_file(filler).unwrap();
    put(3, "again").unwrap();
    assert_eq!(lake.append(&events, now).unwrap(), 20);
    ledger.append(fact(), now).unwrap();
    lake.flush().unwrap();
    drop((state, lake));
    fs::remove_file(dir.path().join("state/state.db")).unwrap();
    let state = State::open(&dir.path().join("state"), now).unwrap();
    assert_eq!(state.settings(9).unwrap().len(), 2, "what failed is in no log");
    assert_eq!(state.opened().recovered.as_ref().unwrap().missing, 0);
    assert_eq!(ledger.entries().unwrap().len(), 2);
}

fn event() -> Event {
    Event {
        time: Timestamp::UNIX_EPOCH,
        class_uid: 2004,
        severity_id: 3,
        watcher: "guard".into(),
        detector: "encryption.burst".into(),
        title: String::new(),
        src_ip: None,
        src_port: None,
        dst_ip: None,
        dst_port: None,
        hostname: None,
        user: None,
        bytes: None,
        status_id: None,
        json: "\"x\"".repeat(5000),
    }
}

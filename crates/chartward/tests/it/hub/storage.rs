//! A damaged database, a second hub, a full disk, one that stands still.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::stage::{Stage, Up, block, finding, until};
use crate::support::BINARY;

#[test]
fn a_damaged_or_lost_database_is_made_anew_with_everything_in_it() {
    for damage in ["overwritten", "deleted"] {
        let stage = Stage::new();
        stage.configure(&stage.watch("net", "sensor", ""));
        let hub = stage.up();
        stage.say("net", &[finding("a", "bruteforce.ssh", 4, "203.0.113.9")]);
        until("an incident", || stage.incidents().first().cloned());
        let planned = stage.done(&["act", "plan", "block_address", "203.0.113.9"]);
        hub.kill();
        let db = stage.state.join("state.db");
        if damage == "deleted" {
            for name in ["state.db", "state.db-wal", "state.db-shm"] {
                let _ = fs::remove_file(stage.state.join(name));
            }
        } else {
            let mut bytes = fs::read(&db).unwrap();
            let middle = bytes.len() / 4..bytes.len() * 3 / 4;
            bytes[middle].fill(0xA5);
            fs::write(&db, bytes).unwrap();
            let _ = fs::remove_file(stage.state.join("state.db-wal"));
        }
        let hub = stage.up();
        assert_eq!(stage.incidents().len(), 1, "{damage}");
        assert_eq!(stage.measures()[0]["id"], planned["answer"]["countermeasure"]["id"], "{damage}");
        assert!(stage.log().contains("recovered"), "{damage}: {}", stage.log());
        assert_eq!(hub.stop().0, 0);
        let ledger = stage.ledger();
        let fact = ledger.iter().find(|it| it["fact"]["kind"] == "state_recovered");
        assert_eq!(fact.unwrap()["fact"]["missing"], 0, "{damage}: {fact:?}");
    }
}

#[test]
fn a_second_hub_on_the_same_folder_names_the_first_and_what_to_do() {
    let stage = Stage::new();
    stage.configure("");
    let hub = stage.up();
    let mut command = Command::new(BINARY);
    command.args(["up", "--json", "--config"]).arg(stage.path("chartward.toml"));
    let mut second = Up::start(command, &stage.path("second.log"));
    assert_eq!(second.child.wait().unwrap().code(), Some(2));
    let log = fs::read_to_string(stage.path("second.log")).unwrap();
    assert!(log.contains(&hub.pid().to_string()) && log.contains("--state"), "{log}");
    stage.done(&["act", "plan", "lock_vault"]);
}

/// A small file system that is gone with the test.
pub(super) struct Disk(pub(super) std::path::PathBuf);

impl Disk {
    pub(super) fn mount(at: std::path::PathBuf) -> Disk {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "none"]).arg(&at).status();
        assert!(mounted.unwrap().success());
        Disk(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_the_hub_says_so_goes_on_acting_and_writes_it_down_later() {
    let Some(mut stage) = Stage::with_wall("on_a_full_disk") else { return };
    let disk = Disk::mount(stage.path("disk"));
    stage.state = disk.0.join("state");
    let vault = format!(
        "[vault]\ndir = {:?}\npassphrase = {{ file = {:?} }}\n\n",
        stage.path("vault"),
        stage.private_file("vault.pass", "correct horse")
    );
    stage.configure(&[stage.watch("net", "sensor", ""), vault, block("none", "lasts = \"1h\"")].concat());
    let hub = stage.up();
    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, "203.0.113.1")]);
    until("the first block", || (stage.banned().len() == 1).then_some(()));
    until("the first block is written down", || {
        stage.measure("block_address").filter(|it| it["state"] == "applied")
    });
    // Everything that is left, to the last byte.
    let _ =
        Command::new("sh").arg("-c").arg(format!("cat /dev/zero > {:?}/filler 2>/dev/null", disk.0)).status();
    stage.say("net", &[finding("b", "bruteforce.ssh", 4, "203.0.113.2")]);
    until("the second block", || (stage.banned().len() == 2).then_some(()));
    let asked = stage.ask(&["act", "apply", "block_address", "203.0.113.3"]);
    assert!(asked.code == 1 && asked.stderr.contains("room"), "{} {}", asked.code, asked.stderr);
    assert_eq!(stage.banned().len(), 3);
    fs::remove_file(disk.0.join("filler")).unwrap();
    until("all is written", || {
        (stage.measures().iter().filter(|it| it["state"] == "applied").count() == 3).then_some(())
    });
    assert_eq!(stage.incidents().iter().filter_map(|it| it["findings"].as_u64()).sum::<u64>(), 2);
    hub.kill();
    let hub = stage.up();
    assert_eq!(stage.incidents().iter().filter_map(|it| it["findings"].as_u64()).sum::<u64>(), 2);
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}

/// Makes each fsync wait while a file is there, as a disk does that is busy with something else.
const STANDS_STILL: &str = r#"
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int after_a_while(long call, int fd) {
    for (int i = 0; i < 80 && access(getenv("STANDS_STILL"), F_OK) == 0; i++) usleep(100000);
    return syscall(call, fd);
}
int fsync(int fd) { return after_a_while(SYS_fsync, fd); }
int fdatasync(int fd) { return after_a_while(SYS_fdatasync, fd); }
"#;

#[test]
fn a_disk_that_stands_still_keeps_no_ban_from_going_up() {
    let test = "a_disk_that_stands_still";
    let (Some(stage), Some(cc)) = (Stage::with_wall(test), testkit::tool(test, "cc")) else { return };
    let (source, library) = (stage.file("still.c", STANDS_STILL), stage.path("still.so"));
    let made = Command::new(cc).args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(made.unwrap().success());
    stage.configure(&[stage.watch("net", "sensor", ""), block("none", "")].concat());
    let mut command = Command::new(BINARY);
    command.args(["up", "--json", "--config"]).arg(stage.path("chartward.toml"));
    let flag = stage.path("still");
    command.env("LD_PRELOAD", &library).env("STANDS_STILL", &flag);
    let hub = Up::start(command, &stage.path("hub.log"));
    stage.done(&["act", "arm", "block_address", "sensor"]);
    fs::write(&flag, "").unwrap();
    for attacker in ["203.0.113.9", "203.0.113.10"] {
        let begun = Instant::now();
        stage.say("net", &[finding(attacker, "bruteforce.ssh", 4, attacker)]);
        until("a ban", || stage.banned().iter().any(|(address, _)| address == attacker).then_some(()));
        // One flush alone takes eight.
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
    fs::remove_file(&flag).unwrap();
    until("both are told", || {
        let told = stage.ledger();
        (told.iter().filter(|it| it["fact"]["countermeasure"]["state"] == "applied").count() == 2)
            .then_some(())
    });
    assert_eq!(hub.stop().0, 0);
}

//! SIGKILL at any moment of a backup: what was sealed before stays restorable, and the next backup works.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Site, files, restored};

const KILLS: u32 = 50;

#[test]
fn fifty_killed_backups_leave_the_snapshots_before_them_whole() {
    let site = Site::hospital(60);
    let source = site.hospital_dir().join("ssmix2");
    let first = site.backup(&source);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let first = first.last()["snapshot"].as_str().unwrap().to_owned();
    let before = files(&source);

    let whole = how_long_a_backup_takes(&site, &source);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut killed = 0;
    for round in 0..KILLS {
        // New content each time, so that there is something to write when the kill comes.
        fs::write(source.join(format!("round-{round}.txt")), format!("{round}").repeat(200_000)).unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = whole.mul_f64((state >> 40) as f64 / f64::from(1 << 24));
        let mut backup = site
            .command(["backup", source.to_str().unwrap(), "--json", "--state", &site.state(), "--vault"])
            .arg(site.vault())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        backup.kill().unwrap();
        killed += u32::from(backup.wait().unwrap().signal() == Some(9));
    }
    assert!(killed > KILLS / 2, "only {killed} of {KILLS} backups were still running when they were killed");

    let after = site.backup(&source);
    assert_eq!(after.code, 0, "the next backup works: {}", after.stderr);
    let check = site.vaulted(["vault", "check", "--read-data"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    let target = site.path().join("back");
    let restore = site.vaulted(["restore", &first, "--target", target.to_str().unwrap()]);
    assert_eq!(restore.code, 0, "{}", restore.stderr);
    assert!(files(&restored(&target, &source)) == before, "the first snapshot came back otherwise");
    assert_eq!(site.run(["drill"]).code, 0);
    let ledger =
        site.bare(["prove", "verify", "--json", "--ledger", &format!("{}/ledger.jsonl", site.state())]);
    assert_eq!(ledger.code, 0, "{}{}", ledger.stdout, ledger.stderr);
    if testkit::tool("fifty_killed_backups_leave_the_snapshots_before_them_whole", "restic").is_some() {
        let check = site.restic(&["check", "--read-data"]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
}

fn how_long_a_backup_takes(site: &Site, source: &std::path::Path) -> Duration {
    // The quickest counts: the first ones still read much from the disk.
    let once = |round: u32| {
        fs::write(source.join("warm.txt"), format!("w{round}").repeat(200_000)).unwrap();
        let started = Instant::now();
        assert_eq!(site.backup(source).code, 0);
        started.elapsed()
    };
    let quickest = (0..4).map(once).min().unwrap();
    fs::remove_file(source.join("warm.txt")).unwrap();
    quickest
}

//! Clocks that jump: in another process, so that locks look old or come from the future, and snapshots are dated as no snapshot can be.

use std::path::{Path, PathBuf};
use std::process::Command;

use recover::Error;
use recover::vault::{PruneRequest, Vault};

use super::disk::{Named, Step, Verdict, Watched};
use super::scene::{Acknowledged, Scene, keep_newest, prune, prune_at, restore_all};
use crate::support::{census, password};

const TEST: &str =
    "durable::clock::a_prune_whose_clock_is_ahead_takes_nothing_from_a_backup_whose_lock_looks_old";

/// What the other process does; it says on its last line how that went.
fn run_as_child(dir: &Path, job: &str) {
    let vault = Vault::open(&dir.join("vault"), &password()).unwrap();
    let result = match job {
        "prune" => vault
            .forget(&keep_newest(1))
            .and_then(|_| {
                vault.prune(
                    &PruneRequest { max_unused: recover::vault::MaxUnused::Bytes(0), ..PruneRequest::now() },
                    &|_| (),
                )
            })
            .map(|report| report.removed.packs.to_string()),
        _ => vault
            .backup(recover::vault::BackupRequest::new(vec![dir.join("source")]), &|_| ())
            .map(|report| report.snapshot.unwrap().0),
    };
    let text = match result {
        Ok(text) => text,
        Err(Error::Locked { .. }) => "locked".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    std::fs::write(dir.join("told"), text).unwrap();
}

/// Does a job with the clock set by an offset, as `faketime` writes it.
fn elsewhen(faketime: &Path, dir: &Path, offset: &str, job: &str) -> String {
    let output = Command::new(faketime)
        .args(["-f", offset])
        .arg(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--test-threads=1"])
        .env("CHARTWARD_DURABLE_CLOCK", dir)
        .env("CHARTWARD_DURABLE_JOB", job)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{offset} {job}: {}", String::from_utf8_lossy(&output.stdout));
    std::fs::read_to_string(dir.join("told")).unwrap()
}

#[test]
fn a_prune_whose_clock_is_ahead_takes_nothing_from_a_backup_whose_lock_looks_old() {
    if let Some(dir) = std::env::var_os("CHARTWARD_DURABLE_CLOCK") {
        return run_as_child(&PathBuf::from(dir), &std::env::var("CHARTWARD_DURABLE_JOB").unwrap());
    }
    let Some(faketime) = testkit::tool(TEST, "faketime") else { return };
    let stops: [Named; 4] = [
        ("its first pack", |step| matches!(step, Step::Create(path) if path.starts_with("data"))),
        (
            "the flush of a pack's folder",
            |step| matches!(step, Step::FlushDir(path) if path.starts_with("data")),
        ),
        ("its index", |step| matches!(step, Step::Create(path) if path.starts_with("index"))),
        ("its snapshot", |step| matches!(step, Step::Create(path) if path.starts_with("snapshots"))),
    ];
    for (what, is_stop) in stops {
        let scene = Scene::new();
        let mut acknowledged = Acknowledged::new();
        for seed in 1..3 {
            scene.backup(&scene.open(), &mut acknowledged);
            scene.change(seed);
        }
        // The source is as it was when the snapshot was taken that is forgotten now: all that it needs is there, and about to go.
        scene.change(0);
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (seen, dir) = (std::sync::Arc::clone(&told), scene.dir.path().to_owned());
        let program = faketime.clone();
        let disk = Watched::new(&scene.vault_dir(), move |_, step| {
            if is_stop(step) && seen.lock().unwrap().is_empty() {
                // From where the clock is behind, the lock is from the future: it counts.
                let behind = elsewhen(&program, &dir, "-2d", "prune");
                let ahead = elsewhen(&program, &dir, "+40m", "prune");
                seen.lock().unwrap().extend([behind, ahead]);
            }
            Verdict::Do
        });
        let content = census(&scene.source());
        let backup = scene.open_on(disk).unwrap().backup(scene.request(), &|_| ());
        assert_eq!(*told.lock().unwrap(), ["locked", "0"], "before {what}");
        let left: Vec<String> = scene.open().snapshots().unwrap().0.into_iter().map(|s| s.id.0).collect();
        acknowledged.retain(|id, _| left.contains(id));
        // It may say that it was disturbed; if it says that it went well, it did.
        if let Ok(report) = backup {
            acknowledged.insert(report.snapshot.unwrap().0, content);
        }
        assert_eq!(restore_all(&scene.open(), &scene.source(), &acknowledged), Ok(()), "before {what}");
        for hours in [25, 50, 75] {
            prune(&scene.open(), &prune_at(hours)).unwrap();
        }
        assert_eq!(scene.survives(&acknowledged), Ok(()), "before {what}");
    }
}

#[test]
fn no_clock_makes_a_prune_remove_early_or_a_forget_drop_the_honest() {
    let test = "no_clock_makes_a_prune_remove_early_or_a_forget_drop_the_honest";
    let Some(faketime) = testkit::tool(test, "faketime") else { return };
    let scene = Scene::new();
    let mut acknowledged = Acknowledged::new();
    for seed in 1..4 {
        scene.backup(&scene.open(), &mut acknowledged);
        scene.change(seed);
    }
    let dir = scene.dir.path();
    // Two days or ten years ahead of the first phase, on a machine that has been up for as long as before.
    assert_eq!(elsewhen(&faketime, dir, "+0s", "prune"), "0");
    for offset in ["+2d", "+3650d", "-3650d"] {
        assert_eq!(elsewhen(&faketime, dir, offset, "prune"), "0", "{offset}");
    }
    let honest = scene.backup(&scene.open(), &mut acknowledged);
    for offset in ["+3650d", "-3650d"] {
        let content = census(&scene.source());
        acknowledged.insert(elsewhen(&faketime, dir, offset, "backup"), content);
    }
    let vault = scene.open();
    vault.forget(&keep_newest(1)).unwrap();
    let kept: Vec<String> = vault.snapshots().unwrap().0.into_iter().map(|s| s.id.0).collect();
    assert!(kept.contains(&honest), "a snapshot from the future evicts nothing");
    acknowledged.retain(|id, _| kept.contains(id));
    assert_eq!(scene.survives(&acknowledged), Ok(()));
}

//! Forgetting and pruning: what is needed stays, whoever else works on the vault and whenever the process dies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recover::Error;
use recover::vault::{
    CheckLevel, Fate, ForgetRequest, KeyCost, MaxUnused, Moment, Override, Password, Period, Phase,
    PruneRequest, Reason, Rules, Snapshot, Unlock, Vault,
};

use crate::support::{PASSWORD, Place, below, census, noise, password};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A moment so many hours before or after the present, without an uptime: as another machine would see it.
fn at_hour(hours: i64) -> Moment {
    Moment { at: Timestamp::now() + SignedDuration::from_hours(hours), uptime: None }
}

fn prune_at(hours: i64) -> PruneRequest {
    PruneRequest { max_unused: MaxUnused::Bytes(0), now: at_hour(hours), ..PruneRequest::now() }
}

/// Backs up as if it were so many hours ago.
fn backup_ago(place: &Place, hours: i64) -> String {
    let mut request = place.request();
    request.time = Timestamp::now() - SignedDuration::from_hours(hours);
    place.vault.backup(request, &|_| ()).unwrap().snapshot.unwrap().0
}

/// Ten snapshots, a day apart: each file changes now and then, one stays.
fn ten_days(place: &Place) -> Vec<String> {
    days(place, 10)
}

fn days(place: &Place, count: u64) -> Vec<String> {
    place.write("stays", noise(1, 300_000));
    let mut ids = Vec::new();
    for day in 0..count {
        place.write(&format!("day-{day}"), noise(100 + day, 200_000));
        place.write("changes", noise(200 + day, 150_000));
        place.write("text", format!("day {day}\n").repeat(3000));
        if day >= 3 {
            fs::remove_file(place.source().join(format!("day-{}", day - 3))).unwrap();
        }
        ids.push(backup_ago(place, (count - day) as i64 * 24));
    }
    ids
}

/// A place on a file system in memory, where there is one: tests that write thousands of files do not wait for the disk.
fn in_memory() -> Place {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return Place::new() };
    let vault = Vault::init_with_cost(&dir.path().join("vault"), &password(), KeyCost::TEST).unwrap();
    fs::create_dir(dir.path().join("source")).unwrap();
    Place { dir, vault }
}

fn keep(period: Period, count: u32) -> ForgetRequest {
    let rules = Rules { keep: [(period, count)].into(), ..Rules::default() };
    let mut request = ForgetRequest::by_rules(rules);
    request.generations.keep = 0;
    request.zone = TimeZone::UTC;
    request
}

fn ids(vault: &Vault) -> BTreeSet<String> {
    vault.snapshots().unwrap().0.into_iter().map(|snapshot| snapshot.id.0).collect()
}

/// Every snapshot restores byte for byte as it did before; returns nothing, fails loudly.
fn restores_as(place: &Place, expected: &[(Snapshot, Vec<(Vec<u8>, String)>)]) {
    let vault = place.reopen();
    for (snapshot, before) in expected {
        let target = place.dir.path().join("again");
        let report = vault.restore(snapshot, &target, &[], &|_| ()).unwrap();
        assert_eq!(report.not_restored, [], "{}", snapshot.id.0);
        assert_eq!(contents(&target, &place.source()), *before, "{}", snapshot.id.0);
        fs::remove_dir_all(target).unwrap();
    }
}

fn contents(target: &Path, source: &Path) -> Vec<(Vec<u8>, String)> {
    census(&below(target, source)).into_iter().collect()
}

/// What each of these snapshots restores to now.
fn restored(place: &Place, wanted: &BTreeSet<String>) -> Vec<(Snapshot, Vec<(Vec<u8>, String)>)> {
    let vault = place.reopen();
    let mut all = Vec::new();
    for id in wanted {
        let snapshot = vault.find(id).unwrap();
        let target = place.dir.path().join("before");
        assert_eq!(vault.restore(&snapshot, &target, &[], &|_| ()).unwrap().not_restored, []);
        all.push((snapshot, contents(&target, &place.source())));
        fs::remove_dir_all(target).unwrap();
    }
    all
}

fn is_whole(place: &Place) {
    let report = place.reopen().check(CheckLevel::ReadData, &|_| ()).unwrap();
    assert!(report.is_whole(), "{report:?}");
}

fn size(place: &Place) -> u64 {
    place.packs().iter().map(|pack| fs::metadata(pack).unwrap().len()).sum()
}

#[test]
fn a_prune_plans_marks_waits_and_removes_and_a_stock_restic_agrees_at_each_step() {
    let test = "a_prune_plans_marks_waits_and_removes_and_a_stock_restic_agrees_at_each_step";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    ten_days(&place);
    let plan = place.vault.forget(&keep(Period::Each, 3)).unwrap();
    assert_eq!(plan.with(Fate::Forgotten).len(), 7);
    assert_eq!(ids(&place.vault).len(), 3);
    let expected = restored(&place, &ids(&place.vault));

    let before = size(&place);
    let plan = place.vault.plan_prune(&prune_at(0)).unwrap();
    assert_eq!((size(&place), plan.bytes_before), (before, before), "a plan changes nothing");
    assert!(plan.remove.packs > 0 && plan.repack.packs > 0 && plan.unused_after == 0, "{plan:?}");

    let report = place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.plan.remove, report.plan.repack, report.removed.packs), (plan.remove, plan.repack, 0));
    assert_eq!(report.marked.packs, plan.remove.packs + plan.repack.packs);
    assert_eq!(size(&place), before + report.written.bytes, "nothing is removed before the delay is over");
    place.restic(&restic, &["check", "--read-data"]);
    restores_as(&place, &expected);

    // A backup does not take over what is marked.
    let packs = place.packs().len();
    backup_ago(&place, 0);
    let waiting = place.vault.plan_prune(&prune_at(23)).unwrap();
    assert_eq!((waiting.waiting.packs, waiting.due.packs), (report.marked.packs, 0), "{waiting:?}");
    assert_eq!(waiting.take_back.packs, 0);
    place.vault.prune(&prune_at(23), &|_| ()).unwrap();
    assert!(place.packs().len() >= packs);

    let report = place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert_eq!((report.removed.packs, report.problems.len()), (waiting.waiting.packs, 0));
    assert!(size(&place) <= plan.bytes_after + 100_000, "{} {plan:?}", size(&place));
    assert!(place.vault.plan_prune(&prune_at(26)).unwrap().is_empty());
    is_whole(&place);
    restores_as(&place, &expected);
    let said = place.restic(&restic, &["check", "--read-data", "--check-unused"]);
    assert!(said.status.success());
    for (snapshot, before) in &expected {
        let target = place.dir.path().join("by-restic");
        place.restic(&restic, &["restore", &snapshot.id.0, "--target", target.to_str().unwrap()]);
        assert_eq!(contents(&target, &place.source()), *before);
        fs::remove_dir_all(target).unwrap();
    }
    assert_eq!(fs::read_dir(place.vault_dir().join("chartward/forgotten")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(place.vault_dir().join("chartward/removals")).unwrap().count(), 0);
}

#[test]
fn until_it_is_carried_out_a_prune_and_a_forget_can_be_taken_back() {
    let test = "until_it_is_carried_out_a_prune_and_a_forget_can_be_taken_back";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    let all = ten_days(&place);
    let expected = restored(&place, &all.iter().cloned().collect());
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let marked = place.vault.prune(&prune_at(0), &|_| ()).unwrap().marked;
    // An incident's hold keeps everybody from pruning, and nobody from taking back.
    let hold = place.vault.hold().unwrap();
    assert!(matches!(place.vault.prune(&prune_at(30), &|_| ()), Err(Error::Locked { .. })));
    assert!(matches!(place.vault.forget(&keep(Period::Each, 1)), Err(Error::Locked { .. })));
    let cancelled = place.vault.cancel_prune().unwrap();
    assert_eq!((cancelled.packs.packs, cancelled.problems), (marked.packs, vec![]));
    for id in &all[..8] {
        assert_eq!(place.vault.unforget(&id[..12]).unwrap().id.0, *id);
    }
    drop(hold);
    restores_as(&place, &expected);
    is_whole(&place);
    place.restic(&restic, &["check", "--read-data"]);
    // Nothing is due: the next plan begins anew.
    assert_eq!(place.vault.plan_prune(&prune_at(30)).unwrap().due.packs, 0);

    // When it was carried out, what is gone is said.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    let forgotten = place.vault.forgotten().unwrap();
    assert_eq!(forgotten.len(), 8);
    for pack in place.packs() {
        let is_listed = place.reopen().damaged_packs();
        assert_eq!(is_listed, 0, "{pack:?}");
    }
    place.vault.prune(&PruneRequest { delay: SignedDuration::ZERO, ..prune_at(1) }, &|_| ()).unwrap();
    assert!(matches!(place.vault.unforget(&all[0]), Err(Error::SnapshotNotFound { .. })));
}

#[test]
fn our_calendar_rules_keep_what_restic_keeps() {
    let Some(restic) = testkit::tool("our_calendar_rules_keep_what_restic_keeps", "restic") else { return };
    let place = in_memory();
    place.write("record", "MSH|^~\\&|");
    let mut hours = 2;
    for number in 0..60_i64 {
        let mut request = place.request();
        request.time = Timestamp::now() - SignedDuration::from_hours(hours);
        request.tags = [vec![], vec!["monthly".to_owned()], vec!["a".to_owned(), "b".to_owned()]]
            [number as usize % 3]
            .clone();
        place.vault.backup(request, &|_| ()).unwrap();
        hours += 1 + number * number / 4 % 97 + number * 3;
    }
    let oldest = place.vault.snapshots().unwrap().0[0].id.0.clone();
    let within =
        |period, text: &str| Rules { within: [(period, text.parse().unwrap())].into(), ..Rules::default() };
    let count = |rules: &[(Period, u32)]| Rules { keep: rules.iter().copied().collect(), ..Rules::default() };
    let tag = |tags: &[&str]| Rules {
        tags: vec![tags.iter().map(|tag| (*tag).to_owned()).collect()],
        ..Rules::default()
    };
    let cases = [
        (vec!["--keep-last", "3"], count(&[(Period::Each, 3)])),
        (vec!["--keep-hourly", "5"], count(&[(Period::Hour, 5)])),
        (vec!["--keep-daily", "7"], count(&[(Period::Day, 7)])),
        (vec!["--keep-weekly", "6"], count(&[(Period::Week, 6)])),
        (vec!["--keep-monthly", "4"], count(&[(Period::Month, 4)])),
        (vec!["--keep-yearly", "10"], count(&[(Period::Year, 10)])),
        (
            vec!["--keep-daily", "5", "--keep-weekly", "4", "--keep-monthly", "99", "--keep-yearly", "3"],
            count(&[(Period::Day, 5), (Period::Week, 4), (Period::Month, 99), (Period::Year, 3)]),
        ),
        (vec!["--keep-within", "10d"], within(Period::Each, "10d")),
        (vec!["--keep-within-daily", "40d5h"], within(Period::Day, "40d5h")),
        (vec!["--keep-within-weekly", "2m"], within(Period::Week, "2m")),
        (vec!["--keep-within-monthly", "1y"], within(Period::Month, "1y")),
        (vec!["--keep-tag", "monthly"], tag(&["monthly"])),
        (vec!["--keep-tag", "a,b"], tag(&["a", "b"])),
    ];
    for (options, rules) in cases {
        let mut args = vec!["forget", "--dry-run", "--json"];
        args.extend(&options);
        let said = Command::new(&restic)
            .args(["--no-cache", "-q", "-r"])
            .arg(place.vault_dir())
            .args(args)
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("TZ", "UTC")
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let groups: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let theirs: BTreeSet<String> = groups
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["keep"].as_array().unwrap())
            .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
            .collect();
        let mut request = ForgetRequest::by_rules(rules);
        request.zone = TimeZone::UTC;
        request.generations.keep = 0;
        let plan = place.vault.plan_forget(&request).unwrap();
        let ours: BTreeSet<String> =
            plan.with(Fate::Kept).into_iter().map(|verdict| verdict.snapshot.id.0.clone()).collect();
        // Since 0.16, restic lets the oldest one fill what a rule still has room for, as we do.
        let with_oldest = theirs.iter().chain([&oldest]).cloned().collect();
        assert!(ours == theirs || ours == with_oldest, "{options:?}: {ours:?} {theirs:?}");
        assert!(!ours.is_empty());
    }
}

#[test]
fn generations_go_only_on_somebodys_word_which_is_noted() {
    let place = in_memory();
    let all = ten_days(&place);
    let mut request = keep(Period::Each, 1);
    request.generations = recover::vault::Generations::default();
    let plan = place.vault.plan_forget(&request).unwrap();
    let kept: BTreeSet<&str> = plan.with(Fate::Kept).iter().map(|v| v.snapshot.id.0.as_str()).collect();
    assert_eq!(
        kept,
        all[5..].iter().map(String::as_str).collect(),
        "five days stay although one was asked for"
    );
    assert_eq!(ids(&place.vault).len(), 10, "a plan changes nothing");

    let mut by_id = ForgetRequest::by_ids(vec![all[7].clone(), all[0].clone()]);
    by_id.zone = TimeZone::UTC;
    let refused = place.vault.forget(&by_id).unwrap_err();
    assert!(refused.to_string().contains("generation 3, write-protected"), "{refused}");
    assert!(refused.next_step().is_some());
    // Forgetting the newest ones would move the protected ones up, until they are none.
    let newest = ForgetRequest { snapshots: vec![all[9].clone()], ..by_id.clone() };
    assert!(matches!(place.vault.forget(&newest), Err(Error::Protected { .. })));
    assert_eq!(ids(&place.vault).len(), 10, "all or nothing");

    let word = Override { by: "Dr. Sato".to_owned(), reason: "entered for the wrong hospital".to_owned() };
    by_id.overriding = Some(word.clone());
    place.vault.forget(&by_id).unwrap();
    assert_eq!(ids(&place.vault).len(), 8);
    let notes = place.vault.forget_notes().unwrap();
    assert_eq!((notes.len(), notes[0].overriding.as_ref()), (1, Some(&word)));
    assert_eq!(notes[0].protected.len(), 1, "{notes:?}");
}

#[test]
fn a_snapshot_from_the_future_evicts_nothing() {
    let place = in_memory();
    let all = ten_days(&place);
    let future: Vec<String> = (1..=5).map(|day| backup_ago(&place, -24 * (day + 1))).collect();
    // A week later their dates have come; the file system still knows when they came in.
    for days in [0, 8] {
        let mut request = keep(Period::Day, 4);
        request.now = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let plan = place.vault.plan_forget(&request).unwrap();
        let kept: BTreeSet<&str> = plan
            .with(Fate::Kept)
            .iter()
            .filter(|v| !v.reasons.contains(&Reason::FutureDated))
            .map(|v| v.snapshot.id.0.as_str())
            .collect();
        assert_eq!(kept, all[6..].iter().map(String::as_str).collect());
        let named = plan.verdicts().filter(|v| v.reasons == [Reason::FutureDated]).count();
        assert_eq!(named, future.len());
    }
    // Where a vault host noted when a snapshot came in, that is what counts.
    let mut request = keep(Period::Day, 1);
    let received = Timestamp::now() - HOUR;
    request.receipts = [(recover_id(&all[0]), received)].into();
    let plan = place.vault.plan_forget(&request).unwrap();
    let newest = plan.with(Fate::Kept).into_iter().find(|v| v.snapshot.id.0 == all[0]).map(|v| v.at);
    assert_eq!(newest, Some(received));
}

fn recover_id(id: &str) -> schema::SnapshotId {
    schema::SnapshotId(id.to_owned())
}

/// The files that a killed prune may leave behind are told from what it must not touch by a copy of the vault.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

const KILLED: &str = "CHARTWARD_TEST_PRUNE";

#[test]
fn a_prune_that_is_killed_at_any_moment_leaves_a_vault_that_restores_everything() {
    if let Some(dir) = std::env::var_os(KILLED) {
        // The process that is killed: both phases, one after the other.
        let vault = Vault::open(&PathBuf::from(dir), &password()).unwrap();
        vault.prune(&prune_at(0), &|_| ()).unwrap();
        vault.prune(&prune_at(25), &|_| ()).unwrap();
        return;
    }
    let place = in_memory();
    days(&place, 5);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let expected = restored(&place, &ids(&place.vault));
    let whole = place.dir.path().join("whole");
    copy(&place.vault_dir(), &whole);
    let restic = testkit::tool("a_prune_that_is_killed_at_any_moment (restic's own check)", "restic");
    let prune = || {
        let name =
            "vault_prune::a_prune_that_is_killed_at_any_moment_leaves_a_vault_that_restores_everything";
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads", "1"])
            .env(KILLED, place.vault_dir())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let begun = std::time::Instant::now();
    assert!(prune().wait().unwrap().success());
    let full = begun.elapsed();
    is_whole(&place);
    let smallest = size(&place);
    let mut seed = 0x5eed_u64;
    let mut seen = BTreeSet::new();
    for round in 0..40 {
        fs::remove_dir_all(place.vault_dir()).unwrap();
        copy(&whole, &place.vault_dir());
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = prune();
        std::thread::sleep(full.mul_f64((seed >> 40) as f64 / f64::from(1 << 24)));
        child.kill().unwrap();
        child.wait().unwrap();
        let state = (place.packs().len(), fs::read_dir(place.vault_dir().join("index")).unwrap().count());
        seen.insert(state);
        is_whole(&place);
        restores_as(&place, &expected);
        if let (Some(restic), 0) = (&restic, round % 10) {
            place.restic(restic, &["unlock"]);
            place.restic(restic, &["check", "--read-data"]);
        }
        // The next one ends what this one began.
        if round % 5 == 0 {
            let vault = place.reopen();
            vault.prune(&prune_at(50), &|_| ()).unwrap();
            vault.prune(&prune_at(75), &|_| ()).unwrap();
            is_whole(&place);
            restores_as(&place, &expected);
            assert!(size(&place) <= smallest + smallest / 10, "{} {smallest}", size(&place));
        }
    }
    assert!(seen.len() > 3, "the kills hit the same moment: {seen:?}");
}

#[test]
fn passphrases_are_added_changed_and_removed_and_one_always_remains() {
    let Some(restic) =
        testkit::tool("passphrases_are_added_changed_and_removed_and_one_always_remains", "restic")
    else {
        return;
    };
    let mut place = in_memory();
    place.write("record", "MSH|^~\\&|");
    place.backup();
    let opens = |place: &Place, text: &str| {
        let ours = Vault::open(&place.vault_dir(), &Password::new(text)).is_ok();
        let said = Command::new(&restic)
            .args(["--no-cache", "-q", "snapshots", "-r"])
            .arg(place.vault_dir())
            .env("RESTIC_PASSWORD", text)
            .output()
            .unwrap();
        assert_eq!(ours, said.status.success(), "{text}");
        ours
    };
    let second = Password::new("在庫の鍵 2");
    let wrong = place.vault.add_key(&Password::new("wrong"), &second, KeyCost::TEST);
    assert!(matches!(wrong, Err(Error::WrongPassphrase { .. })));
    let id = place.vault.add_key(&password(), &second, KeyCost::TEST).unwrap();
    assert!(opens(&place, "在庫の鍵 2") && opens(&place, PASSWORD));
    let (keys, damaged) = place.vault.keys().unwrap();
    let current: Vec<bool> = keys.iter().map(|key| key.is_current).collect();
    assert_eq!((current, damaged.len(), keys[1].id), (vec![true, false], 0, id));

    let first = keys[0].id.to_string();
    assert!(matches!(place.vault.remove_key(&first[..8]), Err(Error::KeyInUse { .. })));
    assert!(matches!(place.vault.remove_key("zz"), Err(Error::KeyNotFound { .. })));
    assert!(matches!(place.vault.remove_key(""), Err(Error::KeyNotFound { .. })));
    place.vault.change_password(&password(), &Password::new("third"), KeyCost::TEST).unwrap();
    assert!(opens(&place, "third") && !opens(&place, PASSWORD));
    place.vault.remove_key(&id.to_string()).unwrap();
    assert!(!opens(&place, "在庫の鍵 2"));
    let last = place.vault.keys().unwrap().0[0].id.to_string();
    assert!(matches!(place.vault.remove_key(&last), Err(Error::KeyInUse { .. })));
    assert!(opens(&place, "third"));
}

/// Processes that a test started are ended by it, also when it fails.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn while_a_stock_restic_backs_up_nobody_prunes_and_the_other_way_round() {
    let test = "while_a_stock_restic_backs_up_nobody_prunes_and_the_other_way_round";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    ten_days(&place);
    // A backup that reads from a pipe goes on until the pipe ends.
    let mut running = Running(
        Command::new(&restic)
            .args(["--no-cache", "-q", "backup", "--stdin", "-r"])
            .arg(place.vault_dir())
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let locks = || fs::read_dir(place.vault_dir().join("locks")).unwrap().count();
    while locks() == 0 && running.0.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let refused = place.vault.prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(
        matches!(&refused, Error::Locked { by, .. } if by.contains(&running.0.id().to_string())),
        "{refused}"
    );
    assert!(matches!(place.vault.forget(&keep(Period::Each, 1)), Err(Error::Locked { .. })));
    assert!(matches!(place.vault.remove_key("00"), Err(Error::Locked { .. })));
    // Its process lives, so its lock is nobody else's to remove.
    assert_eq!(place.vault.unlock(Unlock::All).unwrap(), Vec::<String>::new());
    std::io::Write::write_all(&mut running.0.stdin.take().unwrap(), b"from a pipe").unwrap();
    assert!(running.0.wait().unwrap().success());

    // The other way round: from within a prune, everybody else is refused.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let asked = std::cell::Cell::new(false);
    let report = place.vault.prune(&prune_at(0), &|progress| {
        if progress.phase == Phase::Repack && !asked.replace(true) {
            let said = place.restic_unchecked(&restic, &["backup", place.source().to_str().unwrap()]);
            assert!(String::from_utf8_lossy(&said.stderr).contains("exclusively"), "{said:?}");
            assert!(matches!(place.reopen().backup(place.request(), &|_| ()), Err(Error::Locked { .. })));
            assert!(matches!(place.reopen().prune(&prune_at(0), &|_| ()), Err(Error::Locked { .. })));
        }
    });
    assert!(asked.get(), "{report:?}");
    assert_eq!(locks(), 0);
    is_whole(&place);
    place.restic(&restic, &["check", "--read-data"]);
}

#[test]
fn a_lock_that_was_removed_under_a_prune_ends_it_before_anything_is_removed() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let before = place.packs();
    let expected = restored(&place, &ids(&place.vault));
    let result = place.vault.prune(&prune_at(0), &|progress| {
        if progress.phase == Phase::Repack {
            for lock in fs::read_dir(place.vault_dir().join("locks")).unwrap() {
                fs::remove_file(lock.unwrap().path()).unwrap();
            }
        }
    });
    assert!(matches!(result, Err(Error::LockLost { .. })), "{result:?}");
    assert!(before.iter().all(|pack| pack.exists()));
    is_whole(&place);
    restores_as(&place, &expected);
    // What is unfinished is taken up: both indexes are there, and the marks count for nothing until the next run's.
    place.vault.prune(&prune_at(30), &|_| ()).unwrap();
    assert!(place.vault.prune(&prune_at(31), &|_| ()).unwrap().removed.packs == 0);
    assert!(place.vault.prune(&prune_at(60), &|_| ()).unwrap().removed.packs > 0);
    is_whole(&place);
    restores_as(&place, &expected);
}

#[test]
fn locks_of_the_dead_are_removed_and_those_of_other_hosts_on_demand() {
    let Some(restic) =
        testkit::tool("locks_of_the_dead_are_removed_and_those_of_other_hosts_on_demand", "restic")
    else {
        return;
    };
    let place = in_memory();
    place.write("record", "MSH|^~\\&|");
    place.backup();
    // A lock of restic on another host, as far as anybody can tell.
    let mut running = Running(
        Command::new("unshare")
            .args(["--uts", "sh", "-c", "hostname another-host && exec \"$@\"", "sh"])
            .arg(&restic)
            .args(["--no-cache", "-q", "backup", "--stdin", "-r"])
            .arg(place.vault_dir())
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap(),
    );
    let locks = || fs::read_dir(place.vault_dir().join("locks")).unwrap().count();
    for _ in 0..2000 {
        if locks() == 0 && running.0.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    if locks() == 0 {
        eprintln!("skipped: no name of its own can be given to a process here");
        return;
    }
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    assert!(matches!(place.vault.prune(&prune_at(0), &|_| ()), Err(Error::Locked { .. })));
    assert_eq!(place.vault.unlock(Unlock::Stale).unwrap().len(), 0, "it is young");
    let removed = place.vault.unlock(Unlock::All).unwrap();
    assert!(removed.len() == 1 && removed[0].contains("another-host"), "{removed:?}");
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
}

#[test]
fn what_a_stock_restic_wrote_is_pruned_by_us_and_what_it_prunes_is_read_by_us() {
    let test = "what_a_stock_restic_wrote_is_pruned_by_us_and_what_it_prunes_is_read_by_us";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    // Version 1, version 2, and version 2 with what version 1 had stored uncompressed.
    for (version, upgrade) in [("1", false), ("2", false), ("1", true)] {
        let place = in_memory();
        fs::remove_dir_all(place.vault_dir()).unwrap();
        place.restic(&restic, &["init", "--repository-version", version]);
        let source = place.source();
        let source = source.to_str().unwrap();
        for day in 0..4_u64 {
            place.write("changes", noise(day, 150_000));
            place.write(&format!("text-{day}"), format!("day {day}\n").repeat(20_000));
            place.write(&format!("small-{day}"), noise(50 + day, 3000));
            if day == 2 {
                fs::remove_file(place.source().join("text-0")).unwrap();
                if upgrade {
                    place.restic(&restic, &["migrate", "upgrade_repo_v2"]);
                }
            }
            place.restic(&restic, &["backup", source]);
        }
        let vault = place.reopen();
        let plan = vault.forget(&keep(Period::Each, 2)).unwrap();
        assert_eq!(plan.with(Fate::Forgotten).len(), 2);
        let expected = restored(&place, &ids(&vault));
        let report = vault.prune(&prune_at(0), &|_| ()).unwrap();
        assert!(report.marked.packs > 0 && report.problems.is_empty(), "{report:?}");
        assert!(vault.prune(&prune_at(25), &|_| ()).unwrap().removed.packs > 0);
        is_whole(&place);
        restores_as(&place, &expected);
        place.restic(&restic, &["check", "--read-data", "--check-unused"]);

        // Now it forgets and prunes, with marks of ours about that it does not know of.
        let all = ids(&vault);
        let newest = vault.find("latest").unwrap().id.0;
        vault
            .forget(&ForgetRequest {
                overriding: word(),
                ..ForgetRequest::by_ids(all.iter().filter(|id| **id != newest).cloned().collect())
            })
            .unwrap();
        vault.prune(&prune_at(0), &|_| ()).unwrap();
        place.write("later", noise(99, 100_000));
        place.restic(&restic, &["backup", source]);
        place.restic(&restic, &["forget", "--keep-last", "1", "--prune", "--max-unused", "0"]);
        is_whole(&place);
        let report = vault.prune(&prune_at(25), &|_| ()).unwrap();
        assert_eq!((report.removed.packs, report.problems), (0, vec![]));
        let (restored, report) = place.restore_latest("latest");
        assert_eq!(report.not_restored, []);
        assert_eq!(census(&restored), census(&place.source()));
        place.restic(&restic, &["check", "--read-data"]);
    }
}

fn word() -> Option<Override> {
    Some(Override { by: "Dr. Sato".to_owned(), reason: "a test".to_owned() })
}

#[test]
fn a_damaged_pack_is_named_and_stays() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 3)).unwrap();
    let plan = place.vault.plan_prune(&prune_at(0)).unwrap();
    assert!(plan.repack.packs > 1);
    // One bit of every pack: whichever is copied from, its damage is found.
    let before = place.packs();
    for pack in &before {
        let mut bytes = fs::read(pack).unwrap();
        let middle = bytes.len() / 3;
        // Data only: without its directories, nobody can tell what a snapshot needs.
        if bytes.len() > 100_000 {
            bytes[middle] ^= 4;
            fs::remove_file(pack).unwrap();
            fs::write(pack, bytes).unwrap();
        }
    }
    let lost = |place: &Place, name: &str| {
        let vault = place.reopen();
        let newest = vault.find("latest").unwrap();
        let target = place.dir.path().join(name);
        vault.restore(&newest, &target, &[], &|_| ()).unwrap().not_restored.len()
    };
    let lost_before = lost(&place, "damaged");
    let report = place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    assert!(!report.problems.is_empty(), "{report:?}");
    assert!(report.problems.iter().all(|text| text.contains("stays")), "{:?}", report.problems);
    place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert_eq!(lost(&place, "pruned"), lost_before, "nothing more is lost");
    for problem in &report.problems {
        let named =
            before.iter().filter(|pack| problem.contains(pack.file_name().unwrap().to_str().unwrap()));
        assert!(named.clone().count() == 1 && named.clone().all(|pack| pack.exists()), "{problem}");
    }
}

#[test]
fn nothing_is_removed_when_nobody_can_tell_what_is_needed() {
    let place = in_memory();
    let all = ten_days(&place);
    place.vault.forget(&keep(Period::Each, 3)).unwrap();
    let before = place.packs();
    let path = place.vault_dir().join("snapshots").join(&all[9]);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &whole[..40]).unwrap();
    let refused = place.vault.prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(refused.to_string().contains(&all[9][..8]) && refused.next_step().is_some(), "{refused}");
    fs::write(&path, &whole).unwrap();
    // Its root directory lies in the smallest pack of its day.
    let newest = place.vault.find("latest").unwrap();
    let trees = before.iter().filter(|pack| fs::metadata(pack).unwrap().len() < 20_000);
    for pack in trees {
        fs::rename(pack, pack.with_extension("away")).unwrap();
    }
    let refused = place.reopen().prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(matches!(refused, Error::NeedUnknown { .. }), "{refused} {newest:?}");
    for pack in &before {
        if !pack.exists() {
            fs::rename(pack.with_extension("away"), pack).unwrap();
        }
    }
    assert_eq!(place.packs(), before);
    place.reopen().prune(&prune_at(0), &|_| ()).unwrap();
    is_whole(&place);
}

#[test]
fn what_nobody_lists_is_taken_back_when_it_is_needed_and_marked_when_not() {
    let place = in_memory();
    ten_days(&place);
    let expected = restored(&place, &ids(&place.vault));
    // A damaged index and one that is gone: their packs' headers tell.
    let mut indexes: Vec<PathBuf> =
        fs::read_dir(place.vault_dir().join("index")).unwrap().map(|e| e.unwrap().path()).collect();
    indexes.sort();
    fs::remove_file(&indexes[0]).unwrap();
    let mut bytes = fs::read(&indexes[1]).unwrap();
    bytes[50] ^= 1;
    fs::remove_file(&indexes[1]).unwrap();
    fs::write(&indexes[1], bytes).unwrap();
    let report = place.reopen().prune(&prune_at(0), &|_| ()).unwrap();
    assert!(report.plan.take_back.packs >= 2 && report.problems.len() == 1, "{report:?}");
    assert_eq!((report.marked.packs, place.vault.notes()), (0, vec![]));
    is_whole(&place);
    restores_as(&place, &expected);
    assert_eq!(place.reopen().notes(), Vec::<String>::new());

    // A mark on what is needed after all, as a killed run may leave it, counts for nothing.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    let forgotten = place.vault_dir().join("chartward/forgotten");
    for snapshot in fs::read_dir(&forgotten).unwrap() {
        let path = snapshot.unwrap().path();
        fs::rename(&path, place.vault_dir().join("snapshots").join(path.file_name().unwrap())).unwrap();
    }
    let report = place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert!(report.plan.take_back.packs > 0, "{report:?}");
    place.vault.prune(&prune_at(50), &|_| ()).unwrap();
    is_whole(&place);
    restores_as(&place, &expected);
}

#[test]
fn the_newest_proven_snapshot_and_the_proofs_outlive_every_rule() {
    let place = in_memory();
    let all = ten_days(&place);
    let proof = |nr: usize, passed: bool, day: i64| {
        let proof = schema::Proof {
            version: 1,
            vault_id: place.vault.id().to_owned(),
            snapshot: recover_id(&all[nr]),
            captured_at: Timestamp::now(),
            proven_at: Timestamp::now() - SignedDuration::from_hours(24 * day),
            passed,
            newest_record: None,
            rpo_seconds: None,
            rto_first_chart_seconds: None,
            rto_full_seconds: 1.0,
            patients: 1,
            records: 1,
            unreadable_records: 0,
            files: 1,
            bytes: 1,
            database_rows: 0,
            shortfalls: Vec::new(),
            method: String::new(),
        };
        recover::proof::store(&place.vault, &proof, b"{}").unwrap().0
    };
    // The newest ones hold ciphertext: a drill said so of one of them, of which an earlier drill had thought better.
    let proofs = [proof(1, true, 8), proof(2, true, 7), proof(4, true, 5), proof(4, false, 1)];
    let mut request = keep(Period::Each, 1);
    let plan = place.vault.forget(&request).unwrap();
    assert_eq!(plan.with(Fate::Forgotten).len(), 8);
    let kept: BTreeSet<String> = [all[9].clone(), all[2].clone()].into_iter().chain(proofs.clone()).collect();
    assert_eq!(ids(&place.vault), kept);
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    is_whole(&place);
    assert_eq!(recover::proof::newest_proven(&place.vault).unwrap().unwrap().snapshot.0, all[2]);
    // By their ids, they go on somebody's word.
    request = ForgetRequest::by_ids(vec![all[2].clone(), proofs[0].clone()]);
    assert!(matches!(place.vault.forget(&request), Err(Error::Protected { .. })));
    request.overriding = word();
    place.vault.forget(&request).unwrap();
}

#[test]
fn an_incident_that_begins_while_a_prune_runs_stops_it() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let before = place.packs();
    let holding = place.reopen();
    let wishes = || fs::read_dir(place.vault_dir().join("chartward/holds")).map_or(0, Iterator::count);
    std::thread::scope(|scope| {
        let asked = std::cell::Cell::new(false);
        let hold = std::cell::RefCell::new(None);
        let result = place.vault.prune(&prune_at(0), &|progress| {
            if progress.phase == Phase::Repack && !asked.replace(true) {
                hold.replace(Some(scope.spawn(|| holding.hold())));
                while wishes() == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        });
        assert!(matches!(result, Err(Error::Locked { .. })), "{result:?}");
        let hold = hold.into_inner().unwrap().join().unwrap().unwrap();
        assert!(matches!(place.vault.prune(&prune_at(0), &|_| ()), Err(Error::Locked { .. })));
        drop(hold);
    });
    assert_eq!(wishes(), 0);
    assert!(before.iter().all(|pack| pack.exists()));
    is_whole(&place);
    assert!(place.vault.prune(&prune_at(0), &|_| ()).unwrap().marked.packs > 0);
    is_whole(&place);
}

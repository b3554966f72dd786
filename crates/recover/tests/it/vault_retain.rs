//! What is forgotten and what is not, passphrases, and locks that are left behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recover::Error;
use recover::vault::{
    Fate, ForgetRequest, Generations, KeyCost, Override, Password, Period, Reason, Rules, Unlock, Vault,
};

use crate::support::{PASSWORD, Place, password};
use crate::vault_prune::{Running, backup_ago, ids, in_memory, is_whole, keep, prune_at, ten_days, word};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

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
    request.generations = Generations::default();
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

#[test]
fn the_newest_proven_snapshot_and_the_proofs_outlive_every_rule() {
    let place = in_memory();
    let all = ten_days(&place);
    let proof = |nr: usize, passed: bool, day: i64| {
        let proof = schema::Proof {
            not_proven: Vec::new(),
            evidence: schema::Evidence::default(),
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

fn recover_id(id: &str) -> schema::SnapshotId {
    schema::SnapshotId(id.to_owned())
}

//! What the person who keeps a vault does with it: forget, prune, keys, locks, checks of a part, and a stock restic beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use testkit::noise;

use crate::support::{PASSPHRASE, Run, Site, files, run};

/// A vault with the same folder captured by a stock restic on each of so many days, today among them.
fn days(days: i64) -> Site {
    let site = Site::new();
    site.init();
    for back in (0..days).rev() {
        let noise = noise(back.unsigned_abs() + 1, 600_000);
        fs::create_dir_all(source(&site)).unwrap();
        fs::write(source(&site).join("カルテ.db"), noise).unwrap();
        let at = Timestamp::now() - SignedDuration::from_hours(24 * back);
        let at = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let made = site.restic(&["backup", "--host", "emr", "--time", &at, source(&site).to_str().unwrap()]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    site
}

fn source(site: &Site) -> PathBuf {
    site.path().join("records")
}

/// Everything in the vault but locks, which come and go.
fn stored(site: &Site) -> Vec<(PathBuf, usize)> {
    let all = files(&site.vault()).into_iter().filter(|(path, _)| !path.starts_with("locks"));
    all.map(|(path, content)| (path, content.len())).collect()
}

fn people(site: &Site, args: &[&str]) -> Run {
    run(site.command(args).arg("--vault").arg(site.vault()).args(["--state", &site.state(), "--lang", "ja"]))
}

fn facts(site: &Site, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(&site.state()).join("ledger.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.to_string().contains(&format!("\"kind\":\"{kind}\""))).collect()
}

fn snapshots(site: &Site) -> Vec<String> {
    let listed = site.restic(&["snapshots", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    listed.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

fn keys(line: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn bytes_of(line: &Value, what: &str) -> u64 {
    line[what]["bytes"].as_u64().unwrap()
}

#[test]
fn what_is_forgotten_is_said_first_then_done_then_taken_back_until_a_prune_removed_it() {
    let test = "what_is_forgotten_is_said_first_then_done_then_taken_back_until_a_prune_removed_it";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let site = days(8);
    let before = stored(&site);
    let all = snapshots(&site);

    // The plan.
    let plan = site.run(["vault", "forget", "--keep-last", "1"]);
    let last = plan.last();
    assert_eq!((plan.code, plan.lines.len()), (0, 9), "{}", plan.stderr);
    for (name, expected) in [("kept", 5), ("forgotten", 3), ("refused", 0), ("future_dated", 0)] {
        assert_eq!(last[name], expected, "{name}: {last}");
    }
    assert_eq!((&last["type"], &last["applied"]), (&"summary".into(), &false.into()));
    let one = &plan.lines[0];
    for name in ["id", "short_id", "time", "counted_at", "hostname", "paths", "tags", "fate", "reasons"] {
        assert!(keys(one).contains(&name), "{name}: {one}");
    }
    for code in ["last", "generation", "protected_generation"] {
        assert!(plan.stdout.contains(&format!("\"code\":\"{code}\"")), "{code}: {}", plan.stdout);
    }
    let said = people(&site, &["vault", "forget", "--keep-last", "1"]);
    for words in ["まだ何も変更していません", "忘却予定", "保持5件、忘却3件", "取得日時"]
    {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    // What is protected, and what makes no sense.
    let third = all[all.len() - 3].as_str();
    let refused = site.run(["vault", "forget", third]);
    assert_eq!((refused.code, &refused.last()["refused"]), (1, &1.into()), "{}", refused.stdout);
    for (args, words) in [
        (vec!["vault", "forget", third, "--apply"], "protected"),
        (vec!["vault", "forget", third, "--keep-last", "1"], "not both"),
        (vec!["vault", "forget", third, "--apply", "--override", " ", "--by", "Sato"], "needs a reason"),
        (vec!["vault", "forget", "--keep-last", "1", "--generations", "4"], "4"),
        (vec!["vault", "forget", "--keep-last", "1", "--zone", "Mars/Base"], "no time zone"),
    ] {
        let run = site.run(&args);
        assert!(run.code == 2 && run.stderr.contains(words), "{args:?}: {} {}", run.code, run.stderr);
    }
    assert!(stored(&site) == before, "nothing of this may change the vault");

    // Done, and taken back.
    let done = site.run(["vault", "forget", "--keep-last", "1", "--apply"]);
    assert_eq!((done.code, &done.last()["applied"]), (0, &true.into()), "{}", done.stderr);
    assert_eq!(snapshots(&site).len(), 5);
    assert_eq!(facts(&site, "snapshots_forgotten").len(), 1);
    let undone = site.run(["vault", "forget", "--undo", &all[0]]);
    assert_eq!((undone.code, &undone.last()["type"]), (0, &"taken_back".into()), "{}", undone.stderr);
    assert_eq!((snapshots(&site).len(), facts(&site, "snapshots_taken_back").len()), (6, 1));
    let again = people(&site, &["vault", "forget", "--keep-last", "1", "--apply"]);
    assert!(again.stdout.contains("忘却済み") && again.stdout.contains("元に戻せます"), "{}", again.stdout);

    // The space: planned, marked, taken back, marked again, removed.
    let before = stored(&site);
    let plan = site.run(["vault", "prune"]);
    assert_eq!((plan.code, &plan.last()["type"]), (0, &"plan".into()), "{}", plan.stderr);
    for name in ["keep", "repack", "remove", "waiting", "due", "take_back"] {
        assert!(keys(&plan.last()[name]) == ["bytes", "packs", "used_bytes"], "{name}: {}", plan.last());
    }
    assert!(bytes_of(plan.last(), "remove") > 1_000_000, "{}", plan.last());
    let said = people(&site, &["vault", "prune"]);
    assert!(said.stdout.contains("まだ何も変更していません"), "{}", said.stdout);
    assert!(stored(&site) == before, "a plan changes nothing");
    let marked = site.run(["vault", "prune", "--apply"]);
    assert_eq!(marked.code, 0, "{}", marked.stderr);
    assert!(bytes_of(marked.last(), "marked") > 1_000_000 && bytes_of(marked.last(), "removed") == 0);
    let waits = people(&site, &["vault", "prune", "--apply"]);
    assert!(waits.stdout.contains("--cancel で取り消せます"), "{}", waits.stdout);
    let cancelled = site.run(["vault", "prune", "--cancel"]);
    assert_eq!((cancelled.code, &cancelled.last()["type"]), (0, &"cancelled".into()), "{}", cancelled.stderr);
    assert!(cancelled.last()["taken_back"]["packs"].as_u64().unwrap() > 0);
    let mut removed = 0;
    for _ in 0..3 {
        let run = site.run(["vault", "prune", "--apply", "--delay", "0s"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        removed += bytes_of(run.last(), "removed");
    }
    assert!(removed > 1_000_000, "{removed}");
    assert!(facts(&site, "vault_pruned").len() >= 3);
    let too_late = site.run(["vault", "forget", "--undo", &all[0]]);
    assert!(too_late.code == 2 && !too_late.stderr.is_empty(), "{} {}", too_late.code, too_late.stderr);
    assert!(site.restic(&["check", "--read-data"]).status.success());
    assert_eq!(snapshots(&site).len(), 5);
}

#[test]
fn passphrases_come_and_go_and_dead_locks_too() {
    let test = "passphrases_come_and_go_and_dead_locks_too";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let site = Site::new();
    site.init();
    let file = site.path().join("second");
    fs::write(&file, "another passphrase for the vault").unwrap();
    let second = file.to_str().unwrap();
    let with = |passphrase: &str, args: &[&str]| {
        let mut command = site.command(args);
        command.arg("--json").arg("--vault").arg(site.vault()).args(["--state", &site.state()]);
        run(command.env("CHARTWARD_PASSWORD", passphrase))
    };
    let listed = site.run(["vault", "key", "list"]);
    assert_eq!((listed.code, listed.lines.len(), &listed.lines[0]["current"]), (0, 1, &true.into()));
    let first = listed.lines[0]["id"].as_str().unwrap().to_owned();
    let added = site.run(["vault", "key", "add", "--new-password-file", second]);
    assert_eq!((added.code, &added.last()["what"]), (0, &"added".into()), "{}", added.stderr);
    let theirs = with("another passphrase for the vault", &["vault", "key", "list"]);
    assert_eq!((theirs.code, theirs.lines.len()), (0, 2), "{}", theirs.stderr);
    assert_eq!(site.run(["vault", "key", "remove", &first]).code, 2, "not the one that opened it");
    let removed = with("another passphrase for the vault", &["vault", "key", "remove", &first]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert_eq!(site.run(["vault", "key", "list"]).code, 2);
    // Back to the first words, by changing.
    fs::write(&file, PASSPHRASE).unwrap();
    let changed =
        with("another passphrase for the vault", &["vault", "key", "passwd", "--new-password-file", second]);
    assert_eq!((changed.code, &changed.last()["what"]), (0, &"changed".into()), "{}", changed.stderr);
    assert_eq!(with("another passphrase for the vault", &["vault", "key", "list"]).code, 2);
    assert_eq!(facts(&site, "vault_key_changed").len(), 4);
    let said = people(&site, &["vault", "key", "list"]);
    assert!(said.code == 0 && said.stdout.contains("作成日時"), "{}", said.stdout);

    // A stock restic that was killed leaves a lock; one that lives keeps its own.
    let mut killed = Killed(
        Command::new("restic")
            .args(["--no-cache", "-r"])
            .arg(site.vault())
            .args(["backup", "--stdin"])
            .env("RESTIC_PASSWORD", PASSPHRASE)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let locks = || fs::read_dir(site.vault().join("locks")).unwrap().count();
    until("restic locks the vault", || locks() == 1);
    for args in [&["vault", "unlock"][..], &["vault", "unlock", "--all"]] {
        let living = site.vaulted(args);
        assert_eq!((living.code, &living.last()["removed"]), (0, &0.into()), "{}", living.stderr);
    }
    let busy = site.run(["vault", "prune", "--apply"]);
    assert!(busy.code == 2 && busy.stderr.contains("lock"), "{} {}", busy.code, busy.stderr);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let dead = site.vaulted(["vault", "unlock"]);
    assert_eq!((dead.code, &dead.last()["removed"], locks()), (0, &1.into(), 0), "{}", dead.stderr);
}

#[test]
fn parts_are_checked_until_everything_was_read() {
    let site = Site::new();
    site.init();
    fs::create_dir_all(source(&site)).unwrap();
    for number in 0..4 {
        fs::write(source(&site).join("db"), noise(number + 1, 900_000)).unwrap();
        assert_eq!(site.backup(&source(&site)).code, 0);
    }
    let structure = site.run(["vault", "check"]);
    assert_eq!((structure.code, &structure.last()["packs_read"]), (0, &0.into()), "{}", structure.stderr);
    let packs = structure.last()["packs"].as_u64().unwrap();
    let read = |part: &str| {
        let run = site.run(["vault", "check", "--read-data-subset", part]);
        assert_eq!(run.code, 0, "{part}: {}", run.stderr);
        run.last().clone()
    };
    // Those that have not been read for the longest time come first, so two halves are the whole.
    let half = read("60%");
    assert!((1..packs).contains(&half["packs_read"].as_u64().unwrap()), "{half}");
    let percent = half["coverage"]["percent"].as_f64().unwrap();
    assert!((50.0..100.0).contains(&percent), "{half}");
    let whole = read("60%");
    assert_eq!(whole["coverage"]["percent"].as_f64(), Some(100.0), "{whole}");
    assert_eq!(whole["coverage"]["bytes_overdue"], 0);
    let parts: u64 = ["1/2", "2/2"].iter().map(|part| read(part)["packs_read"].as_u64().unwrap()).sum();
    assert_eq!(parts, packs);
    let said = people(&site, &["vault", "check", "--read-data-subset", "1G"]);
    for words in ["検査しました", "問題: 0件", "全体の100%"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    for part in ["0/2", "3/2", "0%", "101%", "much"] {
        let run = site.run(["vault", "check", "--read-data-subset", part]);
        assert!(run.code == 2 && run.stderr.contains("such as 2/7"), "{part}: {}", run.stderr);
    }
    // Damage, where it is read.
    let pack =
        files(&site.vault()).into_iter().find(|(path, it)| path.starts_with("data") && it.len() > 500_000);
    let (path, mut content) = pack.unwrap();
    let path = site.vault().join(path);
    content[1_000] ^= 1;
    let _ = fs::remove_file(&path);
    fs::write(&path, &content).unwrap();
    let found = site.run(["vault", "check", "--read-data-subset", "100%"]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    let problem = found.lines.iter().find(|line| line["type"] == "problem").unwrap();
    assert!(problem["next_step"].is_string() && problem["paths_total"].as_u64() > Some(0), "{problem}");
}

/// What the documentation says of a stock restic: mending an index, and looking into a vault as into a folder.
#[test]
fn a_stock_restic_repairs_and_mounts_our_vaults() {
    let test = "a_stock_restic_repairs_and_mounts_our_vaults";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let site = Site::new();
    site.init();
    fs::create_dir_all(source(&site)).unwrap();
    fs::write(source(&site).join("カルテ"), noise(3, 900_000)).unwrap();
    assert_eq!(site.backup(&source(&site)).code, 0);
    for entry in fs::read_dir(site.vault().join("index")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert!(!site.restic(&["check"]).status.success());
    // Called `repair index` from version 0.16 on.
    let repaired = [&["repair", "index"][..], &["rebuild-index"]]
        .iter()
        .any(|words| site.restic(words).status.success());
    assert!(repaired && site.restic(&["check", "--read-data"]).status.success());
    let ours = site.run(["vault", "check", "--read-data"]);
    assert_eq!(ours.code, 0, "{}{}", ours.stdout, ours.stderr);

    if !Path::new("/dev/fuse").exists() || testkit::tool(test, "fusermount").is_none() {
        return;
    }
    let at = site.path().join("mounted");
    fs::create_dir(&at).unwrap();
    let mut mount = Mounted(at.clone(), mount(&site, &at));
    let file = at.join("snapshots/latest").join(source(&site).strip_prefix("/").unwrap()).join("カルテ");
    let begun = Instant::now();
    while !file.exists() {
        if mount.1.try_wait().unwrap().is_some() {
            // A machine that lets nobody mount.
            eprintln!("skipped: {test} could not mount");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing was mounted");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(fs::read(&file).unwrap() == noise(3, 900_000));
}

fn mount(site: &Site, at: &Path) -> Child {
    let mut restic = Command::new("restic");
    restic.args(["--no-cache", "--no-lock", "-r"]).arg(site.vault()).arg("mount").arg(at);
    restic.env("RESTIC_PASSWORD", PASSPHRASE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Mounted(PathBuf, Child);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("fusermount").args(["-u", "-z"]).arg(&self.0).stderr(Stdio::null()).status();
        let _ = self.1.kill();
        let _ = self.1.wait();
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

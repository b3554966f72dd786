use std::process::{Command, Stdio};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn open(path: &Path) -> Result<(Chain, Opened), Error> {
    let key = with_suffix(path, ".key");
    Chain::open(path, Purpose::Notes, Secret::File(&key), NOW, |_, contents| {
        format!("{:?}", contents.damage).into_bytes()
    })
}

fn filled(path: &Path, texts: &[&str]) {
    let (mut chain, _) = open(path).unwrap();
    for text in texts {
        chain.append(text.as_bytes()).unwrap();
    }
}

fn texts(contents: &Contents) -> Vec<String> {
    contents.records.iter().map(|record| String::from_utf8(record.payload.clone()).unwrap()).collect()
}

/// Where each record begins, and where the last one ends.
fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec![HEADER_BYTES];
    while let Found::Frame(frame) = frame::frame(&bytes[*places.last().unwrap()..], RECORD_MAX) {
        places.push(places.last().unwrap() + frame.bytes.len());
    }
    places
}
use frame::Found;

#[test]
fn records_read_back_after_reopening_and_nothing_of_them_stands_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    filled(&path, &["体温 37.2", "two"]);
    filled(&path, &["three"]);
    let (chain, opened) = open(&path).unwrap();
    assert_eq!(texts(&opened.contents), ["体温 37.2", "two", "three"]);
    assert_eq!(chain.head().0, 3);
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(3).any(|window| window == b"two"));
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[test]
fn what_was_done_to_a_file_is_found_and_named_and_the_rest_is_read() {
    type Change = fn(&mut Vec<u8>, &[usize]);
    let cases: &[(&str, Change, &[&str], &str)] = &[
        ("a bit turned", |b, p| b[p[1] + 80] ^= 1, &["a", "c", "d"], "bytes at"),
        (
            "a record removed",
            |b, p| drop(b.drain(p[1]..p[2])),
            &["a", "c", "d"],
            "records 1 to 1 are missing",
        ),
        (
            "the end cut",
            |b, p| b.truncate(p[3]),
            &["a", "b", "c"],
            "4 records were acknowledged, 3 are there",
        ),
        ("the end cut within", |b, p| b.truncate(p[3] + 9), &["a", "b", "c"], "4 records were acknowledged"),
        (
            "two swapped",
            |b, p| b[p[1]..p[3]].rotate_left(p[2] - p[1]),
            &["a", "b", "c", "d"],
            "record 1 is not in its place",
        ),
        (
            "one doubled",
            |b, p| {
                let copy = b[p[0]..p[1]].to_vec();
                b.extend(copy);
            },
            &["a", "b", "c", "d"],
            "record 0 is not in its place",
        ),
        ("emptied", |b, _| b.clear(), &[], "40 bytes at 0"),
    ];
    for (what, change, left, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        filled(&path, &["a", "b", "c", "d"]);
        let mut bytes = fs::read(&path).unwrap();
        let places = places(&bytes);
        change(&mut bytes, &places);
        fs::write(&path, &bytes).unwrap();

        let (mut chain, opened) = open(&path).unwrap();
        let said: Vec<_> = opened.contents.damage.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|said| said.contains(words)), "{what}: {said:?}");
        assert_eq!(texts(&opened.contents), *left, "{what}");
        assert_eq!(fs::read(opened.set_aside.unwrap()).unwrap(), bytes, "{what}: the damaged file is kept");
        chain.append(b"e").unwrap();
        drop(chain);
        let (_, again) = open(&path).unwrap();
        assert!(again.contents.damage.is_empty(), "{what}: {:?}", again.contents.damage);
        assert_eq!(texts(&again.contents)[1..].len(), left.len() + 1, "{what}: carried over");
    }
}

#[test]
fn two_damaged_files_of_one_second_are_both_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    filled(&path, &["a", "b"]);
    let mut aside = Vec::new();
    for _ in 0..2 {
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER_BYTES + 80] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (_, opened) = open(&path).unwrap();
        aside.push((opened.set_aside.unwrap(), bytes));
    }
    assert!(aside[0].0 != aside[1].0);
    assert!(aside.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes));
}

#[test]
fn a_torn_end_that_nobody_was_told_of_is_cut_off_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    filled(&path, &["a"]);
    let whole = fs::read(&path).unwrap();
    for torn in [&b"CW"[..], b"CWR1\x20\x00", &[0; 300], &whole[HEADER_BYTES..whole.len() - 1]] {
        fs::write(&path, [&whole, torn].concat()).unwrap();
        let read = Chain::read(&path, Purpose::Notes, Secret::File(&with_suffix(&path, ".key"))).unwrap();
        assert_eq!((read.torn, read.damage.len()), (torn.len() as u64, 0));
        let (chain, opened) = open(&path).unwrap();
        assert_eq!(
            (texts(&opened.contents), opened.contents.torn),
            (vec!["a".to_owned()], torn.len() as u64)
        );
        drop(chain);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn another_key_another_kind_and_a_second_writer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let (held, _) = open(&path).unwrap();
    assert!(matches!(open(&path), Err(Error::JournalInUse { .. })));
    drop(held);
    filled(&path, &["a"]);
    let key = with_suffix(&path, ".key");
    let read = |purpose, secret: Secret<'_>| Chain::read(&path, purpose, secret).map(|_| ());
    assert!(matches!(read(Purpose::Decisions, Secret::File(&key)), Err(Error::JournalKey { .. })));
    assert!(matches!(read(Purpose::Notes, Secret::Passphrase(b"x")), Err(Error::JournalKey { .. })));
    fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(read(Purpose::Notes, Secret::File(&key)), Err(Error::JournalKey { .. })));
    fs::write(&path, b"not a journal at all, but long enough to be one").unwrap();
    assert!(matches!(open(&path), Err(Error::JournalKey { .. })));
}

#[test]
fn a_passphrase_opens_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let open = |text: &'static str| {
        Chain::open(&path, Purpose::Notes, Secret::Passphrase(text.as_bytes()), NOW, |_, _| Vec::new())
    };
    open("いろは").unwrap().0.append(b"a").unwrap();
    assert_eq!(texts(&open("いろは").unwrap().1.contents), ["a"]);
    assert!(matches!(open("other"), Err(Error::JournalKey { .. })));
}

#[test]
fn a_full_disk_is_an_error_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let child = child("full", &path);
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let acknowledged: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("acknowledged ")).collect();
    assert!(said.contains("refused"), "{said}");
    assert!(acknowledged.len() > 3, "{said}");
    let (mut chain, opened) = open(&path).unwrap();
    assert_eq!(texts(&opened.contents), acknowledged);
    assert!(opened.contents.damage.is_empty());
    chain.append(b"there is room again").unwrap();
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let mut acknowledged: Vec<String> = Vec::new();
    let mut wait = 0x9e37_79b9_u64;
    for round in 0..200 {
        let mut child = child("forever", &path);
        let mut said = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .filter_map(|line| line.unwrap().strip_prefix("acknowledged ").map(str::to_owned));
        wait = wait.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Many are killed before they acknowledged anything, some while they open the file.
        let upto = ((wait >> 33) % 5).saturating_sub(1) + u64::from(round % 20 == 0);
        acknowledged.extend(said.by_ref().take(usize::try_from(upto).unwrap()));
        std::thread::sleep(std::time::Duration::from_micros((wait >> 40) % 3_000));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(said);
    }
    let (_, opened) = open(&path).unwrap();
    let held = texts(&opened.contents);
    assert!(opened.contents.damage.is_empty(), "{:?}", opened.contents.damage);
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let held: std::collections::HashSet<&String> = held.iter().collect();
    assert!(acknowledged.iter().all(|text| held.contains(text)));
}

/// This test's program again, as the process that is killed.
fn child(mode: &str, path: &Path) -> std::process::Child {
    // A file that may not grow fails as a full disk does, once its signal is ignored.
    let limited =
        if mode == "full" { "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"" } else { "exec \"$0\" \"$@\"" };
    Command::new("/bin/sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "downtime::chain::tests::the_process_that_is_killed", "--nocapture"])
        .env("CHARTWARD_TEST_JOURNAL", path)
        .env("CHARTWARD_TEST_MODE", mode)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless another test starts it.
#[test]
fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os("CHARTWARD_TEST_JOURNAL") else { return };
    let is_full = std::env::var("CHARTWARD_TEST_MODE").is_ok_and(|mode| mode == "full");
    let (mut chain, _) = open(Path::new(&path)).unwrap();
    for number in 0.. {
        let text = format!("{}-{number}-{}", std::process::id(), "x".repeat(number % 70));
        match chain.append(text.as_bytes()) {
            Ok(()) => println!("acknowledged {text}"),
            Err(error) if is_full => {
                println!("refused: {}", error.chain());
                return;
            }
            Err(error) => panic!("{}", error.chain()),
        }
    }
}

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use super::*;

const DAY: i64 = 86_400;
/// 2026-03-02T00:00:00Z.
const TODAY: i64 = 1_772_409_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn settings() -> Settings {
    Settings { region: "ap-northeast-1".into(), account: "st-luke/clinic".into(), retention_days: 30 }
}

fn open(dir: &Path) -> Lake {
    Lake::open(dir, settings()).unwrap()
}

fn event(n: u64, time: Timestamp) -> Event {
    Event {
        time,
        class_uid: [2004, 4001, 3002, 4009, 6003][n as usize % 5],
        severity_id: (n % 6) as u8,
        watcher: "sensor-1".into(),
        detector: if n.is_multiple_of(5) { "lateral.smb".into() } else { String::new() },
        title: format!("finding {n} 訓練"),
        src_ip: Some(format!("10.0.{}.{}", n / 256 % 256, n % 256).parse().unwrap()),
        src_port: Some(50_000),
        dst_ip: n.is_multiple_of(2).then(|| "2001:db8::1".parse().unwrap()),
        dst_port: None,
        hostname: Some("emr".into()),
        user: None,
        bytes: Some(n * 10),
        status_id: Some(1),
        json: format!(r#"{{"n":{n},"finding_info":{{"title":"訓練 \"{n}\""}}}}"#),
    }
}

fn events(range: std::ops::Range<u64>, time: Timestamp) -> Vec<Event> {
    range.map(|n| event(n, time)).collect()
}

/// How often each position stands in Parquet files.
fn in_parquet(dir: &Path) -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    for (day, _) in partition::days(dir).unwrap() {
        for file in partition::stored(&day).unwrap() {
            rows::read_groups(&file.path, |rows, _| {
                rows.positions().for_each(|position| *found.entry(position).or_default() += 1);
                Ok(())
            })
            .unwrap();
        }
    }
    found
}

fn files(dir: &Path) -> usize {
    partition::days(dir).unwrap().iter().map(|(day, _)| partition::stored(day).unwrap().len()).sum()
}

/// Every position up to `last` is in Parquet once.
fn check_once(dir: &Path, last: u64) {
    let found = in_parquet(dir);
    let expected: BTreeMap<u64, u32> = (1..=last).map(|position| (position, 1)).collect();
    assert!(
        found == expected,
        "{} of {last}; twice or more: {:?}",
        found.len(),
        found.iter().find(|(_, n)| **n > 1)
    );
}

#[test]
fn what_was_appended_is_replayed_and_flushed_once() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let all = events(0..2500, at(TODAY));
    assert_eq!(lake.append(&all[..1000], at(TODAY)).unwrap(), 1000);
    assert_eq!(lake.append(&all[1000..], at(TODAY + 1)).unwrap(), 2500);
    assert_eq!(lake.append(&[], at(TODAY)).unwrap(), 2500);
    assert_eq!(lake.pending().events, 2500);
    let report = lake.flush().unwrap();
    assert_eq!((report.events, report.files), (2500, 5));
    assert_eq!(lake.flush().unwrap(), FlushReport::default());
    check_once(dir.path(), 2500);
    drop(lake);

    let lake = open(dir.path());
    assert_eq!((lake.position(), lake.pending().events), (2500, 0));
    let mut seen = Vec::new();
    let replayed = lake
        .replay(990, |position, arrived, event| {
            assert_eq!(arrived, at(TODAY + i64::from(position > 1000)));
            seen.push(event);
            Ok(())
        })
        .unwrap();
    assert_eq!(replayed, Replayed { events: 1510, last: 2500, missing: 0 });
    assert_eq!(seen, all[990..]);
    lake.append(&all[..10], at(TODAY)).unwrap();
    lake.flush().unwrap();
    check_once(dir.path(), 2510);
}

#[test]
fn folders_are_laid_out_as_security_lake_does_and_absurd_times_go_to_the_day_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let times = [0, TODAY - 31 * DAY, TODAY - 30 * DAY, TODAY + DAY, TODAY + 2 * DAY, 7_258_118_400];
    let events: Vec<Event> = times.iter().map(|time| event(0, at(*time))).collect();
    lake.append(&events, at(TODAY)).unwrap();
    lake.flush().unwrap();
    let found: Vec<String> = partition::days(dir.path())
        .unwrap()
        .iter()
        .map(|(path, _)| path.strip_prefix(dir.path()).unwrap().display().to_string())
        .collect();
    let below = "findings/region=ap-northeast-1/accountId=st-luke_clinic/eventDay=";
    assert_eq!(found, ["20260131", "20260302", "20260303"].map(|day| format!("{below}{day}")));
    assert_eq!(lake.expire(at(TODAY + DAY)).unwrap(), 1);
    assert_eq!(lake.expire(at(TODAY + 40 * DAY)).unwrap(), 2);
    assert_eq!(files(dir.path()), 0);
}

#[test]
fn the_journal_goes_only_when_parquet_and_the_replayer_are_past_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let long = Event { json: format!("\"{}\"", "x".repeat(60_000)), ..event(0, at(TODAY)) };
    let batch = vec![long; 100];
    // Six segments of 16 MiB and more.
    for _ in 0..20 {
        lake.append(&batch, at(TODAY)).unwrap();
    }
    let before = lake.pending();
    lake.release(2000).unwrap();
    assert_eq!(lake.pending(), before, "nothing is in Parquet yet");
    lake.flush().unwrap();
    lake.release(1000).unwrap();
    assert!(lake.pending().journal_bytes < before.journal_bytes);
    assert_eq!(lake.replay(1000, |_, _, _| Ok(())).unwrap().events, 1000);
    lake.release(u64::MAX).unwrap();
    let replayed = lake.replay(0, |_, _, _| Ok(())).unwrap();
    assert_eq!(replayed.events + replayed.missing, 2000);
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.append(&batch, at(TODAY)).unwrap(), 2100, "positions go on");
    lake.flush().unwrap();
    check_once(dir.path(), 2100);
}

#[test]
fn what_is_written_is_there_after_a_kill_and_shown_once_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let first = lake.write(&events(1..4, at(TODAY)), at(TODAY)).unwrap();
    let second = lake.write(&events(4..6, at(TODAY)), at(TODAY)).unwrap();
    assert_eq!((first.position(), second.position(), lake.position()), (3, 5, 0));
    assert_eq!(
        lake.replay(0, |_, _, _| Ok(())).unwrap().events,
        0,
        "nobody reads what the disk may not have"
    );
    // Everything up to now, whichever is asked for.
    assert_eq!(lake.sync(first).unwrap(), 5);
    assert_eq!(lake.replay(0, |_, _, _| Ok(())).unwrap().events, 5);
    let _ = lake.write(&events(6..8, at(TODAY)), at(TODAY)).unwrap();
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.position(), 7);
    // What somebody judged up to is not given to others.
    lake.skip_to(20);
    assert_eq!(lake.append(&events(8..9, at(TODAY)), at(TODAY)).unwrap(), 21);
    assert_eq!(lake.replay(0, |_, _, _| Ok(())).unwrap(), Replayed { events: 8, last: 21, missing: 13 });
    lake.flush().unwrap();
    drop(lake);
    assert_eq!(open(dir.path()).position(), 21);
}

#[test]
fn segments_that_were_filled_before_a_sync_are_kept_and_let_go_of() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let large = Event { json: format!("{{\"x\":\"{}\"}}", "a".repeat(60_000)), ..event(1, at(TODAY)) };
    let many = vec![large; 100];
    // Seven times six megabytes: three segments.
    let written: Vec<Written> = (0..7).map(|_| lake.write(&many, at(TODAY)).unwrap()).collect();
    let segments = || {
        fs::read_dir(dir.path().join("journal"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "journal"))
            .count()
    };
    assert_eq!(segments(), 3);
    lake.release(u64::MAX).unwrap();
    assert_eq!((segments(), lake.position()), (3, 0));
    assert_eq!(lake.sync(written[0]).unwrap(), 700);
    assert_eq!(lake.replay(0, |_, _, _| Ok(())).unwrap().events, 700);
    lake.flush().unwrap();
    lake.release(700).unwrap();
    assert_eq!(segments(), 1);
    drop(lake);
    assert_eq!(open(dir.path()).position(), 700);
}

#[test]
fn a_line_that_is_too_long_is_replaced_by_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let long = Event { json: "x".repeat(70_000), title: "あ".repeat(9999), ..event(0, at(TODAY)) };
    lake.append(&[long], at(TODAY)).unwrap();
    lake.replay(0, |_, _, event| {
        assert_eq!(event.json, r#"{"too_long":70000}"#);
        assert_eq!(event.title, "あ".repeat(170));
        Ok(())
    })
    .unwrap();
}

fn only_segment(dir: &Path) -> PathBuf {
    let found: Vec<PathBuf> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    assert_eq!(found.len(), 1);
    found[0].clone()
}

#[test]
fn a_torn_end_is_set_aside_wherever_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(&events(0..3, at(TODAY)), at(TODAY)).unwrap();
    let segment = only_segment(dir.path());
    let first = fs::metadata(&segment).unwrap().len() as usize;
    lake.append(&events(3..6, at(TODAY)), at(TODAY)).unwrap();
    drop(lake);
    let whole = fs::read(&segment).unwrap();
    for end in (first + 1..whole.len()).step_by(23).chain([whole.len() - 1]) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("journal")).unwrap();
        fs::write(dir.path().join("journal").join(segment.file_name().unwrap()), &whole[..end]).unwrap();
        let lake = open(dir.path());
        assert_eq!(lake.position(), 3, "cut at {end}");
        assert_eq!(fs::read(&lake.set_aside()[0]).unwrap(), whole[first..end]);
        assert_eq!(lake.append(&events(3..5, at(TODAY)), at(TODAY)).unwrap(), 5);
        lake.flush().unwrap();
        check_once(dir.path(), 5);
    }
}

#[test]
fn damage_within_the_journal_costs_one_record_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for n in 0..3 {
        lake.append(&events(n * 10..n * 10 + 10, at(TODAY)), at(TODAY)).unwrap();
    }
    drop(lake);
    let segment = only_segment(dir.path());
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&segment, bytes).unwrap();
    let lake = open(dir.path());
    assert_eq!(lake.set_aside().len(), 1);
    assert!(lake.set_aside()[0].to_string_lossy().contains(".damaged-"));
    assert_eq!(lake.replay(0, |_, _, _| Ok(())).unwrap(), Replayed { events: 20, last: 30, missing: 10 });
    assert_eq!(lake.flush().unwrap().events, 20);
    assert_eq!(lake.pending().events, 0);
    assert_eq!(lake.append(&events(0..1, at(TODAY)), at(TODAY)).unwrap(), 31);
}

#[test]
fn a_lake_without_its_journal_keeps_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(&events(0..100, at(TODAY)), at(TODAY)).unwrap();
    lake.flush().unwrap();
    drop(lake);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let lake = open(dir.path());
    assert_eq!(lake.append(&events(0..100, at(TODAY)), at(TODAY)).unwrap(), 200);
    lake.flush().unwrap();
    check_once(dir.path(), 200);
}

#[test]
fn compaction_makes_one_file_of_a_past_day_and_loses_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for n in 0..12 {
        let time = at(TODAY - if n % 2 == 0 { DAY } else { 0 });
        lake.append(&events(n * 10..n * 10 + 10, time), at(TODAY)).unwrap();
        lake.flush().unwrap();
    }
    assert_eq!(files(dir.path()), 60);
    let report = lake.compact(at(TODAY)).unwrap();
    assert_eq!((report.replaced, report.made, report.rows), (30, 5, 60));
    assert_eq!(files(dir.path()), 35);
    check_once(dir.path(), 120);
    assert_eq!(lake.compact(at(TODAY)).unwrap(), CompactReport::default());
    drop(lake);
    drop(open(dir.path()));
    check_once(dir.path(), 120);
}

#[test]
fn what_a_killed_flush_or_compaction_left_is_removed_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for n in 0..3 {
        lake.append(&events(n * 10..n * 10 + 10, at(TODAY)), at(TODAY)).unwrap();
        lake.flush().unwrap();
    }
    let day = partition::days(dir.path()).unwrap()[0].0.clone();
    let small = partition::stored(&day).unwrap();
    let copies: Vec<Vec<u8>> = small.iter().map(|file| fs::read(&file.path).unwrap()).collect();
    lake.compact(at(TODAY + DAY)).unwrap();
    // Killed after the merged file had its name and before the small ones were gone.
    for (file, copy) in small.iter().zip(copies) {
        fs::write(&file.path, copy).unwrap();
    }
    // Killed before the position of a flush was written, and within a file.
    lake.append(&events(30..40, at(TODAY)), at(TODAY)).unwrap();
    let flushed = fs::read(dir.path().join("journal/flushed")).unwrap();
    lake.flush().unwrap();
    drop(lake);
    fs::write(dir.path().join("journal/flushed"), flushed).unwrap();
    fs::write(day.join("half.new"), "PAR1").unwrap();
    let lake = open(dir.path());
    check_once(dir.path(), 30);
    assert_eq!(lake.pending().events, 10);
    lake.flush().unwrap();
    check_once(dir.path(), 40);
    assert!(!day.join("half.new").exists());
}

#[test]
fn a_damaged_parquet_file_is_named_and_the_rest_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for n in 0..4 {
        lake.append(&events(n..n + 1, at(TODAY)), at(TODAY)).unwrap();
        lake.append(&[event(0, at(TODAY))], at(TODAY)).unwrap();
        lake.flush().unwrap();
    }
    let day = partition::days(dir.path()).unwrap()[0].0.clone();
    let damaged = partition::stored(&day).unwrap()[1].path.clone();
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let report = lake.compact(at(TODAY + DAY)).unwrap();
    assert_eq!(report.set_aside, [damaged.with_extension("parquet.damaged")]);
    assert_eq!((report.replaced, report.made), (3, 1));
    assert_eq!(in_parquet(dir.path()).len(), 7);
}

#[test]
fn a_second_process_is_refused_and_told_who_the_first_is() {
    let dir = tempfile::tempdir().unwrap();
    let _lake = open(dir.path());
    let refused = Lake::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(refused, Error::InUse { pid, .. } if pid == std::process::id() as i32), "{refused}");
    assert!(refused.next_step().unwrap().contains("end that process"));
}

#[test]
fn threads_append_at_once_and_every_event_has_its_own_position() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    thread::scope(|scope| {
        for n in 0..8 {
            let lake = &lake;
            scope.spawn(move || {
                for _ in 0..10 {
                    let position = lake.append(&events(n * 100..n * 100 + 50, at(TODAY)), at(TODAY)).unwrap();
                    assert!(lake.position() >= position);
                }
            });
            scope.spawn(|| lake.flush().unwrap());
        }
    });
    lake.flush().unwrap();
    check_once(dir.path(), 4000);
}

const CHILD: &str = "CHARTWARD_TEST_LAKE_CHILD";

/// Appends, flushes and compacts until it is killed; every acknowledged position is a line on its output.
#[test]
fn child_that_fills_a_lake_until_it_is_killed() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let lake = open(Path::new(&dir));
    for turn in 0u64.. {
        let position = lake.append(&events(turn..turn + 20, at(TODAY)), at(TODAY)).unwrap();
        println!("acknowledged {position}");
        if turn % 7 == 6 {
            lake.flush().unwrap();
        }
        if turn % 29 == 28 {
            lake.compact(at(TODAY + DAY)).unwrap();
            lake.release(position - 100).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for turn in 0..12 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "lake::tests::child_that_fills_a_lake_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let end = Instant::now() + Duration::from_millis(150 + turn * 53);
        let killer = thread::spawn(move || {
            thread::sleep(end.saturating_duration_since(Instant::now()));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in output.lines().map_while(Result::ok) {
            let position =
                line.split_once("acknowledged ").and_then(|(_, position)| position.parse::<u64>().ok());
            acknowledged = acknowledged.max(position.unwrap_or(0));
        }
        killer.join().unwrap();
        let lake = open(dir.path());
        assert!(lake.position() >= acknowledged, "{} of {acknowledged}", lake.position());
        let flushed = lake.position() - lake.pending().events;
        check_once(dir.path(), flushed);
        let left = lake.replay(flushed, |_, _, _| Ok(())).unwrap();
        assert_eq!((left.events, left.missing), (lake.position() - flushed, 0));
    }
    assert!(acknowledged > 500, "{acknowledged}");
}

/// Python with DuckDB from PyPI, in a folder that stays for the next run; `None` after saying why not.
fn duckdb(test: &str) -> Option<PathBuf> {
    let python = testkit::tool(test, "python3")?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let venv = cache.unwrap_or_else(env::temp_dir).join("chartward-tests").join("duckdb");
    let inside = venv.join("bin/python");
    let works = |program: &Path| {
        let run = Command::new(program).args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    if !works(&inside) {
        let run = |program: &Path, args: &[&std::ffi::OsStr]| {
            Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()
        };
        run(&python, &["-m".as_ref(), "venv".as_ref(), venv.as_os_str()]);
        run(&inside, &["-m", "pip", "install", "-q", "duckdb"].map(AsRef::as_ref));
    }
    if works(&inside) {
        return Some(inside);
    }
    testkit::skip(test, "DuckDB could not be installed from PyPI (python3-venv, or no registry)");
    None
}

const QUERY: &str = r#"
import duckdb, json, sys
rows = f"read_parquet('{sys.argv[1]}/*/region=*/accountId=*/eventDay=*/*.parquet', hive_partitioning = true)"
one = lambda sql: duckdb.sql(sql).fetchall()[0]
print(json.dumps({
    "rows": one(f"select count(*) from {rows}")[0],
    "positions": one(f"select count(distinct metadata_sequence) from {rows}")[0],
    "bytes": int(one(f"select sum(traffic_bytes) from {rows}")[0]),
    "days": [str(day) for day, in duckdb.sql(f"select distinct eventDay from {rows} order by 1").fetchall()],
    "region": one(f"select any_value(region) from {rows}")[0],
    "with_dst": one(f"select count(dst_endpoint_ip) from {rows}")[0],
    "findings": one(f"select count(*) from {rows} where class_uid = 2004 and finding_info_analytic_uid = 'lateral.smb'")[0],
    "first": one(f"select epoch_ms(min(time)), any_value(raw_data) from {rows} where metadata_sequence = 1"),
    "types": {name: kind for name, kind, *_ in duckdb.sql(f"describe select * from {rows}").fetchall()},
}))
"#;

#[test]
fn duckdb_reads_the_folder_with_the_same_counts_before_and_after_compaction() {
    let Some(python) = duckdb("duckdb_reads_the_folder_with_the_same_counts_before_and_after_compaction")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for n in 0..10 {
        lake.append(&events(n * 100..n * 100 + 100, at(TODAY - DAY * (n % 2) as i64)), at(TODAY)).unwrap();
        lake.flush().unwrap();
    }
    let ask = || -> serde_json::Value {
        let output = Command::new(&python).args(["-c", QUERY]).arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let mut before = ask();
    let types = before["types"].take();
    let expected = serde_json::json!({
        "rows": 1000, "positions": 1000, "bytes": 4_995_000, "with_dst": 500, "findings": 200,
        "days": ["20260301", "20260302"], "region": "ap-northeast-1", "types": null,
        "first": [TODAY * 1000, event(0, at(TODAY)).json],
    });
    assert_eq!(before, expected);
    for (column, kind) in [
        ("time", "TIMESTAMP WITH TIME ZONE"),
        ("metadata_logged_time", "TIMESTAMP WITH TIME ZONE"),
        ("metadata_sequence", "BIGINT"),
        ("class_uid", "INTEGER"),
        ("src_endpoint_ip", "VARCHAR"),
        ("dst_endpoint_port", "INTEGER"),
        ("traffic_bytes", "BIGINT"),
        ("raw_data", "VARCHAR"),
    ] {
        assert_eq!(types[column], kind, "{column}");
    }
    assert!(lake.compact(at(TODAY + DAY)).unwrap().made > 0);
    let mut after = ask();
    assert_eq!(after["types"].take(), types);
    assert_eq!(after, expected);
}

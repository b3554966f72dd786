//! Prints how fast charts are found and read: JSON lines for `bench/charts.py`.
//!
//! `cargo run --release -p recover --example charts_rate -- tree DIR` reads the list of a folder of SS-MIX2 files and
//! 1,000 of its charts; `… search PATIENTS` searches a list of so many made-up patients; `… vault VAULT PASSWORD-FILE`
//! does as a viewer that is just started does: one chart, then the list, kept and opened again, then charts.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use recover::charts::{Bed, Charts, Index, RosterLine, Sex, Source, basis};
use recover::vault::{Password, Vault};
use schema::PatientId;
use serde_json::json;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tree", dir] => tree(Path::new(dir)),
        ["search", patients] => search(patients.parse()?),
        ["vault", dir, password] => vault(Path::new(dir), Path::new(password)),
        _ => Err("charts_rate tree DIR | search PATIENTS | vault VAULT PASSWORD-FILE".into()),
    }
}

fn tree(dir: &Path) -> Outcome {
    let files = count(dir)?;
    for round in 0..3 {
        let (begun, used) = (Instant::now(), processor_seconds());
        let charts = Charts::open(Source::folder(dir))?;
        let index = read(&charts);
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processor_seconds() - used);
        println!(
            "{}",
            json!({
                "what": "index", "round": round, "files": files, "patients": index.len(), "unread": index.unread().1,
                "seconds": seconds, "cpu_seconds": cpu, "files_per_second": files as f64 / seconds,
                "files_per_second_and_core": files as f64 / cpu, "index_bytes_per_patient": index.bytes() / index.len().max(1),
                "memory_mb_max": memory_mb_max(),
            })
        );
        if round == 2 {
            open_charts("chart_from_folder", &charts, &index);
        }
    }
    Ok(())
}

fn vault(dir: &Path, password: &Path) -> Outcome {
    let begun = Instant::now();
    let vault = Vault::open(dir, &Password::new(fs::read_to_string(password)?.trim()))?;
    let (snapshot, basis) = basis(&vault, Some("latest"), &TimeZone::UTC)?;
    let charts = Charts::open(Source::snapshot(&vault, &snapshot))?;
    let patient = PatientId(std::env::var("PATIENT")?);
    let found = charts.chart(&patient, basis.as_of).is_some();
    println!("{}", json!({"what": "first_chart", "found": found, "seconds": begun.elapsed().as_secs_f64()}));
    let begun = Instant::now();
    let index = read(&charts);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"what": "index_of_vault", "patients": index.len(), "seconds": seconds, "memory_mb_max": memory_mb_max()})
    );
    let folder = std::env::temp_dir().join(format!("charts-rate-{}", std::process::id()));
    let begun = Instant::now();
    index.keep(&folder, &vault, &snapshot.id)?;
    let kept = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let again = Index::kept(&folder, &vault, &snapshot.id).map_or(0, |index| index.len());
    let opened = begun.elapsed().as_secs_f64();
    fs::remove_dir_all(&folder)?;
    println!("{}", json!({"what": "kept", "patients": again, "keep_seconds": kept, "open_seconds": opened}));
    open_charts("chart_from_vault", &charts, &index);
    Ok(())
}

fn read(charts: &Charts<'_>) -> Index {
    let mut index = Index::default();
    charts.lines(&mut |batch| index.take(batch));
    index.finish();
    index
}

fn open_charts(what: &str, charts: &Charts<'_>, index: &Index) {
    let everybody = index.search("", usize::MAX).lines;
    let step = (everybody.len() / 1_000).max(1);
    let mut times: Vec<Duration> = Vec::new();
    // Not in the order in which they lie: 7919 is prime.
    for at in 0..everybody.len().min(1_000) {
        let line = &everybody[(at * step * 7_919) % everybody.len()];
        let begun = Instant::now();
        assert!(charts.chart(&line.patient, None).is_some());
        times.push(begun.elapsed());
    }
    report(what, &mut times, json!({"patients": everybody.len(), "memory_mb_max": memory_mb_max()}));
}

fn search(patients: u32) -> Outcome {
    let begun = Instant::now();
    let mut index = Index::default();
    (0..patients).for_each(|number| index.push(&made_up(number)));
    index.finish();
    let built = begun.elapsed().as_secs_f64();
    for typed in [
        "さとう",
        "ｻﾄｳ はなこ",
        "佐藤 花子",
        "タ",
        "0000123456",
        "123",
        "S48.4.5",
        "1973-04",
        "昭和48年4月5日 さとう",
        "3A",
        "いない人",
        "",
    ] {
        let (mut times, mut total) = (Vec::new(), 0);
        for _ in 0..20 {
            let begun = Instant::now();
            total = index.search(typed, 200).total;
            times.push(begun.elapsed());
        }
        report("search", &mut times, json!({"typed": typed, "found": total}));
    }
    let bytes = index.bytes() / index.len().max(1);
    println!(
        "{}",
        json!({"what": "made_up_index", "patients": index.len(), "seconds": built, "bytes_per_patient": bytes, "memory_mb_max": memory_mb_max()})
    );
    Ok(())
}

/// Nobody: names are put together from lists by their number.
fn made_up(number: u32) -> RosterLine {
    const FAMILY: [(&str, &str); 10] = [
        ("佐藤", "サトウ"),
        ("鈴木", "スズキ"),
        ("高橋", "タカハシ"),
        ("田中", "タナカ"),
        ("伊藤", "イトウ"),
        ("渡辺", "ワタナベ"),
        ("山本", "ヤマモト"),
        ("中村", "ナカムラ"),
        ("小林", "コバヤシ"),
        ("加藤", "カトウ"),
    ];
    const GIVEN: [(&str, &str); 10] = [
        ("花子", "ハナコ"),
        ("太郎", "タロウ"),
        ("一郎", "イチロウ"),
        ("由美子", "ユミコ"),
        ("健", "ケン"),
        ("恵子", "ケイコ"),
        ("誠", "マコト"),
        ("京", "ケイ"),
        ("翔太", "ショウタ"),
        ("美咲", "ミサキ"),
    ];
    let at = |divisor: u32, of: usize| (number / divisor) as usize % of;
    let (family, given) = (FAMILY[at(1, 10)], GIVEN[at(10, 10)]);
    let day =
        jiff::civil::date(1930, 1, 1).saturating_add(jiff::Span::new().days(i64::from(number * 7 % 33_000)));
    let bed = number.is_multiple_of(2_000).then(|| Bed {
        ward: format!("{}A", number / 2_000 % 9),
        room: format!("{}", number % 40),
        bed: "1".to_owned(),
    });
    RosterLine {
        other_ids: Vec::new(),
        patient: PatientId(format!("{:010}", number * 3)),
        name: Some(format!("{} {}", family.0, given.0)),
        kana: Some(format!("{} {}", family.1, given.1)),
        birth_date: Some(day),
        sex: Some(if number.is_multiple_of(2) { Sex::Female } else { Sex::Male }),
        bed,
    }
}

fn report(what: &str, times: &mut [Duration], more: serde_json::Value) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let mut line = json!({"what": what, "ms_p50": at(0.5), "ms_p99": at(0.99), "ms_max": at(1.0)});
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    println!("{line}");
}

fn count(dir: &Path) -> Result<u64, std::io::Error> {
    let mut files = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// User and system time of all threads so far.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn memory_mb_max() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024
}

//! The static bundle as a hospital uses it: exported, killed while it is written, and opened in Debian's Chromium from a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use recover::bundle::{self, Book, Presence};
use recover::charts::{Charts, Source};
use recover::downtime::signed::{self, Access, Invalid};
use recover::downtime::{Entry, Identifier};
use serde_json::{Value, json};

use crate::support::{Run, Site, run};

const TEST: &str = "bundle_browser";
const WORDS: &str = "停電の日も カルテを 読む 2018";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// A hospital without a vault, which is not needed here.
fn hospital(patients: u32) -> Site {
    let site = Site::new();
    let mut sample = site.command(["sample", "hospital", "--patients", &patients.to_string()]);
    let made = run(sample.arg(site.hospital_dir()));
    assert_eq!(made.code, 0, "{}", made.stderr);
    fs::write(site.path().join("words"), WORDS).unwrap();
    site
}

fn export(site: &Site, to: &Path, more: &[&str]) -> Command {
    let mut command = site.command(["charts", "export", "--json"]);
    command.arg("--from").arg(site.hospital_dir()).arg("--to").arg(to).args(more);
    command.arg("--passphrase-file").arg(site.path().join("words"));
    command
}

fn exported(site: &Site, to: &Path, more: &[&str]) -> Value {
    let made: Run = run(&mut export(site, to, more));
    assert_eq!(made.code, 0, "{}", made.stderr);
    made.last().clone()
}

#[test]
fn an_export_tells_what_it_did_and_refuses_what_is_not_its_own() {
    let site = hospital(20);
    let (to, state) = (site.path().join("bundle"), site.path().join("state"));
    fs::create_dir(&state).unwrap();
    let state_arg = state.to_str().unwrap();
    let first = exported(&site, &to, &["--state", state_arg]);
    assert_eq!((first["patients"].as_u64(), first["passphrase_weak"].as_bool()), (Some(20), Some(false)));
    assert_eq!(first["parts_written"], first["parts"]);
    assert!(first["bytes"].as_u64().unwrap() > 10_000 && first["seconds"].is_number());
    assert!(Book::load(&state).unwrap().trusts(first["public_key"].as_str().unwrap()));
    let second = exported(&site, &to, &["--state", state_arg]);
    assert_eq!(second["parts_written"], 0);
    assert_eq!(Book::load(&state).unwrap().bundles.len(), 1);

    fs::write(site.path().join("words"), "kango2018").unwrap();
    let wrong = run(&mut export(&site, &to, &[]));
    assert!(wrong.code == 2 && wrong.stderr.contains("--new-key"), "{}", wrong.stderr);
    let weak = run(&mut export(&site, &to, &["--new-key"]));
    assert!(weak.code == 0 && weak.stderr.contains("passphrase is weak"), "{}", weak.stderr);
    assert_eq!(
        (&weak.last()["passphrase_weak"], &weak.last()["former_is_lost"]),
        (&json!(true), &json!(true))
    );
    let elsewhere = run(&mut export(&site, &site.hospital_dir(), &[]));
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("no part of a bundle"), "{}", elsewhere.stderr);
    let absent = run(&mut export(&site, Path::new("/nonexistent/stick/bundle"), &[]));
    assert!(absent.code == 2 && absent.stderr.contains("medium"), "{}", absent.stderr);
}

#[test]
fn killed_at_any_moment_there_is_the_old_bundle_or_the_new_one() {
    let site = hospital(40);
    let to = site.path().join("bundle");
    let begun = Instant::now();
    let first = exported(&site, &to, &[]);
    let whole = begun.elapsed();
    let mut bundles = vec![first["bundle"].as_str().unwrap().to_owned()];
    let (mut state, mut killed) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    for _ in 0..8 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Late moments are those in which something is written.
        let share = 0.5 + 0.5 * (state >> 40) as f64 / f64::from(1 << 24);
        let mut child =
            export(&site, &to, &["--new-key"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(share));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        let checked = bundle::check(&to, WORDS).unwrap().unwrap();
        assert!(checked.is_whole(), "{checked:?}");
        if !bundles.contains(&checked.bundle) {
            bundles.push(checked.bundle);
        }
    }
    assert!(killed > 0, "no export was killed");
    let last = exported(&site, &to, &[]);
    let parts = fs::read_dir(to.join("data")).unwrap().count() as u64;
    assert_eq!(last["parts"].as_u64(), Some(parts), "what the killed ones left behind is gone");
    assert!(matches!(bundle::look(&to), Presence::Bundle { .. }));
}

/// The script with its packages in a folder that outlives the test; `None` after saying what is missing.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let (node, npm) = (testkit::tool(TEST, "node")?, testkit::tool(TEST, "npm")?);
    testkit::tool(TEST, "chromium")?;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser-tests-bundle");
    fs::create_dir_all(&cache).unwrap();
    for name in ["package.json", "package-lock.json", "bundle.mjs"] {
        fs::copy(Path::new(SCRIPTS).join(name), cache.join(name)).unwrap();
    }
    let lock = fs::read(cache.join("package-lock.json")).unwrap();
    if fs::read(cache.join("installed.json")).ok().as_ref() != Some(&lock) {
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        let done = Command::new(npm).args(arguments).current_dir(&cache).output().unwrap();
        if !done.status.success() {
            testkit::skip(TEST, "npm cannot install puppeteer-core");
            return None;
        }
        fs::write(cache.join("installed.json"), lock).unwrap();
    }
    Some((node, cache))
}

/// Somebody with an allergy and laboratory values, in the words of a search and of the chart, and the name of a ward.
fn somebody(site: &Site) -> Value {
    let charts = Charts::open(Source::folder(&site.hospital_dir())).unwrap();
    let roster = charts.roster();
    let ward = roster.patients.iter().find_map(|line| line.bed.as_ref()).unwrap().ward.clone();
    for line in &roster.patients {
        let chart = charts.chart(&line.patient, None).unwrap();
        let (Some(allergy), Some(lab)) = (chart.allergies.first(), chart.labs.first()) else { continue };
        let kana = line.kana.as_deref().unwrap().split(' ').next().unwrap().to_owned();
        let hiragana = |c: char| match c {
            'ァ'..='ヶ' => char::from_u32(u32::from(c) - 0x60).unwrap(),
            other => other,
        };
        let typed: String = kana.chars().map(hiragana).collect();
        return json!({
            "id": line.patient, "name": line.name, "kana": kana, "typed": typed, "halfwidth": halfwidth(&kana), "ward": ward,
            "born": line.birth_date.unwrap().to_string(), "allergy": allergy.value.substance, "lab": lab.name,
        });
    }
    panic!("nobody has an allergy and laboratory values")
}

/// As machines of the eighties print it: ガ as ｶﾞ.
fn halfwidth(kana: &str) -> String {
    const FULL: &str = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンァィゥェォャュョッー";
    const HALF: &str = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝｧｨｩｪｫｬｭｮｯｰ";
    const VOICED: &str = "ガカギキグクゲケゴコザサジシズスゼセゾソダタヂチヅツデテドトバハビヒブフベヘボホ";
    const HALF_VOICED: &str = "パハピヒプフペヘポホ";
    let after = |pairs: &str, c: char| {
        let pairs: Vec<char> = pairs.chars().collect();
        pairs.chunks(2).find(|pair| pair[0] == c).map(|pair| pair[1])
    };
    let half =
        |c: char| FULL.chars().position(|full| full == c).and_then(|at| HALF.chars().nth(at)).unwrap_or(c);
    let mut text = String::new();
    for c in kana.chars() {
        match (after(VOICED, c), after(HALF_VOICED, c)) {
            (Some(plain), _) => text.extend([half(plain), 'ﾞ']),
            (_, Some(plain)) => text.extend([half(plain), 'ﾟ']),
            _ => text.push(half(c)),
        }
    }
    text
}

/// A bundle that locks itself soon, and in which a part of the edition before lies under the name of the present one.
fn strayed(site: &Site) -> PathBuf {
    let to = site.path().join("strayed");
    exported(site, &to, &["--lock-after", "10"]);
    let parts = |to: &Path| -> std::collections::BTreeMap<String, PathBuf> {
        let entries = fs::read_dir(to.join("data")).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| (fs::read_to_string(&path).unwrap().split('"').nth(1).unwrap().to_owned(), path))
            .collect()
    };
    let before: Vec<(String, String)> =
        parts(&to).into_iter().map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect();
    // One record less: the part of its patient is another one now.
    let records = crate::support::files(&site.hospital_dir());
    let gone = records.keys().find(|path| path.to_string_lossy().contains("OML-11_")).unwrap();
    let gone = site.hospital_dir().join(gone);
    let kept = fs::read(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    exported(site, &to, &["--lock-after", "10"]);
    fs::write(&gone, kept).unwrap();
    let now = parts(&to);
    let is_other = |(name, text): &&(String, String)| {
        now.get(name).is_some_and(|path| fs::read_to_string(path).unwrap() != *text)
    };
    let (name, text) = before.iter().find(is_other).unwrap();
    fs::write(&now[name], text).unwrap();
    to
}

/// The script and whatever it started; it ends with the test.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none())
            && let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_browser_reads_charts_from_a_stick_and_loses_no_note() {
    let Some((node, cache)) = installed() else { return };
    let site = hospital(120);
    let to = site.path().join("stick");
    let made = exported(&site, &to, &["--lang", "ja"]);
    let (patient, strayed, work) = (somebody(&site), strayed(&site), site.path().join("work"));
    fs::create_dir(&work).unwrap();
    let renew = export(&site, &to, &["--new-key"]);
    let renew: Vec<String> = std::iter::once(renew.get_program())
        .chain(renew.get_args())
        .map(|it| it.to_str().unwrap().to_owned())
        .collect();
    let screenshots =
        std::env::var_os("CHARTWARD_SCREENSHOTS").map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let plan = json!({
        "dir": to, "passphrase": WORDS, "work": work, "patient": patient, "screenshots": screenshots, "chromium": "/usr/bin/chromium",
        "strayed": strayed, "renew": renew,
    });
    let mut script = Command::new(node);
    script.arg("bundle.mjs").arg(plan.to_string()).current_dir(cache);
    let mut script = Script(script.stdin(Stdio::null()).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(240);
    while script.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "the browser never comes to an end");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(script.0.wait().unwrap().success());
    taken_over(&work, &made, &patient);
}

/// What the page gave out is what was typed, signed by this bundle.
fn taken_over(work: &Path, made: &Value, patient: &Value) {
    let files: Vec<_> = fs::read_dir(work.join("downloads")).unwrap().map(|it| it.unwrap().path()).collect();
    let bytes = fs::read(&files[0]).unwrap();
    assert!(matches!(signed::read(&bytes, |_| false), Err(Invalid::Unknown { .. })));
    let read = signed::read(&bytes, |key| made["public_key"] == key).unwrap();
    assert_eq!(made["bundle"], read.bundle.as_str());
    assert!(read.refused.is_empty() && read.opened_unread == 0, "{:?}", read.refused);
    let kinds: Vec<&str> = read
        .notes
        .iter()
        .map(|note| match &note.entry {
            Entry::Vitals(_) => "vitals",
            Entry::Order(_) => "order",
            Entry::Given(_) => "given",
            Entry::Text(_) => "text",
        })
        .collect();
    assert_eq!(kinds, ["vitals", "text", "order", "given", "vitals", "vitals"]);
    let Entry::Vitals(vitals) = &read.notes[0].entry else { panic!("{:?}", read.notes[0]) };
    assert_eq!((vitals.temperature, vitals.pulse, vitals.spo2), (Some(37.2), Some(88), None));
    let whom = &read.notes[0].patient;
    assert_eq!(json!(whom.id), patient["id"]);
    assert!(whom.checked.contains(&Identifier::Name) && whom.checked.contains(&Identifier::BirthDate));
    assert_eq!(read.notes[4].patient.downtime_number.as_deref(), Some("DT-0042"));
    assert_eq!(read.notes[5].replaces.as_ref(), Some(&read.notes[4].id));
    assert!(read.notes.iter().all(|note| note.author == "Yamada" && note.device == read.bundle));
    let whose = |it: &signed::Opened| json!(it.patient) == patient["id"] && it.who == "Yamada";
    assert!(read.opened.iter().filter(|it| it.what == Access::Read).any(whose));
}

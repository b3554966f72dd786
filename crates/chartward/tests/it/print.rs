//! `chartward charts print`: real PDFs, read back by poppler and zbar.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use recover::downtime::number::{Number, PatientCode};
use serde_json::Value;
use tempfile::TempDir;

/// A hospital that all tests read and none changes.
static HOSPITAL: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = TempDir::with_prefix("chartward-print-").unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["sample", "hospital", "--json", "--patients", "40"])
        .arg(dir.path().join("h"))
        .output()
        .unwrap();
    assert!(made.status.success());
    dir
});

fn hospital() -> PathBuf {
    HOSPITAL.path().join("h")
}

/// The text that every page of paper must carry.
const NOT_NONE: [(&str, &str); 2] = [("ja", "記録なし≠なし"), ("en", "notrecorded≠none")];

struct Run {
    code: i32,
    told: Value,
    stderr: String,
}

fn charts(words: &[&str], from: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chartward"))
        .arg("charts")
        .args(words)
        .arg("--from")
        .arg(from)
        .env_remove("CHARTWARD_VAULT")
        .output()
        .unwrap()
}

fn print_from(words: &[&str], to: &Path, from: &Path) -> Run {
    let to = to.to_str().unwrap();
    let run = charts(&[&["print"], words, &["--to", to, "--json"]].concat(), from);
    let stdout = String::from_utf8(run.stdout).unwrap();
    Run {
        code: run.status.code().unwrap(),
        told: stdout.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap()),
        stderr: String::from_utf8(run.stderr).unwrap(),
    }
}

fn print(words: &[&str], to: &Path) -> Run {
    print_from(words, to, &hospital())
}

fn patients() -> Vec<Value> {
    let run = charts(&["list", "--json"], &hospital());
    let lines = String::from_utf8(run.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == "patient").collect()
}

fn tool(program: &str, words: &[&str]) -> String {
    let run = Command::new(program).args(words).output().unwrap();
    assert!(run.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// The text of each page, without spaces: lines break anywhere in Japanese.
fn pages(pdf: &Path) -> Vec<String> {
    let text = tool("pdftotext", &["-layout", "-enc", "UTF-8", pdf.to_str().unwrap(), "-"]);
    let mut pages: Vec<String> =
        text.split('\u{c}').map(|page| page.chars().filter(|c| !c.is_whitespace()).collect()).collect();
    pages.pop();
    pages
}

fn have(test: &str, tools: &[&str]) -> bool {
    tools.iter().all(|name| testkit::tool(test, name).is_some())
}

/// What the reader of a QR code sees on each page.
fn scanned(pdf: &Path) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let stem = dir.path().join("p");
    tool("pdftoppm", &["-r", "150", "-gray", "-png", pdf.to_str().unwrap(), stem.to_str().unwrap()]);
    let mut pictures: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pictures.sort();
    let read = |picture: &PathBuf| {
        tool("zbarimg", &["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", picture.to_str().unwrap()])
    };
    pictures.iter().map(|picture| read(picture).trim().to_owned()).collect()
}

#[test]
fn a_printed_chart_holds_what_the_chart_says_on_pages_that_name_the_patient() {
    if !have("a_printed_chart", &["pdftotext", "pdffonts", "pdfinfo"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let patients = patients();
    for (lang, not_none) in NOT_NONE {
        let to = dir.path().join(format!("{lang}.pdf"));
        let ids: Vec<&str> = patients.iter().take(6).map(|line| line["patient"].as_str().unwrap()).collect();
        let run = print(&[&["patient", "--lang", lang], &*ids].concat(), &to);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let pages = pages(&to);
        assert_eq!(run.told["pages"], pages.len());
        assert_eq!(run.told["patients"], 6);
        assert_eq!(run.told["bytes"], fs::metadata(&to).unwrap().len());
        let info = tool("pdfinfo", &[to.to_str().unwrap()]);
        assert!(
            info.lines()
                .any(|line| line.starts_with("Pages:") && line.ends_with(&format!(" {}", pages.len())))
        );
        assert!(!info.contains(ids[0]), "the title names no patient");
        for page in &pages {
            assert!(page.contains(not_none), "{page}");
            assert!(
                ids.iter().any(|id| page.matches(&format!("ID{id}")).count() >= 2),
                "in banner and foot: {page}"
            );
        }
        let all = pages.concat();
        for (id, line) in ids.iter().zip(&patients) {
            let shown = charts(&["show", id, "--json"], &hospital());
            let chart: Value = serde_json::from_slice(&shown.stdout).unwrap();
            let mut texts = vec![&line["name"], &line["kana"], &line["birth_date"]];
            let named = [
                ("allergies", "substance"),
                ("problems", "name"),
                ("labs", "name"),
                ("meals", "diet"),
                ("notes", "kind"),
            ];
            for (section, field) in named {
                texts.extend(chart[section].as_array().unwrap().iter().map(|item| &item[field]));
            }
            let drugs = chart["medication"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|item| item["drugs"].as_array().unwrap());
            texts.extend(drugs.map(|drug| &drug["name"]));
            for text in texts.into_iter().filter_map(Value::as_str) {
                let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                // A cell that is broken into lines is interleaved with its neighbours: its beginning is enough.
                let begin: String = packed.chars().take(5).collect();
                assert!(all.contains(&begin), "{id}: {text}");
            }
        }
        let fonts = tool("pdffonts", &[to.to_str().unwrap()]);
        let rows: Vec<&str> = fonts.lines().skip(2).collect();
        assert!(
            !rows.is_empty() && rows.iter().all(|row| row.contains("yes yes yes")),
            "embedded, subset, with text: {fonts}"
        );
        assert!(fs::metadata(&to).unwrap().len() < 2_000_000, "a subset is far smaller than the font");
    }
}

#[test]
fn a_ward_is_printed_as_a_list_and_as_medication_records() {
    if !have("a_ward", &["pdftotext"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let patients = patients();
    let lying: Vec<&Value> = patients.iter().filter(|line| line["bed"].is_object()).collect();
    let ward = lying[0]["bed"]["ward"].as_str().unwrap();
    let on_ward: Vec<&&Value> = lying.iter().filter(|line| line["bed"]["ward"] == ward).collect();
    for (name, words, expected) in [
        ("list", vec!["ward", ward, "--lang", "ja"], on_ward.len()),
        ("mar", vec!["ward", ward, "--mar", "--lang", "ja"], on_ward.len()),
        ("all", vec!["ward", "--all-wards", "--lang", "ja"], lying.len()),
    ] {
        let to = dir.path().join(format!("{name}.pdf"));
        let run = print(&words, &to);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(run.told["patients"], expected);
        let pages = pages(&to);
        let all = pages.concat();
        assert!(pages.iter().all(|page| page.contains(NOT_NONE[0].1)), "{name}");
        for line in &on_ward {
            assert!(all.contains(&format!("ID{}", line["patient"].as_str().unwrap())), "{name}");
        }
        assert_eq!(all.contains("□氏名"), name == "mar");
    }
    let refused = print(&["ward", "no such ward"], &dir.path().join("none.pdf"));
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains(ward), "{}", refused.stderr);
    assert!(!dir.path().join("none.pdf").exists());
}

#[test]
fn forms_of_several_runs_carry_different_numbers_that_a_scanner_reads() {
    if !have("forms", &["pdftotext", "pdftoppm", "zbarimg"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let mut all = HashSet::new();
    for run in 0..2 {
        let to = dir.path().join(format!("{run}.pdf"));
        let told = print(
            &["forms", "--count", "2", "--kind", "registration,vitals,lab-request", "--lang", "ja"],
            &to,
        );
        assert_eq!(told.code, 0, "{}", told.stderr);
        let numbers: Vec<String> = told.told["numbers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.as_str().unwrap().to_owned())
            .collect();
        let codes = scanned(&to);
        let pages = pages(&to);
        assert_eq!(codes.len(), pages.len());
        for (code, page) in codes.iter().zip(&pages) {
            assert_eq!(code.parse::<Number>().unwrap().to_string(), *code);
            assert!(numbers.contains(code), "{code}");
            assert!(page.matches(code).count() >= 2, "as text beside the code and in the foot: {page}");
        }
        all.extend(numbers);
    }
    assert_eq!(all.len(), 4);
}

#[test]
fn forms_of_a_known_patient_are_filled_in_and_notice_another_name() {
    if !have("known_forms", &["pdftotext", "pdftoppm", "zbarimg"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let to = dir.path().join("known.pdf");
    let line = patients().swap_remove(0);
    let (id, name) = (line["patient"].as_str().unwrap(), line["name"].as_str().unwrap());
    let run = print(&["forms", "--patient", id, "--kind", "progress,vitals", "--lang", "en"], &to);
    assert_eq!((run.code, &run.told["pages"]), (0, &Value::from(2)), "{}", run.stderr);
    let packed: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    for (code, page) in scanned(&to).iter().zip(pages(&to)) {
        let code = PatientCode::parse(code).unwrap();
        let of = schema::PatientId(id.to_owned());
        assert!(code.fits(&of, name) && !code.fits(&of, "別 人"));
        assert!(page.contains(&packed) && page.contains(id), "{page}");
    }
}

#[test]
fn no_file_is_written_over_and_none_is_left_half_written() {
    let dir = TempDir::new().unwrap();
    let to = dir.path().join("there.pdf");
    fs::write(&to, "mine").unwrap();
    let first = patients().swap_remove(0)["patient"].as_str().unwrap().to_owned();
    let id = first.as_str();
    let nowhere = dir.path().join("no-such-folder/a.pdf");
    for (words, to, said) in [
        (vec!["patient", id], &to, "exists already"),
        (
            vec!["patient", "no-such-patient"],
            &dir.path().join("a.pdf"),
            "there is no patient no-such-patient",
        ),
        (vec!["forms", "--count", "0"], &dir.path().join("a.pdf"), "--count"),
        (vec!["forms"], &dir.path().join("a.pdf"), "--count"),
        (vec!["forms", "--count", "1", "--kind", "poem"], &dir.path().join("a.pdf"), "registration"),
        (vec!["patient", id], &nowhere, "cannot write the pdf"),
    ] {
        let run = print(&words, to);
        assert_ne!(run.code, 0, "{words:?}");
        assert!(run.stderr.contains(said), "{words:?}: {}", run.stderr);
    }
    assert_eq!(fs::read(&to).unwrap(), b"mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_record_is_named_on_the_page_and_the_rest_is_printed() {
    if !have("damaged", &["pdftotext"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let id = patients().swap_remove(0)["patient"].as_str().unwrap().to_owned();
    let copy = dir.path().join("copy");
    assert!(Command::new("cp").arg("-r").arg(hospital()).arg(&copy).status().unwrap().success());
    let mut damaged = 0;
    damage(&copy, &format!("{id}_"), "_PPR-01_", &mut damaged);
    assert!(damaged > 0, "the patient has a record of problems");
    let to = dir.path().join("a.pdf");
    let run = print_from(&["patient", &id, "no-such-patient", "--lang", "ja"], &to, &copy);
    assert_eq!(run.code, 1);
    assert_eq!(run.told["unread"], damaged);
    assert_eq!(run.told["missing"], serde_json::json!(["no-such-patient"]));
    let all = pages(&to).concat();
    assert!(all.contains("件の記録を読めませんでした") && all.contains("検査結果"), "{all}");
}

fn damage(folder: &Path, begin: &str, kind: &str, damaged: &mut u64) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            damage(&path, begin, kind, damaged);
        } else if name.starts_with(begin) && name.contains(kind) && name.ends_with("_1") {
            fs::write(&path, b"\x00\xff encrypted \x9f").unwrap();
            *damaged += 1;
        }
    }
}

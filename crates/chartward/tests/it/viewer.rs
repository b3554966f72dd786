//! The downtime viewer from outside: a real browser reads charts from a vault, and the record says who did.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHasher};
use prove::state::accounts::{Invitation, Role};
use serde_json::{Value, json};

use crate::hub::browser::{Script, installed};
use crate::support::Site;

const CODE: &str = "HIROI-SORAN-OSHIT-ADE88";
const PASSWORD: &str = "violin under seven bridges";

/// A viewer that ends with the test.
struct Viewer {
    child: Child,
    ready: Value,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Viewer {
    fn start(site: &Site, state: &Path, more: &[&str]) -> Viewer {
        let code = site.path().join("code");
        fs::write(&code, CODE).unwrap();
        let mut command =
            site.command(["charts", "serve", "--json", "--listen", "127.0.0.1:0", "--snapshot", "latest"]);
        command
            .arg("--code-file")
            .arg(code)
            .arg("--state")
            .arg(state)
            .arg("--vault")
            .arg(site.vault())
            .args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        Viewer { child, ready }
    }

    fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }
}

/// Somebody on a ward with other patients, with an allergy and a value that was measured more than once.
fn somebody(site: &Site) -> Value {
    let list = site.vaulted(["charts", "list", "--snapshot", "latest"]).lines;
    let admitted = list.iter().filter(|line| line["type"] == "patient" && !line["bed"].is_null());
    let found = admitted.clone().find_map(|line| {
        let id = line["patient"].as_str()?;
        let shares_ward =
            admitted.clone().filter(|other| other["bed"]["ward"] == line["bed"]["ward"]).count() > 1;
        let show = ["charts", "show", id, "--snapshot", "latest"];
        let chart = site.vaulted(show).lines.into_iter().find(|line| line["type"] == "chart")?;
        let allergy = chart["allergies"][0]["substance"].as_str()?.to_owned();
        let has_course = chart["labs"]
            .as_array()?
            .iter()
            .any(|series| series["results"].as_array().is_some_and(|it| it.len() > 1));
        let kana = line["kana"].as_str()?;
        let hiragana: String = kana
            .chars()
            .map(|c| match c {
                'ァ'..='ヶ' => char::from_u32(u32::from(c) - 0x60).unwrap(),
                c => c,
            })
            .collect();
        (shares_ward && has_course).then(|| {
            json!({"id": id, "name": line["name"], "kana": kana, "hiragana": hiragana, "allergy": allergy})
        })
    });
    found.expect("the sample hospital has such a patient")
}

fn hospital() -> Site {
    let site = Site::hospital(600);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    site
}

/// An account in a hub's state folder, whose owner has chosen a password.
fn account(state: &Path, name: &str, role: Role) {
    let now = jiff::Timestamp::now();
    let open = prove::State::open(state, now).unwrap();
    let code = Invitation { hash: String::new(), expires_at: now, tries: 0 };
    assert!(open.invite_user(name, role, schema::Lang::Ja, &code, now).unwrap());
    drop(open);
    let hash: argon2::password_hash::phc::PasswordHash =
        Argon2::default().hash_password_with_salt(PASSWORD.as_bytes(), b"sixteen bytes 00").unwrap();
    let database = rusqlite::Connection::open(state.join(prove::state::FILE_NAME)).unwrap();
    database.execute("UPDATE users SET password = ?1 WHERE name = ?2", [&hash.to_string(), name]).unwrap();
}

fn drive(test: &str, viewer: &Viewer, patient: &Value, nurse: Option<Value>) -> bool {
    let Some((node, cache)) = installed(test) else { return false };
    let screenshots = std::env::var_os("CHARTWARD_SCREENSHOTS")
        .map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/img"));
    let plan = json!({
        "url": viewer.url(), "code": CODE, "patient": patient, "nurse": nurse, "screenshots": screenshots,
        "chromium": "/usr/bin/chromium",
    });
    let mut script = Command::new(node);
    script.arg("viewer.mjs").arg(plan.to_string()).current_dir(cache);
    let mut script = Script(script.spawn().unwrap());
    assert!(script.0.wait().unwrap().success());
    true
}

fn opened<'l>(lines: &'l [Value], patient: &Value) -> Vec<&'l Value> {
    let entries = lines.iter().filter(|line| line["type"] == "access").map(|line| &line["entry"]);
    entries.filter(|entry| entry["act"] == "chart_opened" && entry["patient"] == patient["id"]).collect()
}

#[test]
fn a_browser_reads_charts_with_nothing_but_the_vault() {
    let test = "viewer_browser";
    let site = hospital();
    let (patient, state) = (somebody(&site), site.path().join("viewer"));
    let viewer = Viewer::start(&site, &state, &[]);
    if !drive(test, &viewer, &patient, None) {
        return;
    }
    let mut access = site.command(["charts", "access", "--json", "--state"]);
    access.arg(&state).arg("--vault").arg(site.vault()).args(["--patient", patient["id"].as_str().unwrap()]);
    let told = crate::support::run(&mut access);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let opened = opened(&told.lines, &patient);
    assert!(
        opened.iter().any(|entry| entry["who"] == "看護 花子" && entry["way"] == "code"),
        "{}",
        told.stdout
    );
    // Whoever finds the disk reads neither who is a patient nor who read what.
    for file in walk(&state) {
        let bytes = fs::read(&file).unwrap();
        for secret in [patient["name"].as_str().unwrap(), "看護 花子", patient["kana"].as_str().unwrap()]
        {
            let shows = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!shows, "{} shows {secret}", file.display());
        }
    }
}

#[test]
fn accounts_open_charts_and_others_only_in_an_emergency() {
    let test = "viewer_accounts_browser";
    let site = hospital();
    let (patient, state) = (somebody(&site), site.path().join("hub"));
    account(&state, "hanako", Role::Clinician);
    account(&state, "onlooker", Role::Viewer);
    let viewer = Viewer::start(&site, &state, &["--emergency-minutes", "30"]);
    let nurse = json!({"name": "hanako", "password": PASSWORD});
    if !drive(test, &viewer, &patient, Some(nurse)) {
        return;
    }
    let mut access = site.command(["charts", "access", "--json", "--state"]);
    let told = crate::support::run(access.arg(&state).arg("--vault").arg(site.vault()));
    assert_eq!(told.code, 0, "{}", told.stderr);
    let opened = opened(&told.lines, &patient);
    let by = |who: &str| {
        opened.iter().find(|entry| entry["who"] == who).unwrap_or_else(|| panic!("{who}: {}", told.stdout))
    };
    assert_eq!((&by("hanako")["way"], &by("hanako")["role"]), (&json!("account"), &json!("clinician")));
    assert_eq!(
        (&by("当直 一郎")["way"], &by("当直 一郎")["reason"]),
        (&json!("emergency"), &json!("急変のため確認"))
    );
    assert!(told.lines.iter().any(|line| line["entry"]["act"] == "refused"));
}

#[test]
fn the_ready_line_comes_at_once_and_a_kept_list_is_not_read_again() {
    let site = hospital();
    let state = site.path().join("viewer");
    let is_kept = || walk(&state).iter().any(|file| file.to_string_lossy().contains("patients-"));
    let viewer = Viewer::start(&site, &state, &[]);
    let until = Instant::now() + Duration::from_secs(60);
    while !is_kept() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(is_kept(), "the list is kept, sealed, for the next start");
    drop(viewer);
    assert!(Viewer::start(&site, &state, &[]).url().starts_with("http://127.0.0.1:"));
}

#[test]
fn charts_are_not_served_to_other_machines_in_the_clear() {
    let site = Site::new();
    let refused = site.bare(["charts", "serve", "--listen", "0.0.0.0:0", "--from", "/nowhere"]);
    assert!(refused.code == 2 && refused.stderr.contains("--certificate"), "{}", refused.stderr);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

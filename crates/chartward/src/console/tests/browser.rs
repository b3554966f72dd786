//! The console in a real browser: Debian's Chromium, driven by `tests/browser/console.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use schema::Lang;
use serde_json::json;

use super::fixture::{Fixture, attacked};
use crate::access::Role;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// A session's cookie as curl sends it, for an administrator who is made on the way.
pub(super) fn session(fixture: &Fixture) -> String {
    let address = [127, 0, 0, 1].into();
    let now = Timestamp::now();
    let made = fixture
        .access
        .set_up(&fixture.set_up_code, "chief", "violin under seven bridges", Lang::En, address, now)
        .unwrap();
    let offer = fixture.access.begin_totp(&made.session, now).unwrap();
    let code = one_time(offer.secret.text(), now);
    let (_, entered) =
        fixture.access.confirm_totp(&made.session, &offer.ticket, &code, address, now).unwrap();
    format!("__Host-chartward={}", entered.cookie.text())
}

/// The scripts with their packages in a folder that outlives the test; `None` after saying what is missing.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let (node, npm) = (testkit::tool("console_browser", "node")?, testkit::tool("console_browser", "npm")?);
    testkit::tool("console_browser", "chromium")?;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser-tests");
    std::fs::create_dir_all(&cache).unwrap();
    for name in ["package.json", "package-lock.json", "console.mjs"] {
        std::fs::copy(Path::new(SCRIPTS).join(name), cache.join(name)).unwrap();
    }
    let lock = std::fs::read(cache.join("package-lock.json")).unwrap();
    if std::fs::read(cache.join("installed.json")).ok().as_ref() != Some(&lock) {
        let done = Command::new(npm)
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&cache)
            .output()
            .unwrap();
        if !done.status.success() {
            testkit::skip("console_browser", "npm cannot install puppeteer-core and axe-core");
            return None;
        }
        std::fs::write(cache.join("installed.json"), lock).unwrap();
    }
    Some((node, cache))
}

#[test]
fn a_browser_goes_from_the_first_run_to_approve_and_undo_without_a_violation() {
    let Some((node, cache)) = installed() else { return };
    let fixture = Fixture::new();
    attacked(&fixture);
    let invited = [Role::Viewer, Role::Operator, Role::Clinician]
        .map(|role| (role.name(), fixture.invite(role.name(), role)));
    let screenshots =
        std::env::var_os("CHARTWARD_SCREENSHOTS").map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let plan = json!({
        "url": fixture.url(),
        "setUpCode": fixture.set_up_code,
        "invited": invited.iter().map(|(name, code)| json!({"name": name, "code": code})).collect::<Vec<_>>(),
        "incident": 1,
        "screenshots": screenshots,
        "chromium": "/usr/bin/chromium",
    });
    let run =
        Command::new(node).arg("console.mjs").arg(plan.to_string()).current_dir(cache).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{told}");
    println!("{told}");
}

/// RFC 6238 with SHA-1, 30 seconds and six digits, from the secret as the page shows it.
fn one_time(secret: &str, now: Timestamp) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let bits: String = secret
        .chars()
        .filter_map(|c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c))
        .map(|value| format!("{value:05b}"))
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let step = (now.as_second() / 30) as u64;
    let mac = Hmac::<sha1::Sha1>::new_from_slice(&key)
        .unwrap()
        .chain_update(step.to_be_bytes())
        .finalize()
        .into_bytes();
    let at = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

//! The hub renews the static bundle after each proof, with a passphrase from its sealed store, and says when it cannot.

use std::fs;
use std::path::Path;

use recover::bundle::{self, Book};

use super::stage::{Stage, until};
use super::vault::{done, protected, runs};

const WORDS: &str = "停電の日も カルテを 読む 2018";

fn whole(to: &Path) -> bundle::Checked {
    let checked = bundle::check(to, WORDS).unwrap().unwrap();
    assert!(checked.is_whole(), "{checked:?}");
    checked
}

#[test]
fn a_bundle_follows_each_proof_and_a_stick_that_comes_late() {
    let stage = Stage::new();
    let to = stage.path("stick").join("bundle");
    protected(
        &stage,
        &format!("[bundle]\nto = {to:?}\npassphrase = {{ secret = \"bundle\" }}\nlang = \"ja\"\n\n"),
    );
    let words = stage.private_file("words", WORDS);
    assert_eq!(stage.ask(&["secret", "set", "bundle", "--file", words.to_str().unwrap()]).code, 0);
    let hub = stage.up();
    done(&stage, "drill:emr", 1);
    // The stick is not plugged in: nothing is written where it should be, and nothing has failed.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!to.exists() && runs(&stage, "bundle").is_empty());
    fs::create_dir(stage.path("stick")).unwrap();
    done(&stage, "bundle", 1);
    let first = whole(&to);
    assert_eq!(first.patients, 5);
    let line: serde_json::Value = serde_json::from_str(&runs(&stage, "bundle")[0].detail).unwrap();
    assert!(line["proven"] == true && line["snapshot"].is_string(), "{line}");
    assert!(Book::load(&stage.state).unwrap().trusts(line["public_key"].as_str().unwrap()));

    // Emptied by somebody, it comes back.
    fs::remove_file(to.join("manifest.js")).unwrap();
    done(&stage, "bundle", 2);
    assert_ne!(whole(&to).bundle, first.bundle, "its key was lost with it");
    // Something else lies on the stick now: that is said, and nothing of it is touched.
    fs::write(to.join("thesis.odt"), "mine").unwrap();
    fs::remove_file(to.join("manifest.js")).unwrap();
    let alarm = until("the alarm", || stage.alarms("bundle.failed").pop());
    assert!(alarm["title"].as_str().unwrap().contains("thesis.odt"), "{alarm}");
    assert_eq!(fs::read(to.join("thesis.odt")).unwrap(), b"mine");
    assert_eq!(hub.stop().0, 0);
}

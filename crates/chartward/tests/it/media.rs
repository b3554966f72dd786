//! Media that take turns, at the command line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Run, Site};

fn media(site: &Site, args: &[&str]) -> Run {
    site.run([&["media"], args].concat())
}

fn list(site: &Site) -> (Vec<Value>, String) {
    let (state, words) = (site.state(), ["media", "list", "--lang", "ja", "--state"]);
    let lines = site.bare([&words[..], &[state.as_str(), "--json"]].concat()).lines;
    (lines, site.bare([&words[..], &[state.as_str()]].concat()).stdout)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_set_is_prepared_written_verified_and_counts_once_it_is_out() {
    let site = Site::hospital(3);
    site.backup(&site.hospital_dir());
    let medium = site.path().join("medium");
    let at = path(&medium);
    // Nobody wrote --plain-folder: most likely the medium is not mounted.
    let refused = media(&site, &["prepare", "--path", at, "--rotation", "offsite", "--set", "B"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--plain-folder"), "{}", refused.stderr);
    let plain = ["prepare", "--path", at, "--rotation", "offsite", "--set", "B", "--plain-folder"];
    assert_eq!(media(&site, &plain).code, 0);
    assert_eq!(list(&site).0, Vec::<Value>::new(), "nothing is on it yet");

    let waits = media(&site, &["write", "--path", at, "--rotation", "offsite", "--set", "A"]);
    assert_eq!(
        (waits.code, &waits.last()["waits_for"], &waits.last()["inserted"]),
        (0, &"A".into(), &"B".into())
    );
    let written = media(&site, &["write", "--path", at, "--rotation", "offsite", "--set", "B"]);
    assert_eq!((written.code, &written.last()["written"]), (0, &true.into()), "{}", written.stderr);
    assert_eq!(written.last()["snapshots"], 1);
    let again =
        ["write", "--path", at, "--rotation", "offsite", "--set", "B", "--since", "2020-01-01T00:00:00Z"];
    assert_eq!(media(&site, &again).last()["before"], true);
    assert_eq!(media(&site, &["verify", "--path", at]).code, 0);

    assert_eq!(list(&site).0[0]["whereabouts"], "in");
    let out = site.path().join("in the safe");
    fs::rename(&medium, &out).unwrap();
    let (lines, said) = list(&site);
    assert_eq!(lines[0]["whereabouts"], "detached");
    assert!(said.contains("取り外した媒体に1世代あります"), "{said}");
    let status =
        site.bare(["status", "--lang", "en", "--vault", path(&site.vault()), "--state", &site.state()]);
    assert!(status.stdout.contains("1 generations are on media outside of the machine"), "{}", status.stdout);
    assert_eq!(
        media(&site, &["write", "--path", at, "--rotation", "offsite", "--set", "B"]).last()["written"],
        false
    );
    assert!(!medium.exists(), "nothing is written to where the medium was");
    assert_eq!(site.bare(["prove", "verify", "--state", &site.state()]).code, 0);
}

#[test]
fn a_vault_is_copied_to_a_second_folder_and_brought_up_to_date() {
    let site = Site::hospital(2);
    site.backup(&site.hospital_dir());
    let copy = site.path().join("copy");
    let first = site.vaulted(["vault", "copy", "--to", path(&copy)]);
    assert_eq!((first.code, &first.last()["snapshots_copied"]), (0, &1.into()), "{}", first.stderr);
    fs::write(site.hospital_dir().join("new.txt"), "new").unwrap();
    site.backup(&site.hospital_dir());
    let second = site.vaulted(["vault", "copy", "--read-data", "--to", path(&copy)]);
    assert_eq!((second.code, &second.last()["snapshots_copied"]), (0, &1.into()), "{}", second.stderr);
    assert_eq!(second.last()["snapshots"], 2);
    // The passphrase of the vault opens the copy, and a drill proves it.
    let checked = site.bare(["vault", "check", "--read-data", path(&copy)]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let drilled = site.bare(["drill", "--vault", path(&copy), "--state", &site.state()]);
    assert_eq!(drilled.code, 0, "{}", drilled.stderr);
    // Another vault is never written over.
    let other = Site::new();
    other.init();
    let refused = other.vaulted(["vault", "copy", "--to", path(&copy)]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("another one"), "{}", refused.stderr);
}

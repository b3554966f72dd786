//! `chartward config`, the systemd unit, and a schedule's commands on a sample hospital.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{self, BINARY, PASSPHRASE, Site};

fn config(args: &[&str]) -> support::Run {
    support::run(Command::new(BINARY).arg("config").args(args).env("LC_ALL", "C.UTF-8"))
}

fn doc(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

#[test]
fn the_reference_in_docs_is_what_the_code_says() {
    for (lang, file) in [("en", "config.md"), ("ja", "config.ja.md")] {
        let printed = config(&["reference", "--lang", lang]);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        assert!(
            printed.stdout == doc(file),
            "docs/{file} is old: chartward config reference --lang {lang} > docs/{file}"
        );
    }
}

/// A site with a configuration that fits it.
fn site(more: &str) -> (Site, String) {
    let site = Site::hospital(20);
    let secret = site.path().join("passphrase");
    fs::write(&secret, PASSPHRASE).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "state = {:?}\n[vault]\ndir = {:?}\npassphrase = {{ file = {secret:?} }}\n[[protect]]\nname = \"emr\"\npaths = [{:?}]\n{more}",
        site.state(),
        site.vault(),
        site.hospital_dir()
    );
    let file = site.path().join("chartward.toml");
    fs::write(&file, text).unwrap();
    (site, file.to_str().unwrap().to_owned())
}

#[test]
fn a_configuration_that_fits_its_machine_passes_and_status_says_what_does_not() {
    let (site, file) = site("");
    let run = config(&["check", "--json", "--config", &file]);
    assert_eq!(
        (run.code, run.last()["errors"].as_u64(), run.last()["unfit"].as_u64()),
        (0, Some(0), Some(0)),
        "{}",
        run.stdout
    );

    fs::set_permissions(site.path().join("passphrase"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = config(&["check", "--json", "--config", &file]);
    assert_eq!((run.code, run.lines[0]["gravity"].as_str()), (1, Some("unfit")), "{}", run.stdout);
    assert!(run.lines[0]["remedy"].as_str().unwrap().starts_with("chmod 600"));

    let broken = site.path().join("broken.toml");
    fs::write(&broken, fs::read_to_string(&file).unwrap().replace("[[protect]]\nname", "[[protect]]\nnmae"))
        .unwrap();
    for (lang, expected) in [("en", "write `name`"), ("ja", "name の誤りではありませんか")] {
        let run = config(&["check", "--lang", lang, "--config", broken.to_str().unwrap()]);
        assert_eq!(run.code, 1);
        assert!(run.stdout.contains("broken.toml:6:1: ") && run.stdout.contains(expected), "{}", run.stdout);
    }
    let run = config(&["check", "--config", "/nowhere/chartward.toml"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn the_example_can_be_checked() {
    for lang in ["en", "ja"] {
        let printed = config(&["example", "--lang", lang]);
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("chartward.toml");
        fs::write(&file, printed.stdout).unwrap();
        let run = config(&["check", "--json", "--config", file.to_str().unwrap()]);
        assert_eq!(run.last()["errors"], 0, "{}", run.stdout);
    }
}

#[test]
fn systemd_understands_the_unit() {
    if testkit::tool("systemd_understands_the_unit", "systemd-analyze").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    // It looks for the program, which lies elsewhere here.
    let unit = doc("chartward.service").replace("/usr/local/bin/chartward", BINARY);
    let file = place.path().join("chartward.service");
    fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("chartward.service:"), "{said}");
}

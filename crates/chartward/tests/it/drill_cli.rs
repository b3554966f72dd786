//! Drills as the command tells them: from a bare machine, of a sample, with a plan, and why one failed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{PASSPHRASE, Site, files};

const PLAN: &str = r#"
[[recovery]]
name = "Ward system"
role = "department"
probe = ["a nurse sees the ward's list"]

[[recovery]]
name = "EMR database"
role = "database"
start = ["systemctl start postgresql"]
probe = ["psql -c 'SELECT 1'"]
note = "vendor: 0120-000-000"

[[recovery]]
name = "Domain controller"
role = "directory"
start = ["virsh start dc01"]
"#;

fn plan(site: &Site) -> PathBuf {
    let file = site.path().join("chartward.toml");
    fs::write(&file, PLAN).unwrap();
    file
}

#[test]
fn from_bare_has_the_vault_and_the_sheet_and_nothing_else() {
    let test = "from_bare_has_the_vault_and_the_sheet_and_nothing_else";
    if !testkit::root(test) {
        return;
    }
    let site = Site::hospital(5);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let bare = site.path().join("bare");
    let vault = files(&site.vault());
    let drill = site.run(["drill", "--from-bare", bare.to_str().unwrap()]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    let first = &drill.lines[0];
    assert_eq!(first["type"], "bare");
    let said = first.to_string();
    for word in ["a network", "home", "configuration", "recovery sheet", "without a network", "SHA-256"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!drill.stdout.contains(PASSPHRASE) && !drill.stderr.contains(PASSPHRASE));
    let proof = &drill.last()["proof"];
    assert_eq!((&proof["passed"], &proof["patients"]), (&true.into(), &5.into()));
    // What came back stays, beside the copy's ledger; the program and its home do not.
    let hospital = site.hospital_dir();
    let restored = bare.join("restored").join(hospital.strip_prefix("/").unwrap());
    // The database is captured by its own means, so its header counts otherwise.
    let without = |dir: &Path| {
        let mut found = files(dir);
        found.remove(Path::new("emr/emr.sqlite"));
        found
    };
    assert!(without(&restored) == without(&hospital));
    assert!(restored.join("emr/emr.sqlite").exists());
    let left: Vec<String> =
        fs::read_dir(&bare).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| name == "restored" || name == "state"), "{left:?}");
    // The proof stands in the vault and in this machine's ledger, and nothing in the vault was touched otherwise.
    assert!(vault.iter().all(|(path, content)| files(&site.vault()).get(path) == Some(content)));
    assert_eq!(site.run(["status"]).last()["proven_at"], proof["proven_at"]);
    let wrong = site.bare(["drill", "--vault", "/nowhere", "--from-bare", bare.to_str().unwrap()]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn the_plan_is_sealed_with_the_snapshot_and_printed_from_the_vault() {
    let site = Site::hospital(2);
    let hospital = site.hospital_dir();
    let file = plan(&site);
    let backup = site.run(["backup", hospital.to_str().unwrap(), "--config", file.to_str().unwrap()]);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    fs::remove_file(&file).unwrap();
    let sheet = site.vaulted(["recovery-sheet"]);
    let names: Vec<&str> =
        sheet.last()["plan"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Domain controller", "EMR database", "Ward system"]);
    let printed = site.bare(["recovery-sheet", "--lang", "ja", "--vault", site.vault().to_str().unwrap()]);
    let text = format!("{}{}", printed.stdout, printed.stderr);
    for line in
        ["1. Domain controller (ディレクトリサービス", "起動: systemctl start postgresql", "0120-000-000"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_sample_is_never_told_as_a_full_drill() {
    let site = Site::hospital(30);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let drill = site.run(["drill", "--sample", "5", "--seed", "s", "--no-scan"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    let coverage = &drill.last()["proof"]["evidence"]["coverage"];
    assert!(coverage["files"].as_u64().unwrap() < coverage["files_total"].as_u64().unwrap(), "{coverage}");
    assert!(site.run(["status"]).alarms().contains(&"backup.unproven"));
    let vault = site.vault();
    let people =
        site.bare(["drill", "--sample", "5%", "--state", &site.state(), "--vault", vault.to_str().unwrap()]);
    let text = format!("{}{}", people.stdout, people.stderr);
    assert!(text.contains("SAMPLE PASSED, the whole is NOT PROVEN"), "{text}");
    assert_eq!(site.bare(["drill", "--sample", "0%", "--vault", vault.to_str().unwrap()]).code, 2);
}

#[test]
fn a_failed_drill_begins_with_its_first_cause() {
    let site = Site::hospital(3);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    for folder in fs::read_dir(site.vault().join("data")).unwrap() {
        for pack in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::remove_file(pack.unwrap().path()).unwrap();
        }
    }
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 1, "{}", drill.stderr);
    let causes: Vec<&str> = drill.stderr.lines().filter(|line| line.contains("FIRST CAUSE")).collect();
    assert_eq!(causes.len(), 1, "{}", drill.stderr);
    assert!(causes[0].contains("the snapshot could not be opened"), "{causes:?}");
    assert!(site.run(["status"]).alarms().contains(&"backup.drill_failed"));
}

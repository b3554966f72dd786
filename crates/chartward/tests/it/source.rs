//! Stores that are captured by means of their own, from the command line and the configuration.

use std::fs;

use crate::support::Site;

/// Disk images that nobody can look into, and the files of the same group.
fn site() -> (Site, String) {
    let site = Site::hospital(3);
    let images = site.path().join("images");
    fs::create_dir(&images).unwrap();
    fs::write(images.join("emr.bak"), b"TAPE\0\0\x03\0 and the rest of it").unwrap();
    let source = format!("opaque:name=sqlserver,path={}", images.display());
    (site, source)
}

#[test]
fn a_store_and_files_are_one_snapshot_and_what_is_not_proven_is_said() {
    let (site, source) = site();
    let hospital = site.hospital_dir();
    let backup = site.vaulted(["backup", "--source", &source, hospital.to_str().unwrap()]);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let summary = backup.lines.last().unwrap();
    assert_eq!(summary["sources"][0]["kind"], "opaque");
    assert!(summary["spread_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{summary}");

    let drill = site.vaulted(["drill"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert!(drill.stderr.contains("NOT PROVEN: opaque sqlserver: 1 × SQL Server backup"), "{}", drill.stderr);
    let proof = &drill.lines.last().unwrap()["proof"];
    assert_eq!(proof["not_proven"].as_array().unwrap().len(), 1, "{proof}");
    assert_eq!(proof["patients"], 3);
    let method = proof["method"].as_str().unwrap();
    for said in [
        "the whole snapshot was restored",
        "hashes sealed at capture",
        "opaque sqlserver was restored byte for byte and is NOT PROVEN",
    ] {
        assert!(method.contains(said), "{said}: {method}");
    }
    assert!(proof["evidence"]["method_ja"].as_str().unwrap().contains("未実証"), "{proof}");

    let status = site.vaulted(["status"]);
    let status = status.lines.last().unwrap();
    assert_eq!(status["alarms"][0]["id"], "backup.not_proven", "{status}");
    assert!(
        status["alarms"][0]["title"].as_str().unwrap().contains("sqlserver (1 × SQL Server backup)"),
        "{status}"
    );
    assert_eq!(status["remarks"][0]["id"], "vault.not_locked", "{status}");
    assert!(status["rpo_seconds"].is_number(), "{status}");
}

#[test]
fn a_store_alone_needs_no_folder_and_a_wrong_one_is_refused_before_anything_is_done() {
    let (site, source) = site();
    let backup = site.vaulted(["backup", "--source", &source]);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let nothing = site.vaulted(["backup"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    let wrong = site.vaulted(["backup", "--source", "postgresql:password=hunter2"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("secrets stand in files"), "{}", wrong.stderr);
    let gone = site.vaulted(["backup", "--source", "opaque:path=/nowhere/at/all"]);
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    assert!(gone.stderr.contains("no snapshot was made"), "{}", gone.stderr);
    assert_eq!(site.vaulted(["snapshots"]).lines.iter().filter(|line| line["type"] == "snapshot").count(), 1);
}

#[test]
fn the_configuration_names_stores_and_what_is_wrong_with_them() {
    let site = Site::new();
    let file = site.path().join("chartward.toml");
    for (sources, files, said) in [
        (r#"["opaque:path=/srv"]"#, r#"["/srv"]"#, None),
        (r#"["oracle:name=x"]"#, "[]", Some("none of postgresql")),
        (r#"["ssh:host=x"]"#, "[]", Some("path= is missing")),
    ] {
        let text = format!(
            "[vault]\ndir = \"/mnt/vault\"\npassphrase = {{ secret = \"vault\" }}\n[[protect]]\nname = \"emr\"\nsources = {sources}\nfiles = {files}\n"
        );
        fs::write(&file, text).unwrap();
        let check = site.bare(["config", "check", "--json", "--config", file.to_str().unwrap()]);
        match said {
            Some(said) => assert!(check.stdout.contains(said), "{}", check.stdout),
            None => assert!(!check.stdout.contains("sources"), "{}", check.stdout),
        }
    }
}

#[test]
fn the_page_about_stores_is_what_the_program_prints() {
    let site = Site::new();
    for (lang, file) in [("en", "sources.md"), ("ja", "sources.ja.md")] {
        let printed = site.bare(["config", "sources", "--lang", lang]).stdout;
        let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
        let kept = fs::read_to_string(kept).unwrap_or_default();
        assert!(printed == kept, "docs/{file} is old: chartward config sources --lang {lang} > docs/{file}");
    }
}

//! `ls`, `find`, `diff`, `dump`, streams and rules for what is left out, as people run them.

use std::fs;
use std::process::Command;

use crate::support::{Site, run};

fn site() -> Site {
    let site = Site::new();
    site.init();
    fs::create_dir_all(site.hospital_dir().join("sub")).unwrap();
    fs::write(site.hospital_dir().join("record.hl7"), "MSH").unwrap();
    fs::write(site.hospital_dir().join("sub/診療録.txt"), "content").unwrap();
    fs::write(site.hospital_dir().join("sub/scratch.tmp"), "scratch").unwrap();
    site
}

fn text(site: &Site, args: &[&str]) -> (i32, String) {
    let run = run(site.command(args).arg("--vault").arg(site.vault()));
    (run.code, run.stdout)
}

#[test]
fn people_look_into_a_vault() {
    let site = site();
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    fs::write(site.hospital_dir().join("record.hl7"), "MSH changed").unwrap();
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let ids: Vec<String> = site
        .vaulted(["snapshots"])
        .lines
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect();
    let record = site.hospital_dir().join("record.hl7");
    let record = record.to_str().unwrap();

    let (code, listed) = text(&site, &["ls", &ids[0]]);
    assert_eq!(code, 0);
    assert!(listed.lines().any(|line| line == record), "{listed}");
    let (_, long) = text(&site, &["ls", "--long", record]);
    assert!(long.starts_with("-rw") && long.trim_end().ends_with(record), "{long}");
    assert_eq!(text(&site, &["ls", "latest", "/no/such/path"]).0, 1);
    let json = site.vaulted(["ls", "latest"]).lines;
    assert_eq!((&json[0]["struct_type"], &json[1]["struct_type"]), (&"snapshot".into(), &"node".into()));

    let (code, found) = text(&site, &["find", "*.HL7", "--ignore-case", "--lang", "ja"]);
    assert_eq!((code, found.matches(record).count()), (0, 2), "{found}");
    assert!(found.contains("スナップショット"), "{found}");
    assert_eq!(site.vaulted(["find", "no-such-name"]).last()["hits"], 0);
    assert_eq!(text(&site, &["find", "["]).0, 2);

    let (code, differs) = text(&site, &["diff", &ids[0], &ids[1]]);
    assert_eq!(code, 0);
    assert!(differs.contains(&format!("M    {record}")), "{differs}");
    let json = site.vaulted(["diff", &ids[0], &ids[1]]);
    assert_eq!(
        (&json.last()["message_type"], &json.last()["changed_files"]),
        (&"statistics".into(), &2.into())
    );

    assert_eq!(text(&site, &["dump", &ids[0], record]).1, "MSH");
    let target = site.path().join("out.tar");
    let folder = site.hospital_dir();
    let args = ["dump", "latest", folder.to_str().unwrap(), "--target", target.to_str().unwrap()];
    assert_eq!(text(&site, &args).0, 0);
    let unpacked = Command::new("tar").args(["-tf"]).arg(&target).output().unwrap();
    assert!(String::from_utf8_lossy(&unpacked.stdout).contains("record.hl7"));
    assert_eq!(text(&site, &args).0, 2, "what is there is not overwritten");
}

#[test]
fn a_command_that_fails_leaves_no_snapshot_and_is_quoted() {
    let site = site();
    let stream = |script: &str| {
        let mut command =
            site.command(["backup", "--json", "--state", &site.state(), "--stdin-from-command"]);
        command.args(["--stdin-filename", "db.sql", "--tag", "db", "--host", "db-server"]);
        run(command.arg("--vault").arg(site.vault()).args(["--", "sh", "-c", script]))
    };
    let failed = stream("echo half; echo 'pg_dump: server closed the connection' >&2; exit 1");
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains("server closed the connection"), "{}", failed.stderr);
    assert!(failed.stderr.contains("no snapshot was made"), "{}", failed.stderr);
    assert_eq!(stream("echo half; kill -9 $$").code, 1);
    assert_eq!(site.vaulted(["snapshots"]).lines.len(), 0);
    let whole = stream("echo all of it");
    assert_eq!((whole.code, &whole.last()["bytes"]), (0, &10.into()), "{}", whole.stderr);
    assert_eq!(text(&site, &["dump", "latest", "/db.sql"]).1, "all of it\n");
    let snapshot = &site.vaulted(["snapshots"]).lines[0];
    assert_eq!((&snapshot["hostname"], &snapshot["tags"][0]), (&"db-server".into(), &"db".into()));
    assert_eq!(stream("true").code, 1, "nothing at all is no dump");
}

#[test]
fn rules_and_lists_say_what_is_backed_up() {
    let site = site();
    let list = site.path().join("list");
    fs::write(&list, format!("# a comment\n{}/*.hl7\n{0}/sub\n", site.hospital_dir().display())).unwrap();
    let rules = site.path().join("rules");
    fs::write(&rules, "# scratch files\n*.tmp\n").unwrap();
    let backup = site.run([
        "backup",
        "--files-from",
        list.to_str().unwrap(),
        "--exclude-file",
        rules.to_str().unwrap(),
        "--exclude",
        "*.never",
        "--time",
        "2018-10-16 05:40:00",
    ]);
    assert_eq!((backup.code, &backup.last()["files"]), (0, &2.into()), "{}", backup.stderr);
    assert!(backup.stderr.contains("--exclude *.never leaves nothing out"), "{}", backup.stderr);
    let time = site.vaulted(["snapshots"]).lines[0]["time"].as_str().unwrap().to_owned();
    assert!(time.starts_with("2018-10-1"), "{time}");
    for args in [
        &["backup", "--exclude", "hospital", "."][..],
        &["backup", "--exclude", "[", "."],
        &["backup"],
        &["backup", "--files-from", "/no/such/list"],
        &["backup", "--stdin", "--stdin-filename", "../x"],
    ] {
        let refused = run(site
            .command(args)
            .args(["--state", &site.state()])
            .arg("--vault")
            .arg(site.vault())
            .current_dir(site.hospital_dir()));
        assert_eq!(refused.code, 2, "{args:?}: {}", refused.stderr);
    }
}

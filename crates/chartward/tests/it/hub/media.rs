//! The hub asks for the medium whose turn it is, writes it, and says when nothing is on it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::stage::{Stage, until};
use crate::support::{BINARY, run};

const PASSPHRASE: &str = "only for this test";

/// A vault with a backup in it, and the configuration of a hub that copies it to `paths`.
fn stage(media: &str, paths: &[&str]) -> Stage {
    let stage = Stage::new();
    fs::create_dir(stage.path("records")).unwrap();
    fs::write(stage.path("records").join("one"), "record").unwrap();
    let secret = stage.private_file("passphrase", PASSPHRASE);
    let (vault, records) = (stage.path("vault"), stage.path("records"));
    say(&stage, &["vault", "init", vault.to_str().unwrap()]);
    say(&stage, &["backup", records.to_str().unwrap(), "--vault", vault.to_str().unwrap()]);
    let paths: Vec<_> = paths.iter().map(|name| stage.path(name)).collect();
    let paths = serde_json::json!(paths);
    stage.configure(&format!(
        "[vault]\ndir = {vault:?}\npassphrase = {{ file = {secret:?} }}\n\n[[protect]]\nname = \"emr\"\npaths = [{records:?}]\n\
         backup = {{ every = \"24h\" }}\n\n[[notify]]\nname = \"lamp\"\nlamp = {{ url = \"http://127.0.0.1:9/\" }}\n\n\
         [[media]]\nname = \"offsite\"\nsets = [\"A\", \"B\"]\nat = \"00:00\"\nevery = \"1m\"\npaths = {paths}\n{media}\n"
    ));
    stage
}

fn say(stage: &Stage, words: &[&str]) {
    let mut command = Command::new(BINARY);
    command.args(words).arg("--json").arg("--state").arg(&stage.state).env("CHARTWARD_PASSWORD", PASSPHRASE);
    let said = run(&mut command);
    assert_eq!(said.code, 0, "{words:?}: {}", said.stderr);
}

#[test]
fn people_are_asked_for_the_set_that_is_due_once_and_told_when_nothing_came() {
    let stage = stage("turn_days = 1", &["drive"]);
    // An empty folder, as where a tape should be and is not.
    fs::create_dir(stage.path("drive")).unwrap();
    let hub = stage.up();
    let alarm = until("the alarm", || stage.alarms("media.change").pop());
    let set = if alarm["title"].as_str().unwrap().contains("set A") { "A" } else { "B" };
    assert!(alarm["title_ja"].as_str().unwrap().contains(&format!("媒体{set}を入れてください")), "{alarm}");
    assert_eq!(stage.alarms("media.none_detached").len(), 1);
    let asked = || -> Vec<Value> {
        let mut all = stage.measures();
        all.retain(|it| it["because"].as_str().unwrap().contains("backup medium"));
        all
    };
    until("the notice", || asked().pop());
    drop(hub);
    // The next start does not ask again for the same turn.
    let _hub = stage.up();
    until("the alarm again", || stage.alarms("media.change").pop());
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(asked().len(), 1);
    assert_eq!(fs::read_dir(stage.path("drive")).unwrap().count(), 0);
}

#[test]
fn a_medium_that_is_set_and_holds_nothing_is_overdue() {
    let stage = stage("turn_days = 366\noverdue = \"1m\"", &["drive"]);
    fs::create_dir(stage.path("drive")).unwrap();
    let _hub = stage.up();
    until("the alarm", || stage.alarms("media.overdue").pop());
}

#[test]
fn the_set_that_is_due_is_written_by_itself_and_counts_once_it_is_out() {
    let stage = stage("turn_days = 366", &["a", "b"]);
    for (path, set) in [("a", "A"), ("b", "B")] {
        let (vault, path) = (stage.path("vault"), stage.path(path));
        let (vault, path) = (vault.to_str().unwrap(), path.to_str().unwrap());
        say(
            &stage,
            &[
                "media",
                "prepare",
                "--vault",
                vault,
                "--path",
                path,
                "--rotation",
                "offsite",
                "--set",
                set,
                "--plain-folder",
            ],
        );
    }
    let _hub = stage.up();
    let listed = until("a generation", || {
        stage.ask(&["media", "list"]).lines.into_iter().find(|line| line["type"] == "generation")
    });
    until("no alarm", || stage.alarms("media.overdue").is_empty().then_some(()));
    assert_eq!(stage.alarms("media.none_detached").len(), 1, "it is still in");
    let name = listed["set"].as_str().unwrap().to_lowercase();
    fs::rename(stage.path(&name), stage.path("safe")).unwrap();
    until("it is out", || stage.alarms("media.none_detached").is_empty().then_some(()));
}

//! How mail is weighed differently: by the command line, in a running gateway, with undo.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use testkit::dns::{Names, Record};

use crate::mail_gateway::{Gateway, has_tools};
use crate::mail_made::{HOSTS, SUBJECTS, WAYS, lure};
use crate::support::{BINARY, Run, Site, run};

fn policy(state: &str, words: &[&str]) -> Run {
    let mut command = Command::new(BINARY);
    command.args(["mail", "policy"]).args(words).args(["--json", "--state", state]);
    run(command.env("USER", "tanaka").env_remove("SUDO_USER"))
}

fn listed(state: &str, kind: &str) -> Vec<Value> {
    policy(state, &["show"]).lines.into_iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn a_policy_is_shown_changed_undone_and_told_the_ledger() {
    let site = Site::new();
    let state = site.state();
    fs::create_dir_all(&state).unwrap();
    assert_eq!(listed(&state, "mail_reason"), Vec::<Value>::new());
    for words in [
        &["lower", "link.shortener", "--by", "1.5", "--because", "the newsletter of the laboratory"][..],
        &["raise", "html.form"],
        &["silence", "html.only"],
        &["allow", "news.lab.example"],
    ] {
        let done = policy(&state, words);
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        assert_eq!(done.lines[0]["gateway"], "absent");
        assert!(done.stderr.contains("next start"), "{}", done.stderr);
    }
    let reasons = listed(&state, "mail_reason");
    assert_eq!(reasons.len(), 3);
    let shortener = reasons.iter().find(|it| it["id"] == "link.shortener").unwrap();
    let weight = |name: &str| shortener[name].as_f64().unwrap();
    assert!((weight("weight") - weight("here") - 1.5).abs() < 1e-9, "{shortener}");
    assert_eq!(
        (&shortener["by"], &shortener["because"]),
        (&json!("tanaka"), &json!("the newsletter of the laboratory"))
    );
    assert_eq!(listed(&state, "mail_allowed")[0]["sender"], "news.lab.example");
    assert_eq!(listed(&state, "mail_policy")[0]["changed_by_hand"], false);

    let history = policy(&state, &["history"]);
    assert_eq!(history.lines.len(), 4);
    assert_eq!(
        (&history.lines[0]["what"], &history.lines[0]["next_undone"]),
        (&json!("allow news.lab.example"), &json!(true))
    );
    let undone = policy(&state, &["undo", "--because", "it was spam"]);
    assert_eq!(undone.lines[0]["what"], "take back: allow news.lab.example");
    assert!(listed(&state, "mail_allowed").is_empty());
    for (words, said) in [
        (&["silence", "no.such"][..], "show --all"),
        (&["allow", "gmail.com"], "single address"),
        (&["remove", "link.ip"], "stands nowhere"),
        (&["lower", "html.form", "--by", "99"], "at most 20"),
    ] {
        let refused = policy(&state, words);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{words:?}: {}", refused.stderr);
    }
    let all = policy(&state, &["show", "--all"]);
    assert!(all.lines.iter().filter(|line| line["type"] == "mail_reason").count() > 50);
    let ledger = fs::read_to_string(format!("{state}/ledger.jsonl")).unwrap();
    assert_eq!(ledger.matches("\"mail_policy_changed\"").count(), 5, "{ledger}");
    assert!(ledger.contains("\"because\":\"it was spam\""), "{ledger}");
    let people = site.bare(["mail", "policy", "show", "--lang", "ja", "--state", &state]);
    assert!(
        people.stdout.contains("link.shortener") && people.stdout.contains("短縮リンク"),
        "{}",
        people.stdout
    );
}

/// The running gateway goes by it at once, and the next one too; a sender is let through only where it was verified.
#[test]
fn a_running_gateway_goes_by_what_was_changed() {
    if !has_tools("a_running_gateway_goes_by_what_was_changed") {
        return;
    }
    let spf = Record::Txt("v=spf1 ip4:198.51.100.7 -all".into());
    let names = Names::start(vec![("mail-77.example".into(), spf)]);
    let (dns, from) = (names.at.to_string(), "no-reply@mail-77.example");
    let mut gateway = Gateway::new();
    let words = ["--dns", &dns, "--policy", "quarantine"];
    gateway.serve(&words);
    let state = gateway.folder.path().to_str().unwrap().to_owned();
    let mail = lure(SUBJECTS[0], HOSTS[0], from, WAYS[0]);
    let changed = |words: &[&str]| {
        let done = policy(&state, words);
        assert_eq!((done.code, &done.lines[0]["gateway"]), (0, &json!("reloaded")), "{}", done.stderr);
    };
    // Its own machine, and one that may not send for it.
    let sends = |gateway: &Gateway| {
        for client in ["198.51.100.7", "203.0.113.9"] {
            assert!(gateway.send(from, client, &mail).taken);
        }
        (gateway.delivered().len(), gateway.held().len())
    };
    assert_eq!(sends(&gateway), (0, 2));
    changed(&["allow", "mail-77.example", "--because", "a test"]);
    assert_eq!(sends(&gateway), (1, 3));
    changed(&["undo"]);
    assert_eq!(sends(&gateway), (1, 5));
    changed(&["allow", "mail-77.example"]);
    gateway.serve(&words);
    assert_eq!(sends(&gateway), (2, 6), "after a new start");
    // What cannot be used leaves everything as it is.
    fs::write(gateway.folder.path().join("mail/policy.toml"), "[[allow]]\nsender = 3\n").unwrap();
    let broken = policy(&state, &["silence", "link.ip"]);
    assert!(broken.code == 2 && broken.stderr.contains("line 2"), "{}", broken.stderr);
    assert_eq!(sends(&gateway), (3, 7));
}

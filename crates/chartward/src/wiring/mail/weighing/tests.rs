use super::*;

struct Desk {
    dir: tempfile::TempDir,
    ledger: Ledger,
    weighing: Weighing,
}

fn now() -> Timestamp {
    "2026-11-19T03:00:00Z".parse().unwrap()
}

const HAND: Hand<'_> =
    Hand { by: "tanaka", because: "the laboratory's newsletter\n", at: Timestamp::UNIX_EPOCH };

fn desk() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), now()).unwrap();
    let weighing = Weighing::new(dir.path(), None);
    Desk { dir, ledger, weighing }
}

impl Desk {
    fn change(&self, change: Change) -> anyhow::Result<Version> {
        self.weighing.change(&change, HAND, &self.ledger)
    }

    fn shift(&self, id: &str, by: f64) -> anyhow::Result<Version> {
        self.change(Change::Shift { id: id.into(), by })
    }

    fn undo(&self) -> anyhow::Result<Version> {
        self.weighing.undo(HAND, &self.ledger)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.weighing.file).unwrap()
    }

    /// As the gateway reads it.
    fn tuned(&self) -> Vec<String> {
        let policy = MailPolicy::parse(&self.text()).unwrap();
        let reasons = policy.reasons.iter().map(|tuned| format!("{} {:?}", tuned.id, tuned.tuning));
        reasons.chain(policy.allow.iter().map(|allowed| allowed.sender.clone())).collect()
    }
}

#[test]
fn changes_add_up_and_each_is_taken_back_one_after_another() {
    let desk = desk();
    desk.shift("link.shortener", -1.0).unwrap();
    desk.shift("link.shortener", -0.3).unwrap();
    desk.change(Change::Silence { id: "html.only".into() }).unwrap();
    desk.change(Change::Allow { sender: " News.Lab.Example ".into() }).unwrap();
    assert_eq!(desk.tuned(), ["link.shortener Add(-1.3)", "html.only Silent", "news.lab.example"]);
    let text = desk.text();
    assert!(text.starts_with("# How mail is weighed") && text.contains("by = \"tanaka\""), "{text}");
    assert!(text.contains("because = \"the laboratory's newsletter\"") && !text.contains('\u{7}'), "{text}");
    desk.change(Change::Remove { what: "html.only".into() }).unwrap();
    assert_eq!(desk.tuned(), ["link.shortener Add(-1.3)", "news.lab.example"]);
    for expected in [
        &["link.shortener Add(-1.3)", "html.only Silent", "news.lab.example"][..],
        &["link.shortener Add(-1.3)", "html.only Silent"],
        &["link.shortener Add(-1.3)"],
        &["link.shortener Add(-1.0)"],
        &[],
    ] {
        assert!(desk.undo().unwrap().what.starts_with("take back: "));
        assert_eq!(desk.tuned(), expected);
    }
    assert!(desk.undo().unwrap_err().to_string().contains("no change"));
    // What was lowered and raised by as much weighs what it does elsewhere.
    desk.shift("link.ip", 0.1).unwrap();
    desk.shift("link.ip", -0.1).unwrap();
    assert!(desk.tuned().is_empty());
    let facts = desk.ledger.entries().unwrap();
    let told = facts.iter().filter(|entry| matches!(entry.fact, Fact::MailPolicyChanged { .. })).count();
    assert_eq!(told, desk.weighing.versions().unwrap().len());
    assert_eq!(told, 12);
}

#[test]
fn what_cannot_be_meant_changes_nothing() {
    let desk = desk();
    desk.change(Change::Silence { id: "link.ip".into() }).unwrap();
    let before = desk.text();
    let allow = |sender: &str| Change::Allow { sender: sender.into() };
    let shift = |id: &str, by| Change::Shift { id: id.into(), by };
    for (change, said) in [
        (shift("no.such", 1.0), "show --all"),
        (shift("link.port", f64::NAN), "at most 20"),
        (shift("link.port", 0.0), "at most 20"),
        (shift("link.ip", 1.0), "is silent"),
        (Change::Remove { what: "link.port".into() }, "stands nowhere"),
        (allow("gmail.com"), "single address"),
        (allow("co.jp"), "anybody may have a domain"),
        (allow("hospital"), "neither a domain nor an address"),
        (allow("@lab.example"), "neither a domain nor an address"),
        (allow("a b@lab.example"), "neither a domain nor an address"),
        (allow("lab.example\"\nsilent = true"), "neither a domain nor an address"),
    ] {
        let error = format!("{:#}", desk.change(change.clone()).unwrap_err());
        assert!(error.contains(said), "{change:?}: {error}");
    }
    desk.change(allow("someone@gmail.com")).unwrap();
    assert!(desk.change(allow("SomeOne@gmail.com")).unwrap_err().to_string().contains("already"));
    desk.undo().unwrap();
    assert_eq!(desk.text(), before);
}

#[test]
fn what_somebody_wrote_by_hand_is_kept_in_the_history_and_never_thrown_away() {
    let desk = desk();
    fs::create_dir(desk.dir.path().join("mail")).unwrap();
    let by_hand = "# ours, since March\n[[reason]]\nid = \"link.ip\"\nweight = 4 # why\n";
    fs::write(&desk.weighing.file, by_hand).unwrap();
    fs::set_permissions(&desk.weighing.file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(desk.weighing.read().unwrap().1, "by hand");
    desk.shift("link.ip", 0.5).unwrap();
    assert_eq!(desk.tuned(), ["link.ip Weight(4.5)"]);
    assert!(!desk.weighing.read().unwrap().1);
    assert_eq!(fs::metadata(&desk.weighing.file).unwrap().mode() & 0o777, 0o640);
    desk.undo().unwrap();
    assert_eq!(desk.text(), by_hand, "comments and all");
    desk.shift("link.ip", 0.5).unwrap();
    fs::write(&desk.weighing.file, by_hand).unwrap();
    assert!(desk.undo().unwrap_err().to_string().contains("another hand"));
    assert_eq!(desk.text(), by_hand);
    fs::write(&desk.weighing.file, "[[reason]]\nid = 3\n").unwrap();
    let error = format!("{:#}", desk.shift("link.ip", 0.5).unwrap_err());
    assert!(error.contains("policy.toml") && error.contains("line 2"), "{error}");
}

/// The file lies where the gateway's user may write: what it puts there instead is neither read nor written through.
#[test]
fn no_link_is_followed() {
    let desk = desk();
    let secret = desk.dir.path().join("secret.toml");
    fs::write(&secret, "[[reason]]\nid = \"link.ip\"\nsilent = true\n").unwrap();
    fs::create_dir(desk.dir.path().join("mail")).unwrap();
    std::os::unix::fs::symlink(&secret, &desk.weighing.file).unwrap();
    assert!(desk.shift("link.port", 1.0).is_err());
    assert!(fs::read_to_string(&secret).unwrap().contains("silent"));
    assert!(replace(&desk.weighing.file, "new").is_ok());
    assert!(fs::read_to_string(&secret).unwrap().contains("silent"), "the link was replaced");
    assert_eq!(desk.text(), "new");
}

#[test]
fn a_history_that_was_cut_off_or_grew_long_goes_on() {
    let desk = desk();
    desk.shift("link.ip", 1.0).unwrap();
    let file = desk.dir.path().join(HISTORY);
    OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"number\": 2, \"cut").unwrap();
    assert_eq!(desk.shift("link.ip", 1.0).unwrap().number, 2);
    assert_eq!(desk.weighing.versions().unwrap().len(), 2);
    let line = fs::read_to_string(&file).unwrap().lines().last().unwrap().to_owned() + "\n";
    fs::write(&file, line.repeat((4 << 20) / line.len() + 2)).unwrap();
    desk.shift("link.ip", 1.0).unwrap();
    assert!(fs::metadata(&file).unwrap().len() < 1 << 20);
    desk.undo().unwrap();
    assert_eq!(desk.tuned(), ["link.ip Add(2.0)"]);
}

use std::collections::BTreeSet;

use proptest::prelude::*;
use schema::{ActKind, Lang, WatcherClass};
use serde::Deserialize;

use super::fields::{ACTS, Field, Kind, Need, ROOT, Shape};
use super::load::check_bytes;
use super::reference::written;
use super::*;

/// Problems as `line: key: what`, without those that depend on the machine.
fn problems(text: &str) -> Vec<String> {
    let checked = check_bytes(text.as_bytes());
    let problems = checked.problems.iter().filter(|problem| problem.gravity != Gravity::Unfit);
    problems
        .map(|problem| {
            format!(
                "{}:{}: {}: {} → {}",
                problem.line, problem.column, problem.key, problem.what.en, problem.remedy.en
            )
        })
        .collect()
}

const SOUND: &str = "[vault]\ndir = \"/mnt/vault\"\npassphrase = { secret = \"vault\" }\n[[protect]]\nname = \"emr\"\npaths = [\"/srv/emr\"]\n";

#[test]
fn a_sound_file_has_its_defaults() {
    assert_eq!(problems(SOUND), Vec::<String>::new());
    let config = check_bytes(SOUND.as_bytes()).config.unwrap();
    assert_eq!(config.lang, Lang::Ja);
    assert_eq!(config.console, Console::default());
    assert!(config.schedule.check.read_data);
    assert!(matches!(config.protect[0].drill.when, When::DailyAt(_)));
}

#[test]
fn every_problem_is_named_at_once_with_its_place_and_remedy() {
    let text = r#"lang = "jp"
hospitl = "中央病院"
[console]
listen = "0.0.0.0:8443"
tls = false
[vault]
dir = "vault"
passphrase = "hunter2"
[[protect]]
name = "emr"
paths = ["/srv/emr"]
share = { path = "//192.0.2.10/karte", mirror = "/srv/mirror" }
backup = { every = "15 minuts" }
[[protect]]
name = "emr"
[[watch]]
name = "ids"
exec = ["suricata"]
lines_per_second_max = 99999999999999999999999
[[playbook]]
name = "stop"
watchers = ["external", "gaurd"]
acts = ["notify", "isolate_hosts"]
approval = "none"
channels = ["duti"]
[never_touch]
addresses = ["192.0.2.7/24"]
[[notify]]
name = "duty"
webhook = { url = "ftp://x" }
"#;
    let found = problems(text);
    for expected in [
        "1:8: lang: \"jp\" does not fit here → write \"ja\"",
        "2:1: hospitl: there is no key `hospitl` here → write `hospital`",
        "4:10: console.listen: the console would be open",
        "7:7: vault.dir: \"vault\" does not fit here → write an absolute path or rest:https://",
        "8:14: vault.passphrase: a secret does not stand in this file",
        "12:1: protect[0]: more than one of paths, share, sources",
        "13:20: protect[0].backup.every: \"15 minuts\" is not a length of time → write a number with s, m, h or d",
        "15:8: protect[1].name: the name \"emr\" is taken by protect[0]",
        "14:1: protect[1]: none of paths, share, sources stands here",
        "18:9: watch[0].exec[0]: \"suricata\" is not an absolute path",
        "19:24: watch[0].lines_per_second_max: 99999999999999999999999 is out of range",
        "22:25: playbook[0].watchers[1]: \"gaurd\" does not fit here → write \"guard\"",
        "23:19: playbook[0].acts[1]: \"isolate_hosts\" does not fit here → write \"isolate_host\"",
        "25:13: playbook[0].channels[0]: there is no [[notify]] named \"duti\" → write \"duty\"",
        "27:14: never_touch.addresses[0]: \"192.0.2.7/24\" names one address and a whole network at once → write \"192.0.2.0/24\"",
        "30:19: notify[0].webhook.url:",
    ] {
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nin {found:#?}");
    }
    let checked = check_bytes(text.as_bytes());
    assert!(checked.config.is_none());
    assert!(!format!("{:?}", checked.problems).contains("hunter2"), "a secret is never repeated");
    let english = |text: &str| text.is_ascii();
    for problem in &checked.problems {
        assert!(!english(&problem.what.ja) && !english(&problem.remedy.ja), "{problem:?}");
    }
}

#[test]
fn what_contradicts_itself_is_named() {
    let with = |more: &str| problems(&format!("{SOUND}{more}"));
    let playbook = "[[watch]]\nname = \"logs\"\nexec = [\"/bin/true\"]\nclass = \"logs\"\n[[playbook]]\nname = \"p\"\nwatchers = [\"logs\"]\n";
    for (name, more, expected) in [
        (
            "vault in what is protected",
            "[[protect]]\nname = \"all\"\npaths = [\"/mnt\"]\n",
            "the vault /mnt/vault lies in /mnt",
        ),
        (
            "protected in the vault",
            "[[protect]]\nname = \"v\"\npaths = [\"/mnt/vault/data/\"]\n",
            "lies in the vault",
        ),
        (
            "guarded vault",
            "[[watch]]\nname = \"g\"\nguard = { dirs = [\"/mnt\"] }\n",
            "the guard would hold up the hub itself",
        ),
        (
            "class with guard",
            "[[watch]]\nname = \"g\"\nclass = \"mail\"\nguard = { dirs = [\"/srv\"] }\n",
            "class",
        ),
        (
            "watch without program",
            "[[watch]]\nname = \"g\"\n",
            "none of guard, share, mail, sensor, logs, exec stands here",
        ),
        ("certificate alone", "[console]\ncertificate = \"/etc/c.pem\"\n", "`certificate` needs `key`"),
        (
            "same port",
            "[viewer]\nlisten = \"127.0.0.1:8443\"\n",
            "console and viewer listen on the same port",
        ),
        ("nobody to tell", &format!("{playbook}acts = [\"notify\"]\n"), "`notify` has nobody to tell"),
        (
            "fooled",
            &format!("{playbook}acts = [\"block_address\"]\napproval = \"none\"\n"),
            "a forged log line is enough for block_address",
        ),
        (
            "no such watcher",
            "[[playbook]]\nname = \"p\"\nwatchers = [\"mail\"]\nacts = [\"lock_vault\"]\n",
            "no [[watch]] is of the class mail",
        ),
        (
            "never touch all",
            &format!(
                "{playbook}acts = [{{ act = \"isolate_host\", of = \"target\" }}]\n[never_touch]\naddresses = [\"0.0.0.0/0\"]\n"
            ),
            "isolate_host never happens",
        ),
        (
            "relay",
            "[[notify]]\nname = \"m\"\nsmtp = { server = \"mail\", tls = \"none\", from = \"a@b\", to = [\"c@d\"], user = \"u\", password = { secret = \"s\" } }\n",
            "the password would travel in the clear",
        ),
        (
            "url with password",
            "[[notify]]\nname = \"m\"\nwebhook = { url = \"https://u:hunter2@x/\" }\n",
            "a secret does not stand in this file",
        ),
        (
            "no mailboxes",
            "[mail.departments]\n\"a\" = [\"@\"]\n",
            "mail.departments.a[0]: \"@\" names no mailboxes",
        ),
        (
            "nobody in a department",
            "[mail.departments]\n\"a\" = []\n",
            "mail.departments.a: this list is empty",
        ),
        ("no department's name", "[mail.departments]\n\" \" = [\"@a.example\"]\n", "\" \" does not fit here"),
        (
            "no list of mailboxes",
            "[mail]\ndepartments = { a = \"b@c.example\" }\n",
            "mail.departments.a: a text does not fit here",
        ),
        (
            "two departments",
            "[mail.departments]\na = [\"A@x.example\"]\nb = [\"a@x.example\"]\n",
            "is of the department a already",
        ),
        (
            "sensor without interfaces",
            "[[watch]]\nname = \"n\"\nsensor = true\n",
            "the sensor has nothing to listen at",
        ),
        (
            "two sensors",
            "[sensor]\ninterfaces = [\"eth1\"]\n[[watch]]\nname = \"n\"\nsensor = true\n[[watch]]\nname = \"m\"\nsensor = true\n",
            "there can be one sensor only",
        ),
        (
            "hours of a contractor",
            "[[logins.contractor]]\nname = \"a\"\naccounts = [\"a\"]\nhours = \"9 to 5\"\n",
            "\"9 to 5\" does not fit here",
        ),
        ("no interface", "[sensor]\ninterfaces = [\"/dev/eth1\"]\n", "\"/dev/eth1\" does not fit here"),
        (
            "no ports",
            "[[sensor.contract]]\nname = \"a\"\npeer = [\"192.0.2.1\"]\nhosts = [\"192.0.2.2\"]\nports = [\"9-1\"]\n",
            "\"9-1\" does not fit here",
        ),
        (
            "no hours",
            "[[sensor.contract]]\nname = \"a\"\npeer = [\"192.0.2.1\"]\nhosts = [\"192.0.2.2\"]\nhours = \"9 to 5\"\n",
            "\"9 to 5\" does not fit here",
        ),
        ("retention over the wire", "[retention]\n", "forgets nothing"),
        ("token", "api_token = \"hunter2\"\n", "a secret does not stand in this file"),
        ("elsewhere", "[console]\nretention_days = 3\n", "it belongs below [lake]"),
    ] {
        // A key of the top level stands before the tables.
        let remote = SOUND.replace("/mnt/vault", "rest:https://vault.example:8443/emr/");
        let found = match more {
            _ if more.starts_with("api") => problems(&format!("{more}{SOUND}")),
            _ if more.starts_with("[retention]") => problems(&format!("{remote}{more}")),
            _ => with(more),
        };
        assert!(found.iter().any(|problem| problem.contains(expected)), "{name}: {found:#?}");
        assert!(!format!("{found:?}").contains("hunter2"), "{name}");
    }
}

#[test]
fn what_is_not_toml_is_named_where_it_is() {
    for (text, expected) in [
        (&b"a = [1, 2\nb = 3"[..], "this is not TOML"),
        (b"lang = ja", "this is not TOML: string values must be quoted"),
        (b"[console]\n[console]\n", "duplicate key"),
        (b"hospital = \"\x83\x8f\"", "what follows is not UTF-8"),
        (b"hospital = \"a\0b\"", "not TOML"),
        (b"", "nothing is protected"),
    ] {
        let problem =
            check_bytes(text).problems.into_iter().find(|problem| problem.what.en.contains(expected));
        assert!(problem.is_some_and(|problem| problem.line >= 1), "{expected}");
    }
    assert!(check_bytes(&vec![b'#'; (1 << 20) + 1]).problems[0].what.en.contains("larger"));
    let deep = format!("a = {}", "[".repeat(200_000));
    assert!(!check_bytes(deep.as_bytes()).problems.is_empty());
    let keys = format!("{} = 1", vec!["a"; 200_000].join("."));
    assert!(!check_bytes(keys.as_bytes()).problems.is_empty());
}

/// A table with every key, or all but those of `one_of` that are not `chosen`.
fn full(shape: &Shape, chosen: usize) -> String {
    let keys = shape.fields.iter().filter(|field| takes_part(shape, field, chosen));
    keys.map(|field| format!("{} = {}", field.name, value(field))).collect::<Vec<_>>().join(", ")
}

fn takes_part(shape: &Shape, field: &Field, chosen: usize) -> bool {
    let place = shape.one_of.iter().position(|name| *name == field.name);
    let class = field.name == "class" && shape.one_of.get(chosen) != Some(&"exec");
    place.is_none_or(|place| place == chosen) && !class
}

fn value(field: &Field) -> String {
    match field.kind {
        Kind::Table(shape) => format!("{{ {} }}", full(shape, 0)),
        Kind::Tables { shape, .. } => {
            let each = (0..shape.one_of.len().max(1)).map(|chosen| format!("{{ {} }}", full(shape, chosen)));
            format!("[{}]", each.collect::<Vec<_>>().join(", "))
        }
        _ => written(field),
    }
}

#[test]
fn every_key_of_the_table_is_read_and_every_key_that_is_read_is_in_the_table() {
    let text: Vec<_> = ROOT.fields.iter().map(|field| format!("{} = {}", field.name, value(field))).collect();
    let text = text.join("\n");
    toml::from_str::<Config>(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    // What serde expects at each table, from its complaint about a key that nobody has.
    compare(&ROOT, &|inner| inner.to_owned(), "top");
    for field in ROOT.fields {
        if let Some(shape) = field.shape() {
            descend(field, shape);
        }
    }
}

fn descend(field: &Field, shape: &'static Shape) {
    let rows = matches!(field.kind, Kind::Tables { .. });
    for chosen in 0..shape.one_of.len().max(1) {
        let rest = |skip: &str| {
            let keys = shape.fields.iter().filter(|key| takes_part(shape, key, chosen) && key.name != skip);
            keys.map(|key| format!("{} = {}", key.name, value(key))).collect::<Vec<_>>().join(", ")
        };
        let wrap = |inner: &str| {
            let table = format!("{{ {inner} }}");
            if rows { format!("{} = [{table}]", field.name) } else { format!("{} = {table}", field.name) }
        };
        compare(shape, &|inner| wrap(&format!("{}, {inner}", rest(""))), field.name);
        for below in shape.fields.iter().filter(|below| takes_part(shape, below, chosen)) {
            if let Some(inner_shape) = below.shape() {
                let inside = |inner: &str| {
                    let table = format!("{{ {}, {inner} }}", full(inner_shape, 0));
                    let is_list = matches!(below.kind, Kind::Tables { .. });
                    let table = if is_list { format!("[{table}]") } else { table };
                    wrap(&format!("{}, {} = {table}", rest(below.name), below.name))
                };
                compare(inner_shape, &inside, below.name);
            }
        }
    }
}

fn compare(shape: &Shape, file: &dyn Fn(&str) -> String, name: &str) {
    let error = toml::from_str::<Config>(&file("zzz = 1")).unwrap_err().to_string();
    let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{name}: {error}"));
    let expected: BTreeSet<_> = expected.split('`').skip(1).step_by(2).collect();
    let known: BTreeSet<_> = shape.fields.iter().map(|field| field.name).collect();
    assert_eq!(known, expected, "{name}: {error}");
}

#[test]
fn defaults_in_the_table_are_those_of_the_values() {
    for field in ROOT.fields {
        let Some(shape) = field.shape().filter(|_| matches!(field.kind, Kind::Table(_))) else { continue };
        for below in shape.fields {
            let Need::Default(value) = below.need else { continue };
            let more = full_required(shape);
            let with = format!("[{}]\n{more}{} = {value}\n", field.name, below.name);
            let without = format!("[{}]\n{more}", field.name);
            let read =
                |text: &str| toml::from_str::<Config>(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read(&with), read(&without), "{}.{}", field.name, below.name);
        }
    }
}

fn full_required(shape: &Shape) -> String {
    let required = shape.fields.iter().filter(|field| field.need == Need::Required);
    required.map(|field| format!("{} = {}\n", field.name, written(field))).collect()
}

#[test]
fn the_example_is_sound_in_both_languages() {
    for lang in Lang::ALL {
        let text = example(lang);
        assert_eq!(problems(&text), Vec::<String>::new());
        assert!(check_bytes(text.as_bytes()).config.is_some());
    }
}

#[test]
fn names_in_the_table_are_those_of_the_values() {
    let acts: Vec<_> = ActKind::ALL.into_iter().map(ActKind::id).collect();
    assert_eq!(acts, ACTS);
    let watch = ROOT.field("watch").and_then(Field::shape).and_then(|shape| shape.field("class")).unwrap();
    let Kind::OneOf(classes) = watch.kind else { panic!("class is a choice") };
    assert_eq!(classes.to_vec(), WatcherClass::ALL.map(WatcherClass::id).to_vec());
}

#[test]
fn a_playbook_and_a_channel_become_those_of_the_room_that_acts() {
    #[derive(Deserialize)]
    struct File {
        playbook: Vec<Playbook>,
        notify: Vec<Notify>,
    }
    let text = "[[playbook]]\nname = \"p\"\nwatchers = [\"guard\"]\nacts = [\"freeze\", { act = \"isolate_host\", of = \"target\" }]\n[[notify]]\nname = \"m\"\nsmtp = { server = \"m\", from = \"a@b\", to = [\"c@d\"], user = \"u\", password = { file = \"/etc/p\" } }\n";
    let file: File = toml::from_str(text).unwrap();
    let playbook = act::playbook::Playbook::from(&file.playbook[0]);
    assert_eq!((playbook.deadline_seconds, playbook.lasts_seconds), (600, Some(14_400)));
    assert_eq!(playbook.acts.len(), 2);
    let act::notify::Channel::Smtp { secret, port, .. } = act::notify::Channel::from(&file.notify[0].channel)
    else {
        panic!("a mail stays a mail")
    };
    assert_eq!((secret.as_deref(), port), (Some("/etc/p"), 587));
}

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_bytes(&bytes);
    }

    #[test]
    fn no_change_of_a_sound_file_makes_the_check_panic(
        at in 0usize..4_000,
        cut in 0usize..40,
        put in "[\\PC\n\"'\\[\\]{}=.,#0-9a-z]{0,12}",
    ) {
        let text = example(Lang::En).replace("\n# ", "\n");
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, put.chars());
        let changed: String = chars.into_iter().collect();
        for problem in check_bytes(changed.as_bytes()).problems {
            prop_assert!(problem.line >= 1 && problem.column >= 1 && !problem.what.ja.is_empty());
        }
    }
}

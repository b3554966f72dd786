//! What is made for Windows, as far as it can be checked without one: scripts that a parser of the language takes and that no name
//! turns into another script, and the pack that makes the needed events arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{BINARY, Run, Site, run};

const TREE: &str = include_str!("windows/tree.py");

/// Python with a parser of PowerShell from PyPI, in a folder that stays for the next run; `None` after saying why not.
fn parser(test: &str) -> Option<PathBuf> {
    let python = testkit::tool(test, "python3")?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let venv = cache.unwrap_or_else(env::temp_dir).join("chartward-tests").join("powershell");
    let inside = venv.join("bin/python");
    let quiet = |program: &Path, words: &[&str]| {
        let run = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let works = || quiet(&inside, &["-c", "import tree_sitter, tree_sitter_powershell"]);
    if !works() {
        quiet(&python, &["-m", "venv", venv.to_str()?]);
        quiet(&inside, &["-m", "pip", "install", "-q", "tree-sitter", "tree-sitter-powershell"]);
    }
    if works() {
        return Some(inside);
    }
    testkit::skip(
        test,
        "tree-sitter-powershell could not be installed from PyPI (python3-venv, or no registry)",
    );
    None
}

struct Desk {
    site: Site,
    config: PathBuf,
}

impl Desk {
    fn new(never: &str) -> Self {
        let site = Site::new();
        let config = site.path().join("chartward.toml");
        fs::write(
            &config,
            format!("hospital = \"Test\"\n[wall]\ncommand = [\"nft\"]\n[never_touch]\n{never}"),
        )
        .unwrap();
        Self { site, config }
    }

    fn emit(&self, words: &[&str]) -> Run {
        let mut command = Command::new(BINARY);
        command.args(["act", "emit", "--json", "--state"]).arg(self.site.path());
        if words.first() == Some(&"windows-block") {
            command.arg("--config").arg(&self.config);
        }
        run(command.args(words))
    }

    fn script(&self, words: &[&str]) -> String {
        let run = self.emit(words);
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        assert!(run.stderr.contains("NOT TESTED ON WINDOWS"), "{}", run.stderr);
        assert_eq!(run.lines[0]["tested"], false);
        run.lines[0]["text"].as_str().unwrap().to_owned()
    }

    fn parsed(&self, python: &Path, scripts: &[String]) -> Vec<Value> {
        let mut command = Command::new(python);
        command.args(["-c", TREE]);
        for (nth, script) in scripts.iter().enumerate() {
            let path = self.site.path().join(format!("{nth}.ps1"));
            fs::write(&path, script).unwrap();
            command.arg(path);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn scripts_are_taken_by_a_parser_and_no_name_turns_one_into_another() {
    let Some(python) = parser("scripts_are_taken_by_a_parser") else { return };
    let desk = Desk::new("addresses = [\"203.0.113.9\"]\n");
    let hostile = [
        "nurse1",
        "x'; Remove-Item C:\\ -Recurse; '",
        "x'\"; $(Invoke-Expression calc) `; #",
        "@('a')",
        "<# #>",
        "-Force",
    ];
    let logoffs: Vec<String> =
        hostile.iter().map(|name| desk.script(&["windows-logoff", "--", name])).collect();
    // Letters that some code page reads as a quotation mark are written as numbers.
    for name in ["x\u{2019}; calc; \u{2018}", "看護　太郎"] {
        assert!(desk.script(&["windows-logoff", name]).is_ascii());
    }
    for (name, tree) in hostile.iter().zip(desk.parsed(&python, &logoffs)) {
        assert_eq!(tree["error"], false, "{name}");
        let benign = desk.parsed(&python, &logoffs[..1]).remove(0);
        assert_eq!((&tree["shape"], &tree["commands"]), (&benign["shape"], &benign["commands"]), "{name}");
    }
    let blocks = [
        desk.script(&["windows-block", "198.51.100.7", "2001:db8::7"]),
        desk.script(&["windows-block", "198.51.100.8", "::ffff:198.51.100.9", "--lasts", "30m"]),
    ];
    let trees = desk.parsed(&python, &blocks);
    assert_eq!((&trees[0]["error"], &trees[1]["error"]), (&false.into(), &false.into()));
    assert_eq!(trees[0]["shape"], trees[1]["shape"]);
    let commands: Vec<&str> =
        trees[0]["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for command in [
        "New-NetFirewallRule",
        "Remove-NetFirewallRule",
        "Register-ScheduledTask",
        "Unregister-ScheduledTask",
    ] {
        assert!(commands.contains(&command), "{command}: {commands:?}");
    }
}

#[test]
fn a_script_blocks_nobody_who_is_never_touched_and_nobody_at_all_without_a_list() {
    let desk = Desk::new("addresses = [\"203.0.113.0/24\"]\nservers = [\"198.51.100.53\"]\n");
    for (words, said) in [
        (vec!["windows-block", "203.0.113.9"], "203.0.113.0/24"),
        (vec!["windows-block", "198.51.100.53"], "never blocked"),
        (vec!["windows-block", "198.51.100.7; calc"], "no address"),
        (vec!["windows-block", "198.51.100.0/24"], "no address"),
        (vec!["windows-block", "198.51.100.7", "--lasts", "soon"], "length of time"),
        (vec!["windows-logoff", "a\u{202e}b"], "\\u{202e}"),
        (vec!["windows-logoff"], "accounts"),
    ] {
        let run = desk.emit(&words);
        assert!(run.code == 2 && run.stderr.contains(said), "{words:?}: {} {}", run.code, run.stderr);
    }
    let empty = Desk::new("").emit(&["windows-block", "198.51.100.7"]);
    assert!(empty.code == 2 && empty.stderr.contains("[never_touch]"), "{}", empty.stderr);
}

/// The folder of the pack.
fn pack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../windows")
}

/// Channel, number, what needs it and what has to be switched on.
fn table() -> Vec<(String, u32, String, String)> {
    let text = fs::read_to_string(pack().join("events.tsv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 5, "{line}");
        (cells[0].to_owned(), cells[1].parse().unwrap(), cells[2].to_owned(), cells[3].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// What the subscription selects, as a parser of XML reads it: channel and numbers, and how many of them stand in one query.
const QUERIES: &str = r#"
import json, re, sys, xml.etree.ElementTree as tree
space = "{http://schemas.microsoft.com/2006/03/windows/events/subscription}"
root = tree.parse(sys.argv[1]).getroot()
query = tree.fromstring(root.find(space + "Query").text.strip())
ids, most = {}, 0
for select in query.iter("Select"):
    found = [int(n) for n in re.findall(r"EventID=(\d+)", select.text)]
    most = max(most, len(found))
    ids.setdefault(select.get("Path"), []).extend(found)
    assert select.text.count("(") == select.text.count(")") and select.text.count("[") == select.text.count("]")
paths = [each.get("Path") for each in query.iter("Query")]
print(json.dumps({"ids": ids, "most": most, "paths": paths, "format": root.find(space + "ContentFormat").text}))
"#;

#[test]
fn the_subscription_is_well_formed_and_selects_just_the_events_of_the_table() {
    let Some(python) = testkit::tool("the_subscription_is_well_formed", "python3") else { return };
    let read =
        Command::new(python).args(["-c", QUERIES]).arg(pack().join("subscription.xml")).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    let mut wanted: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (channel, id, ..) in table() {
        assert!(
            wanted.entry(channel.clone()).or_default().insert(id.into()),
            "{channel} {id} stands there twice"
        );
    }
    let ids = read["ids"].as_object().unwrap();
    let selected: BTreeMap<String, BTreeSet<u64>> = ids
        .iter()
        .map(|(channel, ids)| {
            (channel.clone(), ids.as_array().unwrap().iter().filter_map(Value::as_u64).collect())
        })
        .collect();
    assert_eq!(selected, wanted);
    // The service takes no more conditions in one query.
    assert!(read["most"].as_u64().unwrap() <= 20, "{read}");
    assert_eq!(read["format"], "Events");
}

#[test]
fn the_audit_policy_switches_on_what_the_table_needs() {
    let policy = fs::read_to_string(pack().join("audit-policy.cmd")).unwrap();
    let needs: BTreeSet<String> =
        table().into_iter().map(|(.., needs)| needs).filter(|needs| needs.starts_with('{')).collect();
    let set: BTreeSet<String> = policy
        .lines()
        .filter(|line| line.starts_with("auditpol /set"))
        .map(|line| line.split('"').nth(1).unwrap().to_owned())
        .collect();
    let without: Vec<_> = needs.difference(&set).collect();
    assert!(without.is_empty(), "{without:?}");
    for (needs, word) in [
        ("powershell", "EnableScriptBlockLogging"),
        ("powershell", "EnableModuleLogging"),
        ("enable", "wevtutil sl Microsoft-Windows-TaskScheduler/Operational /e:true"),
        ("{0CCE922B-69AE-11D9-BED3-505054503030}", "ProcessCreationIncludeCmdLine_Enabled"),
    ] {
        assert!(table().iter().any(|(.., of)| of == needs) && policy.contains(word), "{needs}: {word}");
    }
    let ntlm = fs::read_to_string(pack().join("domain-controller.cmd")).unwrap();
    assert!(table().iter().any(|(.., of)| of == "ntlm") && ntlm.contains("AuditNTLMInDomain"));
    let kinds = ["always", "powershell", "enable", "role", "ntlm", "sysmon"];
    assert!(table().iter().all(|(.., needs)| needs.starts_with('{') || kinds.contains(&needs.as_str())));
}

/// Numbers behind `ids: &[` in the source that reads logons, and behind `EventID:` in our own rules: whatever is added there has to
/// be made to arrive.
#[test]
fn what_the_code_reads_is_in_the_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    let of = |kind: &str| -> BTreeSet<u32> {
        table().into_iter().filter(|(_, _, kinds, _)| kinds.contains(kind)).map(|(_, id, ..)| id).collect()
    };
    if let Ok(source) = fs::read_to_string(crates.join("decode/src/evtx/auth.rs")) {
        let lists = source.split("ids: &[").skip(1).filter_map(|rest| rest.split(']').next());
        let read: BTreeSet<u32> = lists.flat_map(numbers).collect();
        let known = of("auth");
        let missing: Vec<_> = read.difference(&known).collect();
        assert!(!read.is_empty() && missing.is_empty(), "{missing:?}");
    }
    let mut folders = vec![crates.join("judge/rules/sigma")];
    let mut missing = BTreeSet::new();
    let known: BTreeSet<u32> = table().into_iter().map(|(_, id, ..)| id).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mut in_list = false;
            for line in text.lines().map(|line| line.split('#').next().unwrap_or_default()) {
                let plain = line.trim().trim_start_matches("- ");
                in_list = plain.starts_with("EventID")
                    || (in_list && line.trim().starts_with("- ") && !line.contains(':'));
                if in_list {
                    let values = plain.trim_start_matches(|c: char| c != ':' && !c.is_ascii_digit());
                    missing.extend(
                        numbers(values)
                            .into_iter()
                            .filter(|id| !known.contains(id))
                            .map(|id| (path.clone(), id)),
                    );
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

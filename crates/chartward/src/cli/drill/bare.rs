//! `chartward drill --from-bare DIR`: the way back on a machine that has only the vault and the recovery sheet.
//!
//! This program copies itself into the folder and starts the copy where nothing else of this machine exists: no network, an empty
//! home, no state, no configuration, the vault read-only, and the passphrase as it is typed from the sheet.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use prove::Ledger;
use recover::adapter::Jail;
use recover::vault::{Password, Vault};
use schema::Proof;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Args, record};
use crate::cli::state_dir;
use crate::output::{Output, printable};

/// Where what comes back lies below the folder; it stays there.
const RESTORED: &str = "restored";
/// The state that the copy begins with: none. Its ledger stays.
const STATE: &str = "state";
const HOME: &str = "home";
const PROGRAM: &str = "chartward";
/// A line holds every table of every database.
const LINES_MAX: usize = 100_000;

/// What the copy had, in words.
struct Used {
    lines: Vec<String>,
    absent: Vec<&'static str>,
    jail: Vec<String>,
}

pub(super) fn run(args: Args, folder: PathBuf) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    // Before anybody is asked for a passphrase.
    Vault::probe(args.vault.dir())?;
    let vault_dir = fs::canonicalize(args.vault.dir())?;
    let passphrase = args.vault.passphrase()?;
    let folder = fs::canonicalize(super::empty_folder(folder)?)?;
    ensure!(!folder.starts_with(&vault_dir), "{} lies in the vault", folder.display());
    let (program, hash) = copy_of_ourselves(&folder)?;
    let jail = Jail::new(&folder, None, std::slice::from_ref(&vault_dir))?.keeping_rights();
    let used = used(&vault_dir, &hash, &jail);
    used.tell(output)?;
    let mut command = jail.command(&program)?;
    surroundings(&mut command, &args, &folder, &vault_dir);
    let (code, lines) = carry_out(command, &passphrase)?;
    for name in [HOME, ".tmp", ".root"] {
        let _ = fs::remove_dir_all(folder.join(name));
    }
    let _ = fs::remove_file(&program);
    take_over(&args, &vault_dir, &passphrase, &lines)?;
    if output == Output::Json {
        lines.iter().try_for_each(|line| output.line(line))?;
    } else {
        verdict(&lines, &folder, output);
    }
    Ok(ExitCode::from(code))
}

fn copy_of_ourselves(folder: &Path) -> anyhow::Result<(PathBuf, String)> {
    let program = folder.join(PROGRAM);
    let own = std::env::current_exe().context("find this program")?;
    fs::copy(own, &program).with_context(|| format!("cannot copy this program to {}", program.display()))?;
    fs::create_dir(folder.join(HOME)).context("cannot make an empty home")?;
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    Ok((program, hex::encode(Sha256::digest(bytes))))
}

fn used(vault: &Path, hash: &str, jail: &Jail) -> Used {
    let network = jail.has_no_network().then_some("a network");
    Used {
        lines: vec![
            format!("the vault in {}", vault.display()),
            "the passphrase, as it stands on the recovery sheet".to_owned(),
            format!("one file, chartward {} (SHA-256 {hash})", env!("CARGO_PKG_VERSION")),
            "programs of this machine's system folders: util-linux, and the database servers where a snapshot holds databases"
                .to_owned(),
        ],
        absent: network
            .into_iter()
            .chain(["this user's home", "a state folder", "a configuration", "an environment"])
            .collect(),
        jail: jail.said(),
    }
}

impl Used {
    fn tell(&self, output: Output) -> anyhow::Result<()> {
        let Used { lines, absent, jail } = self;
        output.line(&json!({ "type": "bare", "used": lines, "absent": absent, "sandbox": jail }))?;
        lines.iter().for_each(|line| output.say(format_args!("Used: {}", printable(line))));
        output.say(format_args!("Not there: {}.", absent.join(", ")));
        for line in jail.iter().filter(|line| line.starts_with("NOT ENFORCED")) {
            eprintln!("chartward: {line}");
        }
        Ok(())
    }
}

/// Nothing of ours is passed on but what a person with the sheet would type.
fn surroundings(command: &mut Command, args: &Args, folder: &Path, vault: &Path) {
    command.env("HOME", folder.join(HOME));
    command.arg("drill").args(&args.snapshot).arg("--vault").arg(vault);
    command.arg("--password-file").arg("/proc/self/fd/0").arg("--state").arg(folder.join(STATE));
    command.arg("--kept").arg(folder.join(RESTORED)).arg("--json");
    if args.accept_fewer {
        command.arg("--accept-fewer");
    }
    if args.no_scan {
        command.arg("--no-scan");
    }
    if let Some(zone) = jiff::tz::TimeZone::system().iana_name() {
        command.env("TZ", zone);
    }
}

fn carry_out(mut command: Command, passphrase: &[u8]) -> anyhow::Result<(u8, Vec<Value>)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the copy of this program")?;
    if let Some(mut stdin) = child.stdin.take() {
        // A copy that ended already has said why.
        let _ = stdin.write_all(passphrase);
    }
    let stdout = child.stdout.take().context("the copy has no output")?;
    let lines = BufReader::new(stdout).lines().take(LINES_MAX).map_while(Result::ok);
    let lines: Vec<Value> = lines.filter_map(|line| serde_json::from_str(&line).ok()).collect();
    let status = child.wait().context("wait for the copy of this program")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
    ensure!(code < 2, "the copy of this program could not carry out the drill ({status})");
    Ok((code, lines))
}

/// The copy saw the vault read-only and had a ledger of its own; what it found goes into this machine's and into the vault.
fn take_over(args: &Args, vault: &Path, passphrase: &[u8], lines: &[Value]) -> anyhow::Result<()> {
    let vault = Vault::open(vault, &Password::new(passphrase))?;
    let ledger = Ledger::open(&state_dir(args.state.clone())?, Timestamp::now())?;
    for line in lines.iter().filter(|line| line["type"] == "drill") {
        let proof: Proof = serde_json::from_value(line["proof"].clone()).context("the copy's proof")?;
        record(&vault, &ledger, &proof)?;
    }
    Ok(())
}

fn verdict(lines: &[Value], folder: &Path, output: Output) {
    for line in lines.iter().filter(|line| line["type"] == "drill") {
        let verdict = if line["passed"] == true { "PASSED" } else { "FAILED" };
        let proof = &line["proof"];
        output.say(format_args!(
            "{verdict} from bare: snapshot {}: {} files restored, {} patients; everything back and read after {:.1} s. It lies in {}.",
            proof["snapshot"].as_str().unwrap_or_default().get(..8).unwrap_or_default(),
            proof["files"],
            proof["patients"],
            proof["rto_full_seconds"].as_f64().unwrap_or_default(),
            folder.join(RESTORED).display()
        ));
    }
}

//! The command line: one file for each subcommand, this one for what they share.
//!
//! Exit status everywhere: 0 done and nothing found, 1 something found or part of the work not done, 2 it could
//! not run.

mod access;
mod account;
mod act;
pub(crate) mod backup;
mod charts;
mod config;
mod confine;
mod diff;
pub(crate) mod drill;
mod dump;
mod find;
mod guard;
mod hub_args;
mod incident;
mod lang;
mod logons;
mod logs;
mod look;
mod ls;
mod mail;
mod media;
mod password;
mod progress;
mod prove;
mod reconnect;
mod recovery_sheet;
mod rehearse;
mod restore;
mod sample;
pub(crate) mod sandbox;
mod scan;
mod secret;
mod sensor;
mod share;
mod snapshots;
mod status;
mod supervise;
mod telescope;
mod token;
pub(crate) mod up;
mod user;
mod vault;
mod vault_args;
mod vault_host;
mod wall;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::output::{printable, printable_lines};

#[derive(Parser)]
#[command(
    name = "chartward",
    version,
    about = "Keeps a hospital's electronic medical record alive through ransomware",
    after_help = "Start with `chartward rehearse uda-2018`: it makes a synthetic hospital, attacks it and brings it \
                  back.\n\nExit status: 0 done and nothing found; 1 something found, or not everything could be done; 2 it could not run."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the hub: watchers, decisions, schedule, console
    Up(up::Args),
    /// What the hub made of the findings
    Incident(incident::Args),
    /// Plan, apply and undo countermeasures
    Act(act::Args),
    /// Let an isolated host back, once its store was rescanned and proven
    Reconnect(reconnect::Args),
    /// Replay an incident of the past on real parts, in a folder of its own
    Rehearse(rehearse::Args),
    /// Make a synthetic hospital
    Sample(sample::SampleArgs),
    /// Make a vault, or look for damage in one
    Vault(vault::Args),
    /// Removable media that take turns: what is out of the machine is out of an attacker's reach
    Media(media::Args),
    /// Capture one consistent moment into the vault
    Backup(Box<backup::Args>),
    /// Restore into a sandbox, read every record, sign what was found
    Drill(drill::Args),
    /// Say what would be lost now, how soon charts would be read again, and what is wrong
    Status(status::Args),
    /// Print the sheet with which a person restores on a bare machine
    RecoverySheet(recovery_sheet::Args),
    /// Read charts while the record system is down
    Charts(charts::ChartsArgs),
    /// List what the vault holds
    Snapshots(snapshots::Args),
    /// List what a snapshot holds
    Ls(ls::Args),
    /// Search the snapshots for files by name
    Find(find::Args),
    /// Say what differs between two snapshots
    Diff(diff::Args),
    /// Write a file of a snapshot to the standard output, or a folder as a tar archive
    Dump(dump::Args),
    /// Get files back from the vault
    Restore(restore::Args),
    /// Watch a folder and stop what encrypts it
    Guard(Box<guard::GuardArgs>),
    /// Judge what lies in files: mails, captures of traffic
    Scan(scan::Args),
    /// Check the configuration, or print what may stand in it
    Config(config::Args),
    /// Watch logs: files, syslog, the journal, what collectors send
    Logs(Box<logs::LogsArgs>),
    /// Stand between the mail server and the mailboxes
    Mail(mail::MailArgs),
    /// Observe addresses that nobody uses: counts, quarterly reports, letters to the owners of sources
    Telescope(telescope::TelescopeArgs),
    /// Watch a network from the mirror port of its switch
    Sensor(Box<sensor::SensorArgs>),
    /// Watch a file share from outside, or copy it here before a backup
    Share(share::ShareArgs),
    /// Open a contractor's time for a ticket, list what is open, take it back
    Access(access::AccessArgs),
    /// Who logged in where, from logs: the story of an attack, timelines, doors that are open
    Logons(Box<logons::LogonsArgs>),
    /// The packet filter as a declared policy: who reaches whom, tried out before it stays
    Wall(wall::Args),
    /// Check the signed ledger, or give out a copy of it
    Prove(prove::ProveArgs),
    /// Make, reset and disable accounts of the console, at the machine itself
    User(user::UserArgs),
    /// Keep passphrases and keys that the hub needs in a sealed store
    Secret(secret::SecretArgs),
    /// Make and revoke tokens for programs that ask the hub's API
    Token(token::TokenArgs),
    #[command(hide = true)]
    Confine(confine::ConfineArgs),
    #[command(hide = true)]
    Supervise(supervise::SuperviseArgs),
    #[command(hide = true)]
    SimulateEncryptor(crate::rehearse::EncryptorArgs),
}

pub(crate) fn main() -> ExitCode {
    crate::schedule::end_with_parent();
    match run(parse().command) {
        Ok(code) => code,
        Err(error) => {
            explain(&error);
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(args),
        Command::Incident(args) => incident::run(args),
        Command::Act(args) => act::run(args),
        Command::Reconnect(args) => reconnect::run(args),
        Command::Rehearse(args) => rehearse::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Vault(args) => vault::run(args),
        Command::Media(args) => media::run(args),
        Command::Backup(args) => backup::run(*args),
        Command::Snapshots(args) => snapshots::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Find(args) => find::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Dump(args) => dump::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Drill(args) => drill::run(args),
        Command::Status(args) => status::run(args),
        Command::RecoverySheet(args) => recovery_sheet::run(args),
        Command::Charts(args) => charts::run(args),
        Command::Guard(args) => guard::run(*args),
        Command::Config(args) => config::run(args),
        Command::Logs(args) => logs::run(*args),
        Command::Mail(args) => mail::run(args),
        Command::Scan(args) => scan::run(args),
        Command::Telescope(args) => telescope::run(args),
        Command::Sensor(args) => sensor::run(*args),
        Command::Share(args) => share::run(args),
        Command::Prove(args) => prove::run(args),
        Command::Confine(args) => confine::run(args),
        Command::Supervise(args) => supervise::run(args),
        Command::User(args) => user::run(args),
        Command::Secret(args) => secret::run(args),
        Command::Token(args) => token::run(args),
        Command::Access(args) => access::run(args),
        Command::Logons(args) => logons::run(*args),
        Command::Wall(args) => wall::run(args),
        Command::SimulateEncryptor(args) => rehearse::run_encryptor(&args),
    }
}

/// Prints the whole chain of causes, the operation first.
fn explain(error: &anyhow::Error) {
    eprintln!("chartward: {}", printable(&error.to_string()));
    for cause in error.chain().skip(1) {
        eprintln!("  because: {}", printable(&cause.to_string()));
    }
    if let Some(step) = error.chain().find_map(next_step) {
        eprintln!("  next: {}", printable(step));
    }
}

/// What an operator can do about one of the causes.
fn next_step(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let recover = || cause.downcast_ref::<recover::Error>()?.next_step();
    let prove = || cause.downcast_ref::<::prove::Error>()?.next_step();
    let act = || cause.downcast_ref::<::act::Error>()?.next_step();
    let store = || match cause.downcast_ref::<observe::Error>()? {
        observe::Error::Store { .. } => Some("use --store DIR to name a folder that you may write to"),
        observe::Error::MailListen { .. } => {
            Some("use --listen to name a socket that is free, in a folder that you may write to")
        }
        observe::Error::Interface { .. } => {
            Some("`ip link` shows which interfaces there are; opening one needs root or CAP_NET_RAW")
        }
        observe::Error::NoSuchMail { .. } => Some("`chartward mail quarantine list` shows what there is"),
        _ => None,
    };
    let access = || cause.downcast_ref::<crate::access::Error>()?.next_step();
    let bundle = || cause.downcast_ref::<recover::bundle::Error>()?.next_step();
    recover().or_else(bundle).or_else(prove).or_else(access).or_else(act).or_else(store)
}

/// Clap repeats what it was given, so an argument that would command a terminal is escaped in its message.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let is_safe = |arg: OsString| arg.to_str().is_some_and(|arg| printable(arg) == arg);
        if env::args_os().all(is_safe) {
            error.exit();
        }
        eprintln!("{}", printable_lines(&error.to_string()));
        std::process::exit(error.exit_code())
    })
}

/// The state folder: as given, else the default one.
fn state_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir);
    }
    default_state_dir().context("no state folder: neither --state nor XDG_STATE_HOME nor HOME is set")
}

/// `/var/lib/chartward` for root, and the XDG state folder for others.
fn default_state_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/chartward".into());
    }
    let state_home = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))?;
    Some(state_home.join("chartward"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn each(command: &clap::Command, name: &str, look: &mut impl FnMut(&str, &clap::Command)) {
        look(name, command);
        for inner in
            command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
        {
            each(inner, &format!("{name} {}", inner.get_name()), look);
        }
    }

    #[test]
    fn every_command_and_every_argument_says_what_it_is() {
        let mut bare = Vec::new();
        each(&Cli::command(), "chartward", &mut |name, command| {
            if command.get_about().is_none() {
                bare.push(name.to_owned());
            }
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let says_nothing = help.len() < 8
                    || help.ends_with("State folder")
                    || (arg.get_default_values().iter().any(|value| value.is_empty())
                        && !arg.is_hide_default_value_set());
                if says_nothing {
                    bare.push(format!("{name} {}: {help:?}", arg.get_id()));
                }
            }
        });
        assert_eq!(bare, Vec::<String>::new());
    }
}

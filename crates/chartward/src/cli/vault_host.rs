//! `chartward vault serve|client|receipts|removals`: a vault host, and what its administrator does at the host itself.

mod client;
mod receipts;
mod removals;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use recover::host::{ClientName, Host, Settings};

use super::lang::LangArgs;
use crate::output::Output;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve a vault host: restic's REST protocol, create-only, one repository for each protected host
    Serve(serve::Args),
    /// Add, list and revoke the keys of a vault host's clients
    Client(client::Args),
    /// List what a vault host received, by its own clock
    Receipts(receipts::Args),
    /// List, cancel and carry out removals that wait
    Removals(removals::Args),
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Client(args) => client::run(&args),
        Command::Receipts(args) => receipts::run(&args),
        Command::Removals(args) => removals::run(&args),
    }
}

/// What every command on the host takes.
#[derive(clap::Args)]
struct HostArgs {
    /// The vault host's folder
    #[arg(long, value_name = "DIR", env = "CHARTWARD_VAULT_HOST")]
    host: PathBuf,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

impl HostArgs {
    fn output(&self) -> Output {
        Output::new(self.json)
    }

    /// Opens the folder beside the process that serves. Files are frozen again after a removal is cancelled where that works.
    fn visit(&self) -> anyhow::Result<Host> {
        let settings = Settings {
            retain: SignedDuration::ZERO,
            delay: SignedDuration::ZERO,
            immutable: self.host.is_dir() && Host::try_immutable(&self.host).is_ok(),
        };
        Ok(Host::visit(&self.host, settings)?)
    }
}

/// Who sits at the host, for the audit.
pub(super) fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    std::env::var("SUDO_USER")
        .map_or_else(|_| format!("uid {uid} at the host"), |user| format!("{user} at the host"))
}

fn client_name(text: &str) -> Result<ClientName, String> {
    ClientName::parse(text).ok_or_else(|| {
        "a name has 1 to 48 of the letters a-z, 0-9, -, _ and ., and begins with a letter or a digit"
            .to_owned()
    })
}

/// Bytes as people write them: `500GiB`, `2TiB`, `1048576`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err("write a size such as 500GiB or 2TiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "write a size such as 500GiB or 2TiB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is more than there is".to_owned())
}

/// Seconds are enough for people.
fn when(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("1", Some(1)),
            ("2KiB", Some(2048)),
            ("3TiB", Some(3 << 40)),
            ("", None),
            ("GiB", None),
            ("1GB", None),
            ("-1", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        assert!(bytes("99999999999TiB").is_err());
    }
}

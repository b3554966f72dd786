//! `chartward telescope`: what knocks at addresses that nobody uses, and what is made of it.

mod letters;
mod observe;
mod report;
mod respond;

use std::process::ExitCode;

/// Observe addresses that nobody uses, and report on it
#[derive(Debug, clap::Args)]
pub(crate) struct TelescopeArgs {
    #[command(subcommand)]
    command: TelescopeCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TelescopeCommand {
    /// Count the packets of capture files or of an interface into the observations
    Observe(observe::Args),
    /// Report on a quarter: ports, surges, systems, coverage
    Report(report::Args),
    /// Answer the first words of SMB on an unused address, to hear what systems the senders say they run
    Respond(respond::Args),
    /// Draft letters to the owners of networks that scan, and keep track of them
    Letters(Box<letters::Args>),
}

pub(crate) fn run(args: TelescopeArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TelescopeCommand::Observe(args) => observe::run(&args),
        TelescopeCommand::Report(args) => report::run(&args),
        TelescopeCommand::Respond(args) => respond::run(&args),
        TelescopeCommand::Letters(args) => letters::run(*args),
    }
}

/// The name of a sensor, as it becomes part of files' names.
fn sensor(text: &str) -> Result<String, String> {
    if prove::observation::Store::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits, - and _, at most 64".to_owned())
    }
}

/// A time zone by its IANA name.
fn zone(text: &str) -> Result<jiff::tz::TimeZone, String> {
    jiff::tz::TimeZone::get(text).map_err(|error| error.to_string())
}

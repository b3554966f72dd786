//! `chartward mail`: the gateway, and what it held back.

mod notice;
mod place;
mod policy;
mod quarantine;
mod serve;

use std::process::ExitCode;

/// Stand between the mail server and the mailboxes
#[derive(Debug, clap::Args)]
pub(crate) struct MailArgs {
    #[command(subcommand)]
    command: MailCommand,
}

#[derive(Debug, clap::Subcommand)]
enum MailCommand {
    /// Examine each mail that the mail server asks about (milter protocol)
    Serve(Box<serve::Args>),
    /// List, show, release and delete mails that were held back
    Quarantine(quarantine::Args),
    /// A page for the staff's wall: what came this week, and what to do
    Notice(notice::Args),
    /// Reasons to raise, lower or silence, and senders to let through, with undo
    Policy(policy::Args),
}

pub(crate) fn run(args: MailArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        MailCommand::Serve(args) => serve::run(*args),
        MailCommand::Quarantine(args) => quarantine::run(args),
        MailCommand::Notice(args) => notice::run(args),
        MailCommand::Policy(args) => policy::run(args),
    }
}

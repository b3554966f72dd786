//! `chartward scan`: judges what lies in files the way the watchers judge what passes by.

mod evtx;
mod line;
mod logs;
mod mail;
mod ordered;
mod pcap;
mod people;
mod source;

use std::process::ExitCode;

pub(crate) use logs::judge as judge_logs;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Judge logs of logons: text files, packed or not, and folders of them
    Logs(Box<logs::LogsArgs>),
    /// Judge mails: .eml files, mbox files, Maildirs and folders of them, or the standard input (`-`)
    Mail(Box<mail::MailArgs>),
    /// Judge traffic: capture files, or the standard input (`-`)
    Pcap(Box<pcap::PcapArgs>),
    /// Judge Windows event logs: EVTX files, forwarded events as XML or JSON, folders and archives of them
    Evtx(Box<evtx::EvtxArgs>),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Logs(args) => logs::run(*args),
        What::Mail(args) => mail::run(*args),
        What::Pcap(args) => pcap::run(*args),
        What::Evtx(args) => evtx::run(*args),
    }
}

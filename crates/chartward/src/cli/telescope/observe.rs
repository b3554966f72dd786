//! `chartward telescope observe`: packets become counts.

use std::path::PathBuf;
use std::process::ExitCode;

use ipnet::IpNet;
use serde_json::json;

use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::output::{Output, printable};
use crate::wiring::telescope::observe::{Observed, Task, files, interface};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Capture files (pcap, pcapng, gzip), or the standard input (`-`); each is to be given once, as packets are added up
    #[arg(value_name = "PCAP", required_unless_present = "interface", conflicts_with = "interface")]
    files: Vec<PathBuf>,
    /// Count what arrives at this interface until the command is ended
    #[arg(long, value_name = "IF", requires = "watched")]
    interface: Option<String>,
    /// Name of the sensor; files of different sensors are merged in reports
    #[arg(long, value_name = "NAME", value_parser = super::sensor)]
    sensor: String,
    /// Addresses that are watched, such as 198.51.100.0/28; others do not count. May be repeated (default for files: all)
    #[arg(long = "net", value_name = "CIDR")]
    watched: Vec<IpNet>,
    /// Days that addresses of sources are kept for letters; counts are kept for good
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    keep_addresses: u16,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let state = state_dir(args.state.clone())?;
    let task =
        Task { state: &state, sensor: &args.sensor, watched: &args.watched, keep_days: args.keep_addresses };
    let done = match &args.interface {
        Some(name) => interface(&task, name, |not_enforced| {
            let _ = output.line(&json!({"type": "ready", "interface": name, "sensor": args.sensor, "not_enforced": not_enforced}));
            output.say(lang.pick(
                format!("Watching {}.", printable(name)),
                format!("{} を観測しています。", printable(name)),
            ));
        })?,
        None => files(&task, &args.files)?,
    };
    for (path, error) in &done.unread {
        eprintln!("chartward: {}: {}", printable(&path.display().to_string()), printable(error));
    }
    tell(&done, output, lang)?;
    Ok(ExitCode::from(u8::from(!done.unread.is_empty())))
}

fn tell(done: &Observed, output: Output, lang: schema::Lang) -> anyhow::Result<()> {
    let Observed { packets, lost, elsewhere, days, seconds, .. } = done;
    output.line(&json!({
        "type": "summary", "packets": packets, "lost": lost, "elsewhere": elsewhere, "days": days, "seconds": seconds,
    }))?;
    output.say(lang.pick(
        format!("{packets} packets, {lost} lost or unreadable, {elsewhere} to other addresses; {days} days written in {seconds:.1} s"),
        format!("パケット {packets} 個（欠落・読めなかったもの {lost} 個、観測対象外 {elsewhere} 個）、{days} 日分を {seconds:.1} 秒で記録しました"),
    ));
    Ok(())
}

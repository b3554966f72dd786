//! `chartward reconnect HOST`: only after its store was captured and proven anew.

use std::path::PathBuf;
use std::process::ExitCode;

use super::lang::LangArgs;
use crate::hub::Command as Ask;
use crate::output::Output;

/// Let an isolated host back, once its store was rescanned and proven
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or address of the host
    host: String,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = super::state_dir(args.state)?;
    super::act::tell(&folder, Ask::Reconnect { host: args.host }, args.lang.lang(), Output::new(args.json))
}

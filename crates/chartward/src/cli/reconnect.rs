//! `chartward reconnect HOST`: only after its store was captured and proven anew.

use std::process::ExitCode;

use super::hub_args::HubArgs;
use crate::hub::Command as Ask;

/// Let an isolated host back, once its store was rescanned and proven
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or address of the host
    host: String,
    #[command(flatten)]
    common: HubArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let common = args.common;
    super::act::tell(&common.folder()?, Ask::Reconnect { host: args.host }, common.lang(), common.output())
}

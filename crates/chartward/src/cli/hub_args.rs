use std::path::PathBuf;

use schema::Lang;

use super::lang::LangArgs;
use crate::output::Output;

/// What everything takes that is asked of the hub, or of the state that it keeps.
#[derive(clap::Args)]
pub(crate) struct HubArgs {
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

impl HubArgs {
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        super::state_dir(self.state.clone())
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang.lang()
    }

    pub(crate) fn output(&self) -> Output {
        Output::new(self.json)
    }
}

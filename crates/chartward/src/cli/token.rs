//! `chartward token`: keys for programs that read metrics or ask the API.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::SignedDuration;

use super::user::{Common, RoleArg};
use crate::output::Output;

#[derive(clap::Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a token and print it once
    Add {
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArg,
        /// For how many days it is good, at most 366
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=366))]
        days: i64,
        #[command(flatten)]
        common: Common,
    },
    /// List the tokens without their text
    List(Common),
    /// Take a token back
    Revoke {
        /// Its number, as listed
        id: i64,
        #[command(flatten)]
        common: Common,
    },
}

pub(crate) fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Add { name, role, days, common } => {
            let local = common.open()?;
            let lasts = SignedDuration::from_hours(24 * days);
            let token = local.access.make_token(&local.who, &name, role.into(), lasts, local.now)?;
            let (text, expires_at) = (token.text.text(), token.expires_at.to_string());
            local
                .output
                .line(&serde_json::json!({ "type": "token", "token": text, "expires_at": expires_at }))?;
            if local.output == Output::People {
                local.output.say(format_args!("{text}\nShown once; good until {expires_at}."));
            }
        }
        What::List(common) => {
            let local = common.open()?;
            for token in local.access.tokens(&local.who)? {
                local.output.line(&token)?;
                let state = match (token.revoked_at, token.expires_at) {
                    (Some(_), _) => "revoked",
                    (None, Some(end)) if local.now < end => "good",
                    _ => "expired",
                };
                let role = token.role.name();
                local.output.say(format_args!(
                    "{:>4}  {:<9} {state:<8} {} (by {})",
                    token.id, role, token.name, token.created_by
                ));
            }
        }
        What::Revoke { id, common } => {
            let local = common.open()?;
            local.access.revoke_token(&local.who, id, local.now)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

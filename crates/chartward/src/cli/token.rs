//! `chartward token`: keys for programs that read metrics or ask the API.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use prove::state::accounts::TokenRow;

use super::user::{Common, RoleArg};
use crate::access::desk::{Errand, Ran};
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
    let (errand, common) = match args.what {
        What::Add { name, role, days, common } => {
            (Errand::MakeToken { name, role: role.into(), days }, common)
        }
        What::List(common) => (Errand::Tokens, common),
        What::Revoke { id, common } => (Errand::RevokeToken { id }, common),
    };
    let (ran, output) = common.run(errand)?;
    match ran {
        Ran::Token { text, expires_at } => {
            let expires_at = expires_at.to_string();
            output.line(&serde_json::json!({ "type": "token", "token": text, "expires_at": expires_at }))?;
            if output == Output::People {
                output.say(format_args!("{text}\nShown once; good until {expires_at}."));
            }
        }
        Ran::Tokens(tokens) => tokens.iter().try_for_each(|token| show(token, output))?,
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn show(token: &TokenRow, output: Output) -> anyhow::Result<()> {
    output.line(token)?;
    let state = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if Timestamp::now() < end => "good",
        _ => "expired",
    };
    let TokenRow { id, name, role, created_by, .. } = token;
    output.say(format_args!("{id:>4}  {:<9} {state:<8} {name} (by {created_by})", role.name()));
    Ok(())
}

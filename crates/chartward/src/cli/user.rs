//! `chartward user`: accounts, handled at the machine itself. Whoever may write into the state folder may do this;
//! it is the way back in when the last administrator is lost.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use prove::{Ledger, State};
use schema::Lang;

use super::state_dir;
use crate::access::desk::{self, Errand, Ran};
use crate::access::{Access, Account, Audit, Role, Settings, open_sealed};
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the accounts
    List(Common),
    /// Make an account and print the code with which its owner chooses a password
    Add {
        /// The account's name
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArg,
        /// The language of its pages: ja or en
        #[arg(long, default_value = "ja")]
        lang: String,
        #[command(flatten)]
        common: Common,
    },
    /// Take password, second factor and sessions away and print a new code, also for the last administrator
    Reset {
        /// The account's name
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Disable an account and end its sessions
    Disable {
        /// The account's name
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Let a disabled account be used again
    Enable {
        /// The account's name
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Give an account another role
    Role {
        /// The account's name
        name: String,
        /// What it may do
        #[arg(value_enum)]
        role: RoleArg,
        #[command(flatten)]
        common: Common,
    },
}

/// A role as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleArg {
    Viewer,
    Operator,
    Clinician,
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Role::Viewer,
            RoleArg::Operator => Role::Operator,
            RoleArg::Clinician => Role::Clinician,
            RoleArg::Admin => Role::Admin,
        }
    }
}

/// What `user`, `secret` and `token` share.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Common {
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

impl Common {
    /// Runs an errand, by the hub where one runs. Every change is in the ledger before the command ends.
    pub(super) fn run(self, errand: Errand) -> anyhow::Result<(Ran, Output)> {
        let dir = state_dir(self.state)?;
        let ran = match desk::ask(&dir, errand)? {
            Ok(ran) => ran,
            Err(errand) => desk::run(&open(&dir)?, errand, Timestamp::now()),
        };
        match ran {
            Ran::Refused { en, .. } => anyhow::bail!(printable(&en)),
            ran => Ok((ran, Output::new(self.json))),
        }
    }
}

fn open(dir: &Path) -> anyhow::Result<Access> {
    let now = Timestamp::now();
    let sealed = open_sealed(dir)?;
    let state = State::open(dir, now)?;
    let ledger = Ledger::open(dir, now)?;
    let auditor = move |fact: &Audit| {
        if let Err(error) = ledger.append(fact.into(), now) {
            eprintln!("chartward: this was not recorded in the ledger: {}", printable(&error.to_string()));
        }
    };
    Ok(Access::open(state, sealed, Settings::new("", true), Arc::new(auditor))?)
}

pub(crate) fn run(args: UserArgs) -> anyhow::Result<ExitCode> {
    let (errand, common, about) = match args.what {
        What::List(common) => (Errand::Users, common, String::new()),
        What::Add { name, role, lang, common } => {
            let lang = if lang == "en" { Lang::En } else { Lang::Ja };
            (Errand::AddUser { name: name.clone(), role: role.into(), lang }, common, name)
        }
        What::Reset { name, common } => (Errand::ResetUser { name: name.clone() }, common, name),
        What::Disable { name, common } => (Errand::DisableUser { name: name.clone() }, common, name),
        What::Enable { name, common } => (Errand::EnableUser { name: name.clone() }, common, name),
        What::Role { name, role, common } => {
            (Errand::SetRole { name: name.clone(), role: role.into() }, common, name)
        }
    };
    let (ran, output) = common.run(errand)?;
    match ran {
        Ran::Users(users) => users.iter().try_for_each(|user| show(user, output))?,
        Ran::Code { text, expires_at } => show_code(&about, &text, expires_at, output)?,
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn show(account: &Account, output: Output) -> anyhow::Result<()> {
    output.line(account)?;
    let state = match (account.disabled_at, account.invited, account.must_set_up_totp()) {
        (Some(_), _, _) => "disabled",
        (_, true, _) => "invited",
        (_, _, true) => "second factor missing",
        _ => "active",
    };
    output.say(format_args!("{:<32} {:<9} {state}", account.name, account.role.name()));
    Ok(())
}

fn show_code(name: &str, code: &str, expires_at: Timestamp, output: Output) -> anyhow::Result<()> {
    let line = serde_json::json!({
        "type": "code", "user": name, "code": code, "expires_at": expires_at.to_string(),
    });
    output.line(&line).context("cannot print the code")?;
    if output == Output::People {
        output.say(format_args!(
            "Code for {name}, good once until {expires_at}: {code}\nIts owner types it on the console's log-in page \
             and chooses a password."
        ));
    }
    Ok(())
}

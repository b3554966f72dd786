//! `chartward user`: accounts, handled at the machine itself. Whoever may write into the state folder may do this;
//! it is the way back in when the last administrator is lost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use prove::{Ledger, State};
use schema::Lang;

use super::state_dir;
use crate::access::{Access, Audit, Code, Role, Settings, Who, open_sealed};
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
    /// State folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// The door as opened at the machine itself.
pub(super) struct Local {
    pub(super) access: Access,
    pub(super) who: Who,
    pub(super) now: Timestamp,
    pub(super) output: Output,
}

impl Common {
    /// Opens the state folder; every change is in its ledger before the command ends.
    pub(super) fn open(self) -> anyhow::Result<Local> {
        let dir = state_dir(self.state)?;
        let now = Timestamp::now();
        let sealed = open_sealed(&dir)?;
        let state = State::open(&dir, now)?;
        let ledger = Ledger::open(&dir, now)?;
        let auditor = move |fact: &Audit| {
            if let Err(error) = ledger.append(fact.into(), now) {
                eprintln!(
                    "chartward: this was not recorded in the ledger: {}",
                    printable(&error.to_string())
                );
            }
        };
        let access = Access::open(state, sealed, Settings::new("", true), Arc::new(auditor))?;
        Ok(Local { access, who: Who::local(), now, output: Output::new(self.json) })
    }
}

pub(crate) fn run(args: UserArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::List(common) => list(&common.open()?)?,
        What::Add { name, role, lang, common } => {
            let local = common.open()?;
            let lang = if lang == "en" { Lang::En } else { Lang::Ja };
            let code = local.access.add_user(&local.who, &name, role.into(), lang, local.now)?;
            show(&local, &name, &code)?;
        }
        What::Reset { name, common } => {
            let local = common.open()?;
            let code = local.access.reset(&local.who, &name, local.now)?;
            show(&local, &name, &code)?;
        }
        What::Disable { name, common } => {
            let local = common.open()?;
            local.access.disable(&local.who, &name, local.now)?;
        }
        What::Enable { name, common } => {
            let local = common.open()?;
            local.access.enable(&local.who, &name, local.now)?;
        }
        What::Role { name, role, common } => {
            let local = common.open()?;
            local.access.set_role(&local.who, &name, role.into(), local.now)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(local: &Local) -> anyhow::Result<()> {
    for account in local.access.users(&local.who, local.now)? {
        local.output.line(&account)?;
        let state = match (account.disabled_at, account.invited, account.must_set_up_totp()) {
            (Some(_), _, _) => "disabled",
            (_, true, _) => "invited",
            (_, _, true) => "second factor missing",
            _ => "active",
        };
        local.output.say(format_args!("{:<32} {:<9} {state}", account.name, account.role.name()));
    }
    Ok(())
}

fn show(local: &Local, name: &str, code: &Code) -> anyhow::Result<()> {
    let expires_at = code.expires_at;
    let line = serde_json::json!({
        "type": "code", "user": name, "code": code.code.text(), "expires_at": expires_at.to_string(),
    });
    local.output.line(&line).context("cannot print the code")?;
    if local.output == Output::People {
        local.output.say(format_args!(
            "Code for {name}, good once until {expires_at}: {}\nIts owner types it on the console's log-in page \
             and chooses a password.",
            code.code.text()
        ));
    }
    Ok(())
}

//! Scripts for Windows, where nothing of ours is installed: made here, read by a person, run by that person.
//!
//! **Not tested on Windows.** Each says so in its first line. They are held to what can be checked elsewhere: a parser of the
//! language takes them, and whatever comes from a log stays a text in them ([`quote`]).
//!
//! Invariants: a script is plain ASCII, so that no code page reads another quotation mark into it; what it blocks it never takes from
//! the allow-list; it registers the end before it blocks anything; it disables no account.

mod block;
mod logoff;
pub mod quote;

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{Error, NeverTouch};

/// What stands in the first line of each script, in the docs and in what the command says.
pub const NOT_TESTED: &str = "NOT TESTED ON WINDOWS";
/// Addresses that one script blocks; more belong into a device that is made for it.
pub const ADDRESSES_MAX: usize = 10_000;
/// Accounts that one script logs off.
pub const ACCOUNTS_MAX: usize = 200;

/// A rotation of firewall rules: these addresses are blocked, whatever an earlier script blocked no longer is.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// Single addresses.
    pub addresses: &'a [IpAddr],
    /// How long.
    pub lasts: Duration,
    /// When the script is made; the end is counted from here.
    pub now: Timestamp,
}

/// A log-off of sessions that stand.
#[derive(Debug, Clone)]
pub struct Logoff<'a> {
    /// Account names without a domain, as `quser` shows them.
    pub accounts: &'a [String],
    /// When the script is made.
    pub now: Timestamp,
}

/// The script that blocks, with its own undo (`-Undo`).
///
/// An error when an address is on the never-touch list, when that list is empty, and when there is nothing to block.
pub fn block(what: &Block<'_>, never: &NeverTouch) -> Result<String, Error> {
    if !never.has_allow_list() {
        return Err(Error::NoAllowList);
    }
    if what.addresses.is_empty() || what.addresses.len() > ADDRESSES_MAX {
        return Err(Error::ScriptSize { what: "addresses", max: ADDRESSES_MAX });
    }
    for address in what.addresses {
        if let Some(entry) = never.forbids(&schema::Act::BlockAddress { address: *address }) {
            return Err(Error::NeverTouch { entry });
        }
    }
    let spared = never.spared.addresses().into_iter().map(IpNet::from);
    let allowed: Vec<IpNet> = never.networks().chain(spared).collect();
    Ok(block::script(what, &IpNet::aggregate(&allowed)))
}

/// The script that logs off. An error when a name cannot be written so that whoever reads it sees what it is.
pub fn logoff(what: &Logoff<'_>) -> Result<String, Error> {
    if what.accounts.is_empty() || what.accounts.len() > ACCOUNTS_MAX {
        return Err(Error::ScriptSize { what: "accounts", max: ACCOUNTS_MAX });
    }
    let quoted = what.accounts.iter().map(|name| quote::quoted(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(logoff::script(what, &quoted))
}

/// The lines above everything else.
fn head(text: &mut String, what: &str, now: Timestamp, words: &[&str]) {
    let _ = writeln!(text, "# {NOT_TESTED}. Read it before you run it; run it on one machine first.");
    let _ = writeln!(text, "# {what} Made by chartward, {now}.");
    for line in words {
        let _ = writeln!(text, "# {line}");
    }
    text.push_str("#Requires -Version 5.1\n#Requires -RunAsAdministrator\n");
}

/// A list of texts as an array, one a line.
fn array(text: &mut String, name: &str, quoted: impl Iterator<Item = String>) {
    let _ = writeln!(text, "${name} = @(");
    let lines: Vec<String> = quoted.map(|line| format!("    {line}")).collect();
    text.push_str(&lines.join(",\n"));
    text.push_str("\n)\n");
}

#[cfg(test)]
mod tests;

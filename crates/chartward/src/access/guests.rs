//! The accounts of a hub as a program sees them that must not write into its state: the downtime viewer.
//!
//! They are read from the hub's database, and, where that cannot be read any more, from a sealed copy that was made
//! when it last could. A one-time code is used once for each run of the program, since its use cannot be written
//! down; recovery codes are refused for the same reason.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prove::State;
use prove::state::accounts::User;
use serde::{Deserialize, Serialize};

use super::limits::{Delay, Limits};
use super::password::{Cost, Hasher, Lane};
use super::role::needs_totp;
use super::text::read_code;
use super::{Denied, Error, Permission, Role, Sealed, Why, may, totp};

const PURPOSE: &str = "copy of the accounts";
/// No hospital has more accounts than fit.
const COPY_MAX: u64 = 64 << 20;

/// The hub's accounts, to be looked at.
pub(crate) struct Guests {
    state: PathBuf,
    copy: PathBuf,
    sealed: Sealed,
    hasher: Hasher,
    limits: Limits,
    /// The newest one-time code of each account that was used here.
    used: Mutex<HashMap<String, u64>>,
}

/// What is copied of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    name: String,
    role: Role,
    password: String,
    totp: Option<String>,
    totp_last_step: u64,
    is_disabled: bool,
    failures: u32,
    locked_until: Option<Timestamp>,
}

impl Guests {
    /// The accounts of a state folder; `None` where it has neither a database nor a copy. The copy lies in `folder`.
    pub(crate) fn open(state: &Path, folder: &Path) -> Result<Option<Guests>, Error> {
        let copy = folder.join("accounts.sealed");
        if !state.join(prove::state::FILE_NAME).exists() && !copy.exists() {
            return Ok(None);
        }
        Ok(Some(Guests {
            state: state.to_owned(),
            copy,
            sealed: super::open_sealed(state)?,
            hasher: Hasher::new(Cost::default())?,
            limits: Limits::default(),
            used: Mutex::default(),
        }))
    }

    /// Whether anybody can read charts with an account of their own.
    pub(crate) fn has_readers(&self) -> bool {
        let can_enter =
            |row: &Row| !row.is_disabled && !row.password.is_empty() && may(row.role, Permission::ReadCharts);
        self.rows().iter().any(can_enter)
    }

    /// The role of an account that may still read charts.
    pub(crate) fn reader(&self, name: &str) -> Option<Role> {
        let row = self.rows().into_iter().find(|row| row.name == name && !row.is_disabled)?;
        may(row.role, Permission::ReadCharts).then_some(row.role)
    }

    /// Checks name, password and one-time code, and that the role may read charts. What is refused says no more than
    /// the hub's own door does.
    pub(crate) fn log_in(
        &self,
        name: &str,
        password: &str,
        code: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(String, Role), Denied> {
        let name = super::user::folded(name);
        self.limits.take(address, now).map_err(Denied::limited)?;
        let look = || {
            let row = self.rows().into_iter().find(|row| row.name == name);
            // A delay that the hub gave counts here, too; those that are given here are remembered by the name.
            let strangers = row.as_ref().filter(|row| row.locked_until.is_some());
            let strangers = strangers.map(|row| Delay { failures: row.failures, until: row.locked_until });
            match self.limits.delay(&name, address, strangers).left(now) {
                Some(wait) => Err(Denied::limited(wait)),
                None => Ok(row),
            }
        };
        fn stored(row: &Option<Row>) -> Option<&str> {
            let row = row.as_ref().filter(|row| !row.is_disabled && !row.password.is_empty())?;
            Some(&row.password)
        }
        let lane = if self.limits.is_place_known(address) { Lane::Known } else { Lane::Stranger };
        let (row, is_right) = self.hasher.verify(password, lane, look, stored)?;
        let row = row.filter(|row| is_right && self.is_code_right(row, code, now));
        let Some(row) = row else {
            self.limits.fail(&name, address, false, now);
            return Err(Denied::credentials());
        };
        self.limits.give_back(address);
        self.limits.welcome(&row.name, address);
        if needs_totp(row.role) && row.totp.is_none() {
            return Err(Denied::new(
                Why::TotpNeeded,
                "this account has no one-time codes yet; set them up in the console, or use the emergency access",
                "このアカウントには確認コード（二要素認証）が設定されていません。管理画面で設定するか、緊急アクセスを使用してください。",
            ));
        }
        if !may(row.role, Permission::ReadCharts) {
            return Err(Denied::new(
                Why::Role,
                "your role does not include reading charts; in an emergency use the emergency access",
                "カルテを閲覧する権限がありません。緊急の場合は緊急アクセスを使用してください。",
            ));
        }
        Ok((row.name, row.role))
    }

    fn is_code_right(&self, row: &Row, typed: &str, now: Timestamp) -> bool {
        let Some(sealed) = &row.totp else { return true };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.get(&row.name).copied().unwrap_or(0).max(row.totp_last_step);
        let step = read_code(typed).and_then(|typed| {
            let secret = self.sealed.unseal(&super::second::purpose(&row.name), sealed)?;
            totp::matching_step(&secret, &typed, last, now)
        });
        step.is_some_and(|step| used.insert(row.name.clone(), step).is_none_or(|before| before < step))
    }

    /// The accounts as they are now, or as they were when the database could last be read.
    fn rows(&self) -> Vec<Row> {
        let users = State::open_read(&self.state).and_then(|state| state.users());
        match users {
            Ok(users) => {
                let rows: Vec<Row> = users.into_iter().map(row).collect();
                if self.copied().as_ref() != Some(&rows) && self.keep(&rows).is_err() {
                    // The hub's database is there; the copy is for the day when it is not.
                    eprintln!("chartward: cannot keep a copy of the accounts in {}", self.copy.display());
                }
                rows
            }
            Err(_) => self.copied().unwrap_or_default(),
        }
    }

    fn copied(&self) -> Option<Vec<Row>> {
        if fs::metadata(&self.copy).ok()?.len() > COPY_MAX {
            return None;
        }
        let text = self.sealed.unseal(PURPOSE, &fs::read_to_string(&self.copy).ok()?)?;
        serde_json::from_slice(&text).ok()
    }

    fn keep(&self, rows: &[Row]) -> Result<(), Error> {
        let failed = || Error::file("write", &self.copy);
        let text = zeroize::Zeroizing::new(serde_json::to_vec(rows).map_err(|error| failed()(error.into()))?);
        let sealed = self.sealed.seal(PURPOSE, &text)?;
        let unfinished = self.copy.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        file.and_then(|mut file| file.write_all(sealed.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, &self.copy))
            .map_err(failed())
    }
}

fn row(user: User) -> Row {
    Row {
        name: user.name,
        role: user.role,
        password: user.password,
        totp: user.totp,
        totp_last_step: user.totp_last_step,
        is_disabled: user.disabled_at.is_some(),
        failures: user.failures,
        locked_until: user.locked_until,
    }
}

//! Passwords: which ones are taken, and their argon2id hashes, of which at most two are computed at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use jiff::SignedDuration;
use schema::Lang;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{Denied, Error, Why, random};

mod common;

/// Characters of the shortest password, after NFKC.
const LENGTH_MIN: usize = 12;
/// Bytes of the longest one: beyond it nothing is normalised or hashed.
const BYTES_MAX: usize = 1024;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Memory.
    pub(crate) kib: u32,
    /// Passes over it.
    pub(crate) passes: u32,
}

impl Default for Cost {
    /// The OWASP Password Storage Cheat Sheet's first choice: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { kib: 19 * 1024, passes: 2 }
    }
}

/// Who waits for a hash. One of the two slots is closed to strangers, so that a flood of log-ins from everywhere
/// leaves one to those who are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Stranger,
    Known,
}

pub(super) struct Hasher {
    params: Params,
    /// The hash of nothing that anybody knows, computed against where there is no account.
    dummy: String,
    slots: Slots,
    #[cfg(test)]
    computed: std::sync::atomic::AtomicU32,
}

impl Hasher {
    pub(super) fn new(cost: Cost) -> Result<Self, Error> {
        let params =
            Params::new(cost.kib, cost.passes, 1, None).map_err(|why| Error::Hash(why.to_string()))?;
        let unknown = Zeroizing::new(hex::encode(random::<32>()?));
        let mut hasher = Self {
            params,
            dummy: String::new(),
            slots: Slots::default(),
            #[cfg(test)]
            computed: Default::default(),
        };
        hasher.dummy = hasher.hash_now(&unknown)?;
        Ok(hasher)
    }

    /// The hash of a new password, with a salt of its own.
    pub(super) fn hash(&self, password: &str, lane: Lane) -> Result<String, Denied> {
        let _slot = self.slots.wait(lane)?;
        Ok(self.hash_now(password)?)
    }

    /// Waits for a slot, looks at the account and compares. `look` runs once the slot is held, so that tries made
    /// at the same time see each other's failures.
    pub(super) fn verify<T>(
        &self,
        password: &str,
        lane: Lane,
        look: impl FnOnce() -> Result<T, Denied>,
        stored: impl FnOnce(&T) -> Option<&str>,
    ) -> Result<(T, bool), Denied> {
        let _slot = self.slots.wait(lane)?;
        let found = look()?;
        let is_right = self.compare(password, stored(&found));
        Ok((found, is_right))
    }

    /// Comparisons so far: what a log-in costs must not depend on who it is.
    #[cfg(test)]
    pub(super) fn computed(&self) -> u32 {
        self.computed.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The hash at today's cost where the stored one was cheaper. The password is known to be right.
    pub(super) fn stronger(&self, password: &str, stored: &str) -> Result<Option<String>, Denied> {
        let then = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        let is_cheap = then
            .is_some_and(|then| then.m_cost() < self.params.m_cost() || then.t_cost() < self.params.t_cost());
        match normal(password) {
            Some(password) if is_cheap => self.hash(&password, Lane::Known).map(Some),
            _ => Ok(None),
        }
    }

    fn hash_now(&self, password: &str) -> Result<String, Error> {
        let salt = random::<16>()?;
        let hash: PasswordHash = self
            .argon2()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|why| Error::Hash(why.to_string()))?;
        Ok(hash.to_string())
    }

    /// One computation whatever `stored` is: of the dummy where there is nothing to compare with.
    fn compare(&self, typed: &str, stored: Option<&str>) -> bool {
        let typed = normal(typed).unwrap_or_default();
        let parsed = stored.and_then(|stored| PasswordHash::new(stored).ok());
        let (hash, is_real) = match (parsed, PasswordHash::new(&self.dummy)) {
            (Some(hash), _) => (hash, true),
            (None, Ok(dummy)) => (dummy, false),
            (None, Err(_)) => return false,
        };
        #[cfg(test)]
        self.computed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let matches = self.argon2().verify_password(typed.as_bytes(), &hash).is_ok();
        matches && is_real
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }
}

/// NFKC, so that the same password typed with full-width letters or another input method is the same.
fn normal(typed: &str) -> Option<Zeroizing<String>> {
    if typed.len() > BYTES_MAX {
        return None;
    }
    let normal = Zeroizing::new(typed.nfkc().collect::<String>());
    (normal.len() <= BYTES_MAX).then_some(normal)
}

/// The normal form of a password that may be chosen by this account.
pub(super) fn acceptable(typed: &str, user: &str, hospital: &str) -> Result<Zeroizing<String>, Denied> {
    let refuse = |en: &str, ja: &str| Err(Denied::new(Why::Input, en, ja));
    let Some(normal) = normal(typed) else {
        return refuse(
            "the password is longer than 1024 bytes",
            "パスワードが長すぎます（1024バイトまで）。",
        );
    };
    if normal.chars().count() < LENGTH_MIN {
        return refuse(
            "the password needs at least 12 characters; several unrelated words make a good one",
            "パスワードは12文字以上にしてください。関係のない単語をいくつか並べると安全です。",
        );
    }
    if normal.chars().any(char::is_control) {
        return refuse(
            "the password holds a control character",
            "パスワードに使用できない文字が含まれています。",
        );
    }
    if common::is_name(&normal, user) || common::is_name(&normal, hospital) {
        return refuse(
            "the password is the name of the account or of the hospital",
            "ユーザー名や施設名をパスワードにすることはできません。",
        );
    }
    if common::is_common(&normal) {
        return refuse(
            "the password is among the first that attackers try; several unrelated words make a good one",
            "推測されやすいパスワードです。関係のない単語をいくつか並べると安全です。",
        );
    }
    Ok(normal)
}

/// Whether a passphrase is found by somebody who holds what it protects and tries as long as they like.
pub(crate) fn is_soon_guessed(typed: &str) -> bool {
    const LENGTH_OFFLINE_MIN: usize = 16;
    normal(typed).is_none_or(|it| it.chars().count() < LENGTH_OFFLINE_MIN || common::is_common(&it))
}

/// What the page says about passwords before one is typed.
pub(crate) fn password_rule(lang: Lang) -> &'static str {
    lang.pick(
        "At least 12 characters; not a common password, the account's or the hospital's name. Several unrelated words make a good one.",
        "12文字以上。よく使われるもの、ユーザー名、施設名は使えません。関係のない単語をいくつか並べると安全です。",
    )
}

/// At most two computations at once (38 MiB), at most one of them for strangers; the rest wait for a moment.
#[derive(Default)]
struct Slots {
    busy: Mutex<Busy>,
    freed: Condvar,
}

#[derive(Default)]
struct Busy {
    running: u32,
    strangers: u32,
    waiting_strangers: u32,
    waiting_known: u32,
}

const RUNNING_MAX: u32 = 2;
const STRANGERS_MAX: u32 = 1;
const WAITING_MAX: u32 = 16;
const WAIT: Duration = Duration::from_secs(3);

struct Slot<'a>(&'a Slots, Lane);

impl Slots {
    fn wait(&self, lane: Lane) -> Result<Slot<'_>, Denied> {
        let until = Instant::now() + WAIT;
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if *busy.waiting(lane) >= WAITING_MAX {
            return Err(Denied::limited(SignedDuration::from_secs(5)));
        }
        *busy.waiting(lane) += 1;
        while !busy.has_room(lane) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *busy.waiting(lane) -= 1;
                return Err(Denied::limited(SignedDuration::from_secs(5)));
            }
            busy = self.freed.wait_timeout(busy, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *busy.waiting(lane) -= 1;
        busy.running += 1;
        busy.strangers += u32::from(lane == Lane::Stranger);
        Ok(Slot(self, lane))
    }
}

impl Busy {
    fn waiting(&mut self, lane: Lane) -> &mut u32 {
        match lane {
            Lane::Stranger => &mut self.waiting_strangers,
            Lane::Known => &mut self.waiting_known,
        }
    }

    fn has_room(&self, lane: Lane) -> bool {
        self.running < RUNNING_MAX && (lane == Lane::Known || self.strangers < STRANGERS_MAX)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.running -= 1;
        busy.strangers -= u32::from(self.1 == Lane::Stranger);
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests;

//! Accounts as administrators handle them.

use jiff::Timestamp;
use prove::state::accounts::{Changed, User};
use schema::Lang;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::role::needs_totp;
use super::session::Session;
use super::{Access, Audit, Code, Denied, Permission, Role, Who, Why};

const NAME_MAX: usize = 32;
/// Who acts at the machine itself, with the right to write into the state folder.
pub(super) const LOCAL: &str = "local";

impl Who {
    /// Whoever may write into the state folder: they could change the database anyway, but here it is recorded.
    pub(crate) fn local() -> Self {
        Self {
            name: LOCAL.to_owned(),
            role: Role::Admin,
            fresh_until: Some(Timestamp::MAX),
            must_set_up_totp: false,
        }
    }

    fn is_local(&self) -> bool {
        self.name == LOCAL
    }
}

/// An account as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
    /// The language of its pages.
    pub(crate) lang: Lang,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// Since when it cannot be used.
    pub(crate) disabled_at: Option<Timestamp>,
    /// Whether its owner is yet to choose a password.
    pub(crate) invited: bool,
    /// Whether a second factor is set up.
    pub(crate) totp: bool,
    /// Until when log-ins from places where it was not used before are refused.
    pub(crate) locked_until: Option<Timestamp>,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            role: user.role,
            lang: user.lang,
            created_at: user.created_at,
            disabled_at: user.disabled_at,
            invited: user.password.is_empty(),
            totp: user.totp.is_some(),
            locked_until: user.locked_until,
        }
    }
}

impl Account {
    /// Whether it can do nothing until its owner has set up a second factor.
    pub(crate) fn must_set_up_totp(&self) -> bool {
        needs_totp(self.role) && !self.totp
    }
}

impl Access {
    /// All accounts by name.
    pub(crate) fn users(&self, who: &Who, now: Timestamp) -> Result<Vec<Account>, Denied> {
        // Looking is not changing: no fresh log-in for the list.
        if !who.may(Permission::Users) {
            self.require(who, Permission::Users, "", now)?;
        }
        Ok(self.0.state.users()?.into_iter().map(Account::from).collect())
    }

    /// Makes an account; its owner chooses the password with the code.
    pub(crate) fn add_user(
        &self,
        who: &Who,
        name: &str,
        role: Role,
        lang: Lang,
        now: Timestamp,
    ) -> Result<Code, Denied> {
        self.require(who, Permission::Users, "", now)?;
        let name = new_name(name)?;
        let (code, invitation) = Code::draw(Some(&name), now)?;
        if !self.0.state.invite_user(&name, role, lang, &invitation, now)? {
            return Err(Denied::new(
                Why::Input,
                "there is an account of that name already",
                "同じ名前のアカウントがすでにあります。",
            ));
        }
        self.audit(Audit::of(who, "add_user", &format!("{name} ({})", role.name()), true, now));
        Ok(code)
    }

    /// Takes password, second factor and sessions away; the owner begins anew with the code. The last
    /// administrator can be reset only at the machine itself.
    pub(crate) fn reset(&self, who: &Who, name: &str, now: Timestamp) -> Result<Code, Denied> {
        self.require(who, Permission::Users, name, now)?;
        let (code, invitation) = Code::draw(Some(name), now)?;
        let changed = self.0.state.reset_user(name, &invitation, who.is_local())?;
        self.changed(who, "reset_user", name, changed, now)?;
        Ok(code)
    }

    /// Disables an account and ends its sessions. It is never deleted: the ledger names it.
    pub(crate) fn disable(&self, who: &Who, name: &str, now: Timestamp) -> Result<(), Denied> {
        self.require(who, Permission::Users, name, now)?;
        let changed = self.0.state.disable_user(name, Some(now))?;
        self.changed(who, "disable_user", name, changed, now)
    }

    /// Lets a disabled account be used again, with the password and second factor that it had.
    pub(crate) fn enable(&self, who: &Who, name: &str, now: Timestamp) -> Result<(), Denied> {
        self.require(who, Permission::Users, name, now)?;
        let changed = self.0.state.disable_user(name, None)?;
        self.changed(who, "enable_user", name, changed, now)
    }

    /// Gives an account another role; its sessions end, so that the next one is of that role.
    pub(crate) fn set_role(&self, who: &Who, name: &str, role: Role, now: Timestamp) -> Result<(), Denied> {
        self.require(who, Permission::Users, name, now)?;
        let changed = self.0.state.set_user_role(name, role)?;
        self.changed(who, "set_role", &format!("{name} ({})", role.name()), changed, now)
    }

    /// The language of one's own pages.
    pub(crate) fn set_lang(&self, session: &Session, lang: Lang) -> Result<(), Denied> {
        Ok(self.0.state.set_user_lang(&session.user, lang)?)
    }

    fn changed(
        &self,
        who: &Who,
        what: &str,
        object: &str,
        changed: Changed,
        now: Timestamp,
    ) -> Result<(), Denied> {
        self.audit(Audit::of(who, what, object, changed == Changed::Done, now));
        match changed {
            Changed::Done => Ok(()),
            Changed::NoSuchUser => Err(Denied::no_such_user()),
            Changed::LastAdmin => Err(Denied::last_admin()),
        }
    }
}

/// A name as it is looked for: full-width letters and capitals are the same. What can be no account's name
/// becomes the empty one, which nobody has.
pub(super) fn folded(typed: &str) -> String {
    if typed.len() > 4 * NAME_MAX {
        return String::new();
    }
    let name: String = typed.trim().nfkc().flat_map(char::to_lowercase).collect();
    if is_name(&name) { name } else { String::new() }
}

/// The name of a new account. Letters that look alike in several scripts are left out.
pub(super) fn new_name(typed: &str) -> Result<String, Denied> {
    let name = folded(typed);
    if name.is_empty() || name == LOCAL {
        return Err(Denied::new(
            Why::Input,
            "a name has 1 to 32 of a-z, 0-9, dot, hyphen and underscore, begins with a letter and is not \"local\"",
            "ユーザー名は英小文字で始まる1～32文字（a-z、0-9、.、-、_）で入力してください。「local」は使用できません。",
        ));
    }
    Ok(name)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

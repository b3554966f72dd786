//! API tokens: `cw_` and 256 random bits, for programs that read metrics or ask the API.

use jiff::{SignedDuration, Timestamp};
use prove::state::accounts::TokenRow;

use super::text::{Shown, draw_key, fingerprint, is_key};
use super::{Access, Audit, Denied, Permission, Role, Who, Why, covers};

const PREFIX: &str = "cw_";
const NAME_MAX: usize = 64;
/// The longest life of a token.
pub(crate) const TOKEN_DAYS_MAX: i64 = 366;
const NOTED: SignedDuration = SignedDuration::from_mins(1);

/// A token that was just made; its text is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewToken {
    /// `cw_…`.
    pub(crate) text: Shown,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

impl Access {
    /// Makes a token whose role includes nothing that its maker's does not.
    pub(crate) fn make_token(
        &self,
        who: &Who,
        name: &str,
        role: Role,
        lasts: SignedDuration,
        now: Timestamp,
    ) -> Result<NewToken, Denied> {
        self.require(who, Permission::Tokens, name, now)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(Denied::new(
                Why::Input,
                "a token's name has 1 to 64 characters",
                "トークン名は1～64文字で入力してください。",
            ));
        }
        if !lasts.is_positive() || lasts > SignedDuration::from_hours(24 * TOKEN_DAYS_MAX) {
            return Err(Denied::new(
                Why::Input,
                "a token lasts at most 366 days",
                "トークンの有効期間は最長366日です。",
            ));
        }
        if !covers(who.role, role) {
            self.audit(Audit::of(who, "make_token", role.name(), false, now));
            return Err(Denied::new(
                Why::Role,
                "a token cannot do more than the account that makes it",
                "発行者の権限を超えるトークンは発行できません。",
            ));
        }
        let key = draw_key()?;
        let text = Shown::new(format!("{PREFIX}{}", key.text()));
        let expires_at = now + lasts;
        let row = TokenRow {
            id: 0,
            name: name.to_owned(),
            role,
            created_by: who.name.clone(),
            created_at: now,
            expires_at: Some(expires_at),
            used_at: None,
            revoked_at: None,
        };
        self.0.state.add_token(&row, &fingerprint("token", key.text()))?;
        self.audit(Audit::of(who, "make_token", &format!("{name} ({})", role.name()), true, now));
        Ok(NewToken { text, expires_at })
    }

    /// Who holds the token in an `Authorization` header. `None`: none that counts.
    pub(crate) fn bearer(&self, header: &str, now: Timestamp) -> Result<Option<Who>, Denied> {
        let Some(key) = bearer_key(header) else { return Ok(None) };
        let Some(token) = self.0.state.token(&fingerprint("token", key))? else { return Ok(None) };
        let is_over = token.revoked_at.is_some() || token.expires_at.is_none_or(|end| now >= end);
        if is_over || !self.is_maker_good_for(&token)? {
            return Ok(None);
        }
        if token.used_at.is_none_or(|used| now.duration_since(used) >= NOTED) {
            self.0.state.touch_token(token.id, now)?;
        }
        let name = format!("token:{} {}", token.id, token.name);
        Ok(Some(Who { name, role: token.role, fresh_until: None, must_set_up_totp: false }))
    }

    /// A token falls with its maker: disabled, or no longer allowed what the token is.
    fn is_maker_good_for(&self, token: &TokenRow) -> Result<bool, Denied> {
        if token.created_by == super::user::LOCAL {
            return Ok(true);
        }
        let maker = self.0.state.user(&token.created_by)?;
        Ok(maker.is_some_and(|maker| maker.disabled_at.is_none() && covers(maker.role, token.role)))
    }

    /// The tokens that `who` may see: all for an administrator, else their own.
    pub(crate) fn tokens(&self, who: &Who) -> Result<Vec<TokenRow>, Denied> {
        let mut tokens = self.0.state.tokens()?;
        tokens.retain(|token| who.role == Role::Admin || token.created_by == who.name);
        Ok(tokens)
    }

    /// Takes a token back.
    pub(crate) fn revoke_token(&self, who: &Who, id: i64, now: Timestamp) -> Result<(), Denied> {
        let object = id.to_string();
        self.require(who, Permission::Tokens, &object, now)?;
        let is_theirs = self.tokens(who)?.iter().any(|token| token.id == id);
        if !is_theirs || !self.0.state.revoke_token(id, now)? {
            return Err(Denied::new(
                Why::Input,
                "there is no such token, or it was revoked before",
                "そのトークンはないか、すでに失効しています。",
            ));
        }
        self.audit(Audit::of(who, "revoke_token", &object, true, now));
        Ok(())
    }
}

/// The digits after `Bearer cw_`; RFC 9110 §11.1 has the scheme in any case.
fn bearer_key(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let key = token.trim_start().strip_prefix(PREFIX)?;
    (scheme.eq_ignore_ascii_case("bearer") && is_key(key)).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Settings;

    #[test]
    fn an_authorization_header_holds_one_token_or_none() {
        let key = "0123456789abcdef".repeat(4);
        for (header, expected) in [
            (format!("Bearer cw_{key}"), Some(key.as_str())),
            (format!("bearer  cw_{key} "), Some(key.as_str())),
            (format!("Basic cw_{key}"), None),
            (format!("Bearer {key}"), None),
            (format!("Bearer cw_{}", key.to_uppercase()), None),
            (format!("Bearer cw_{key}0"), None),
            ("Bearer".to_owned(), None),
        ] {
            assert_eq!(bearer_key(&header), expected, "{header}");
        }
    }

    #[test]
    fn a_cookie_header_holds_one_session_or_none() {
        let key = "0123456789abcdef".repeat(4);
        for (tls, header, found) in [
            (true, format!("a=b; __Host-chartward={key}"), true),
            (true, format!("chartward={key}"), false),
            (false, format!("chartward={key};x"), true),
            (true, format!("__Host-chartward={key}; __Host-chartward={key}"), false),
            (true, "__Host-chartward=".to_owned(), false),
            (true, format!("__Host-chartward=\"{key}\""), false),
        ] {
            assert_eq!(Settings::new("H", tls).cookie_in(&header).is_some(), found, "{header}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_only_keys_come_out(header in "(?s).{0,200}", key in "[0-9a-f]{64}") {
            let settings = Settings::new("H", true);
            prop_assert!(settings.cookie_in(&header).is_none_or(is_key));
            prop_assert!(bearer_key(&header).is_none_or(is_key));
            let around = format!("{}; __Host-chartward={key}", header.replace("__Host-", ""));
            prop_assert_eq!(settings.cookie_in(&around), Some(key.as_str()));
        }
    }
}

//! Who has just proven to be an administrator is not banned: the password and the second factor weigh more than what a log says of
//! the address.

use act::never::Spared;
use jiff::{SignedDuration, Timestamp};
use prove::State;

use crate::access::{Audit, Role};

/// How long a log-in vouches for the address it came from: over a weekend.
const FOR: SignedDuration = SignedDuration::from_hours(72);
const WHAT: &str = "an administrator logged in at the console from";

/// Those who may act, and not those who only look.
fn administers(role: Role) -> bool {
    matches!(role, Role::Admin | Role::Operator)
}

/// Takes note of a log-in with a second factor.
pub(super) fn hear(spared: &Spared, audit: &Audit) {
    let is_log_in = matches!(audit.what.as_str(), "log_in" | "log_in_again") && audit.allowed;
    let has_second_factor = audit.object.starts_with("password and ");
    if let (true, true, Some(address)) =
        (is_log_in && audit.role.is_some_and(administers), has_second_factor, audit.address)
    {
        vouch(spared, address, audit.at);
    }
}

/// Those who logged in before the hub was started again.
pub(super) fn take_up(state: &State, spared: &Spared, now: Timestamp) -> anyhow::Result<()> {
    let users = state.users()?;
    let proven = |user: &&prove::state::accounts::User| {
        user.totp.is_some() && user.disabled_at.is_none() && administers(user.role)
    };
    for user in users.iter().filter(proven) {
        for session in state.sessions_of(&user.name)? {
            if let Ok(address) = session.address.parse() {
                vouch(spared, address, session.created_at);
            }
        }
    }
    spared.sweep(now);
    Ok(())
}

fn vouch(spared: &Spared, address: std::net::IpAddr, at: Timestamp) {
    spared.vouch(WHAT, address, at.saturating_add(FOR).unwrap_or(Timestamp::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_may_act_and_gave_a_second_factor_vouches_for_an_address() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let audit = |role, what: &str, object: &str, allowed| Audit {
            at: now,
            user: "chief".into(),
            role: Some(role),
            what: what.into(),
            object: object.into(),
            allowed,
            address: Some("198.51.100.4".parse().unwrap()),
        };
        for (audit, expected) in [
            (audit(Role::Admin, "log_in", "password and one-time code", true), true),
            (audit(Role::Operator, "log_in_again", "password and recovery code", true), true),
            (audit(Role::Viewer, "log_in", "password and one-time code", true), false),
            (audit(Role::Admin, "log_in", "password", true), false),
            (audit(Role::Admin, "log_in", "password and one-time code", false), false),
            (audit(Role::Admin, "change_password", "password and one-time code", true), false),
            (
                Audit { address: None, ..audit(Role::Admin, "log_in", "password and one-time code", true) },
                false,
            ),
        ] {
            let spared = Spared::default();
            hear(&spared, &audit);
            assert_eq!(!spared.addresses().is_empty(), expected, "{audit:?}");
            spared.sweep(now + FOR);
            assert!(spared.addresses().is_empty());
        }
    }
}

//! Setting up the second factor, and the recovery codes for when it is lost.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::session::{FRESH, Fresh, LoggedIn, Session};
use super::text::{Shown, draw_code, fingerprint, read_code};
use super::{Access, Audit, Denied, Permission, Why, random, totp};

const OFFER_LASTS: SignedDuration = SignedDuration::from_mins(10);
const RECOVERY_CODES: usize = 10;
/// Groups of 20 bits each: long enough that a plain SHA-256 of it can be stored.
const GROUPS: usize = 4;

/// A secret for an authenticator, not yet confirmed. Nothing of it is kept here: the ticket comes back with the
/// first code, so that offers cannot fill the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TotpOffer {
    /// `otpauth://…`, also behind the QR code.
    pub(crate) uri: Shown,
    /// The QR code as an SVG element.
    pub(crate) qr_svg: Shown,
    /// The secret in groups of four, to be typed where no camera is at hand.
    pub(crate) secret: Shown,
    /// To be sent back by the form; sealed.
    pub(crate) ticket: String,
}

/// Ten codes, each of which stands in for the authenticator once. Shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecoveryCodes(pub(crate) Vec<Shown>);

pub(super) fn purpose(user: &str) -> String {
    format!("totp of {user}")
}

pub(super) fn recovery_purpose(user: &str) -> String {
    format!("recovery code of {user}")
}

fn ticket_purpose(session: &Session) -> String {
    format!("totp offer to {} in {}", session.user, session.hash)
}

impl Access {
    /// Offers a new secret. Replacing one that is set up needs a fresh log-in.
    pub(crate) fn begin_totp(&self, session: &Session, now: Timestamp) -> Result<TotpOffer, Denied> {
        may_replace(session, now)?;
        let secret = zeroize::Zeroizing::new(random::<{ totp::SECRET_BYTES }>()?);
        let uri = totp::uri(secret.as_slice(), &self.0.settings.hospital, &session.user);
        let ends = (now + OFFER_LASTS).as_second().to_be_bytes();
        let offered = zeroize::Zeroizing::new([ends.as_slice(), secret.as_slice()].concat());
        let digits = totp::base32(secret.as_slice());
        let groups: Vec<&str> =
            (0..digits.len()).step_by(4).map(|at| &digits[at..digits.len().min(at + 4)]).collect();
        Ok(TotpOffer {
            qr_svg: Shown::new(totp::qr_svg(&uri)),
            uri: Shown::new(uri.to_string()),
            secret: Shown::new(groups.join(" ")),
            ticket: self.0.sealed.seal(&ticket_purpose(session), &offered)?,
        })
    }

    /// Takes the offered secret into use, now that the authenticator has shown that it knows it. Earlier recovery
    /// codes and other sessions end, and this session gets another cookie.
    pub(crate) fn confirm_totp(
        &self,
        session: &Session,
        ticket: &str,
        code: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(RecoveryCodes, LoggedIn), Denied> {
        may_replace(session, now)?;
        if let Err(wait) = self.0.limits.take(address, now) {
            return Err(Denied::limited(wait));
        }
        let offered = self.0.sealed.unseal(&ticket_purpose(session), ticket);
        let (ends, secret) =
            offered.as_ref().and_then(|offered| offered.split_first_chunk()).ok_or_else(stale)?;
        if now.as_second() >= i64::from_be_bytes(*ends) {
            return Err(stale());
        }
        let typed = read_code(code).unwrap_or_default();
        let step = totp::matching_step(secret, &typed, 0, now).ok_or_else(wrong_code)?;
        self.0.limits.give_back(address);
        let (codes, hashes) = draw_recovery_codes(&session.user)?;
        let sealed = self.0.sealed.seal(&purpose(&session.user), secret)?;
        let mut fresh = Fresh::draw(&session.user, &address.to_string(), now, session.expires_at)?;
        fresh.row.created_at = session.fresh_until - FRESH;
        if !self.0.state.set_totp(&sealed, step, &hashes, &session.hash, &fresh.row)? {
            return Err(wrong_code());
        }
        self.audit(Audit {
            address: Some(address),
            ..Audit::of(&session.who(), "set_totp", &session.user, true, now)
        });
        Ok((codes, self.opened(fresh, now)?))
    }

    /// How many recovery codes are left, for the page that should ask for new ones in time.
    pub(crate) fn recovery_codes_left(&self, session: &Session) -> Result<u32, Denied> {
        Ok(self.0.state.recovery_codes_left(&session.user)?)
    }
}

/// Someone at an unlocked screen must not be able to put their own authenticator in the place of the owner's.
fn may_replace(session: &Session, now: Timestamp) -> Result<(), Denied> {
    if !super::may(session.role, Permission::OwnAccount) {
        return Err(Denied::no_session());
    }
    if session.has_totp && now >= session.fresh_until {
        return Err(Denied::new(
            Why::NotFresh,
            "type your password and a one-time code again first",
            "もう一度パスワードと確認コードを入力してください。",
        ));
    }
    Ok(())
}

fn draw_recovery_codes(user: &str) -> Result<(RecoveryCodes, Vec<String>), Denied> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut hashes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = draw_code(GROUPS)?;
        hashes.push(fingerprint(&recovery_purpose(user), &read_code(code.text()).unwrap_or_default()));
        codes.push(code);
    }
    Ok((RecoveryCodes(codes), hashes))
}

fn stale() -> Denied {
    Denied::new(
        Why::Input,
        "the QR code is older than ten minutes or was made for another session; begin again",
        "QRコードの有効期限（10分）が切れています。最初からやり直してください。",
    )
}

fn wrong_code() -> Denied {
    Denied::new(
        Why::Input,
        "the one-time code is wrong; check that the phone's clock is right and type the next code",
        "確認コードが正しくありません。端末の時刻を確かめ、次のコードを入力してください。",
    )
}

//! Other ways in by a shell or a desktop: dropbear, xrdp, Guacamole, and rlogin and telnet of old.

use schema::AuthEvent;
use schema::AuthProtocol::{Other, Rdp, Ssh};
use schema::AuthReason::{NoSuchAccount, TooMany, Unknown, WrongSecret};

use super::line::{Fill, Line, between, user_from, word};

/// dropbear's server (`svr-auth*.c`). Some versions write their own number and time before each message.
pub(super) fn dropbear<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = own_header(line.text);
    let rest = |mark: &str| {
        text.get(mark.len()..)
            .filter(|_| text.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark)))
    };
    if let Some(rest) = rest("bad password attempt for '") {
        let (user, from) = rest.rsplit_once("' from ")?;
        return Some(line.failure(Ssh, WrongSecret).account(user).from(from));
    }
    if let Some(rest) = rest("login attempt for nonexistent user") {
        let (user, from) = user_from(rest)?;
        let event = line.failure(Ssh, NoSuchAccount).from(from);
        let user = user.trim_start().trim_matches('\'');
        return Some(if user.is_empty() { event } else { event.account(user) });
    }
    if let Some(rest) = rest("exit before auth") {
        return exit(line, rest);
    }
    if let Some(rest) = rest("pubkey auth succeeded for '").or_else(|| rest("password auth succeeded for '"))
    {
        // `'NAME' with key sha1!! … from ADDRESS`.
        let (user, rest) = rest.split_once('\'')?;
        return Some(line.success(Ssh).account(user).from(user_from(rest)?.1));
    }
    if let Some(rest) = rest("exit (") {
        let user = rest.split_once(')')?.0;
        return Some(line.ended(Ssh).account(user));
    }
    None
}

/// Behind `[825] Jul 10 23:53:52 `.
fn own_header(text: &str) -> &str {
    let Some((pid, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
        return text;
    };
    let is_header = pid.bytes().all(|byte| byte.is_ascii_digit());
    // `Mmm dd HH:MM:SS ` has sixteen bytes.
    rest.get(16..).filter(|_| is_header).unwrap_or(text)
}

/// ` (user 'root', 10 fails): Max auth tries reached - user 'root' from A:1`, ` from <A:1>: (user …): …`.
fn exit<'a>(line: &Line<'a>, rest: &'a str) -> Option<AuthEvent<'a>> {
    let is_too_many = rest.contains("Max auth tries reached");
    let from = match rest.strip_prefix(" from <") {
        Some(rest) => rest.split_once('>')?.0,
        None => user_from(rest)?.1,
    };
    let event =
        if is_too_many { line.failure(Ssh, TooMany) } else { line.reached(Ssh, schema::AuthReason::Broken) };
    let event = event.from(from);
    Some(match rest.rsplit_once("- user '").and_then(|(_, rest)| rest.split_once('\'')) {
        Some((user, _)) if user != "is invalid" => event.account(user),
        _ => event,
    })
}

/// xrdp-sesman: `[INFO ] AUTHFAIL: user=NAME ip=ADDRESS time=N`. The name is the client's.
pub(super) fn xrdp<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    let text = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(text, |(_, rest)| rest);
    if let Some(rest) = text.strip_prefix("AUTHFAIL: user=") {
        let (head, time) = rest.rsplit_once(" time=")?;
        if !time.trim_end().bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (user, from) = head.rsplit_once(" ip=")?;
        return Some(line.failure(Rdp, WrongSecret).account(user).from(from));
    }
    // `++ created session (access granted): username yamada, ip 192.0.2.1:50000 - socket: 12`
    if let Some(rest) = text.strip_prefix("++ created session (access granted): username ") {
        let (user, rest) = rest.split_once(", ip ")?;
        return Some(line.success(Rdp).account(user).from(word(rest).0));
    }
    // `connection received from 192.0.2.1 port 50000`, `Socket 12: AF_INET connection received from …`
    if let Some((_, rest)) = text.split_once("connection received from ") {
        return Some(line.reached(Rdp, schema::AuthReason::None).from(word(rest).0));
    }
    if let Some(rest) = text
        .strip_prefix("++ terminated session:  username ")
        .or_else(|| text.strip_prefix("++ terminated session: username "))
    {
        let (user, rest) = rest.split_once(", display ")?;
        let event = line.ended(Rdp).account(user);
        return Some(match rest.rsplit_once(", ip ") {
            Some((_, from)) => event.from(word(from).0),
            None => event,
        });
    }
    None
}

/// Guacamole: `Authentication attempt from ADDRESS for user "NAME" failed.`, `User "NAME" successfully authenticated from ADDRESS.`
pub(super) fn guacamole<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    if let Some((head, rest)) = text.split_once("Authentication attempt from ") {
        if head.contains('"') {
            return None;
        }
        let (from, rest) = rest.split_once(" for user \"")?;
        let from = from.trim_start_matches('[').split([',', ']']).next()?;
        let (user, _) = rest.rsplit_once("\" failed")?;
        return Some(line.failure(Rdp, WrongSecret).account(user).from(from));
    }
    let (user, from) = between(text, "User \"", ".")
        .and(text.split_once("User \"")?.1.rsplit_once("\" successfully authenticated from "))?;
    let from = from.trim_end_matches('.').trim_start_matches('[').split([',', ']']).next()?;
    Some(line.success(Rdp).account(user).from(from))
}

/// telnetd, klogind, rlogind, ftpd of old: `Authentication failed from 192.0.2.1 (host): …`.
pub(super) fn old<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    if let Some(rest) = line.text.strip_prefix("Authentication failed from ") {
        return Some(line.failure(Other, Unknown).from(word(rest).0));
    }
    let rest =
        line.text.strip_prefix("connection from ").or_else(|| line.text.strip_prefix("connect from "))?;
    Some(line.reached(Other, schema::AuthReason::None).from(word(rest).0))
}

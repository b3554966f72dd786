//! OpenSSH's server (`auth.c`, `auth2.c`, `sshd.c`, `packet.c` of OpenSSH 3 to 10), as it writes to syslog.
//!
//! Names of accounts come from the client and stand in the middle of a line, so that every address is looked for from its end.

use std::net::IpAddr;

use schema::AuthProtocol::Ssh;
use schema::AuthReason::{
    Broken, Locked, NoSuchAccount, None as Fine, NotAllowed, TooMany, Unknown, WrongSecret,
};
use schema::{AuthEvent, AuthOutcome};

use super::join::Join;
use super::line::{Fill, Line, address, cut, user_from, word};
use super::{Out, pam};

/// `false`: it says nothing of a logon.
pub(super) fn read(line: &Line<'_>, join: &mut Join, out: Out<'_>) -> bool {
    let text = bare(line.text);
    let (first, rest) = word(text);
    match first {
        "Failed" => failed(line, rest, join, out),
        "Accepted" => accepted(line, rest, join, out),
        "Invalid" | "Illegal" => invalid(line, rest, join, out),
        "Received" => received(line, rest, join, out),
        "Disconnecting" | "Disconnecting:" => disconnecting(line, rest, join, out),
        "Connection" if rest.starts_with("from ") => arrived(line, rest, join, out),
        "Disconnected" | "Connection" => connection(line, rest, join, out),
        "User" => user(line, rest, join, out),
        "PAM:" => refused_by_pam(line, rest, join, out),
        "maximum" => too_many(line, rest, join, out),
        "Close" => closed_session(line, rest, out),
        "ROOT" | "refused" | "Authentication" | "Login" => not_allowed(line, text, out),
        "SSH:" => patched(line, rest, join),
        "input_userauth_request:" => {
            pend(line, rest.strip_prefix("invalid user ").unwrap_or(rest), NoSuchAccount, join);
            Some(())
        }
        "Postponed" | "Starting" | "Server" | "reverse" | "Address" => Some(()),
        _ => broken(line, text, join, out),
    }
    .is_some()
}

/// The same without anything that the process said before or will say.
pub(super) fn read_alone<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let mut found = None;
    // Nothing was held back, so that names in an event are pieces of the line.
    let piece = |name: &str| line.text.find(name).and_then(|at| line.text.get(at..at + name.len()));
    read(line, &mut Join::default(), &mut |event| {
        found = Some(AuthEvent {
            account: event.account.and_then(piece),
            domain: event.domain.and_then(piece),
            workstation: event.workstation.and_then(piece),
            source: event.source,
            ..line.event(Ssh, event.outcome, event.reason)
        });
    });
    // A `Failed … for invalid user` comes for every attempt and counts; this line comes before the first.
    match word(bare(line.text)).0 {
        "Invalid" | "Illegal" => found.map(|event| AuthEvent { outcome: AuthOutcome::Reached, ..event }),
        _ => found,
    }
}

/// Without what is the same for many messages.
fn bare(text: &str) -> &str {
    let mut text = text.trim_end();
    text = text.strip_suffix("[preauth]").map_or(text, str::trim_end);
    // A journal that carries the kernel's messages may put its mark before ours: `kernel:[  970.699396]: `.
    if let Some(behind) =
        text.strip_prefix("kernel:").and_then(|rest| rest.trim_start().strip_prefix('[')?.split_once(']'))
    {
        text = behind.1.trim_start_matches([':', ' ']);
    }
    // Solaris writes `[ID 800047 auth.info]` before its messages.
    if let Some(behind) = text.strip_prefix("[ID ").and_then(|rest| rest.split_once("] ")) {
        text = behind.1;
    }
    for mark in ["error: ", "fatal: "] {
        text = text.strip_prefix(mark).unwrap_or(text);
    }
    text
}

/// The address at the beginning, and its port if one follows.
fn origin(text: &str) -> &str {
    let (origin, _) = word(text);
    origin.strip_suffix([':', ',']).unwrap_or(origin)
}

/// `METHOD for [invalid user ]USER from ADDRESS port N ssh2[: KEY]`.
fn failed(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let (method, rest) = word(rest);
    let rest = rest.strip_prefix("for ")?;
    let (is_unknown, rest) = unknown_user(rest);
    let known = join.find(line).and_then(|entry| entry.source);
    let (user, from) = attempt(method, rest, known)?;
    let is_unknown = is_unknown || user == "<invalid username>";
    let event = if is_unknown {
        line.failure(Ssh, NoSuchAccount)
    } else if matches!(method, "publickey" | "none") {
        // Clients offer one key after the other before the right one, and none before all.
        line.reached(Ssh, WrongSecret)
    } else {
        line.failure(Ssh, WrongSecret)
    };
    let event = event.account(user).from(origin(from));
    if let Some(entry) = join.find(line) {
        entry.held = 0;
        entry.source = event.source.or(entry.source);
        if is_unknown && std::mem::take(&mut entry.is_same) {
            // `Invalid user` said it already.
            return Some(());
        }
    } else if event.reason == WrongSecret
        && method == "publickey"
        && let Some(entry) = join.open(line)
    {
        entry.source = event.source;
    }
    out(&event);
    Some(())
}

fn unknown_user(text: &str) -> (bool, &str) {
    match text.strip_prefix("invalid user ").or_else(|| text.strip_prefix("illegal user ")) {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// User and what follows ` from `. What stands behind `ssh2: ` may come from the client, as may the name.
fn attempt<'a>(method: &str, text: &'a str, known: Option<IpAddr>) -> Option<(&'a str, &'a str)> {
    let last = user_from(text)?;
    let head = last.0;
    if let Some(at) = memchr::memmem::find(head.as_bytes(), b" ssh1: ") {
        return user_from(head.get(..at)?).or(Some(last));
    }
    let Some(at) = memchr::memmem::find(head.as_bytes(), b" ssh2:") else { return Some(last) };
    let (first, behind) = (user_from(head.get(..at)?), head.get(at + 6..)?);
    let Some(first) = first.filter(|(_, from)| address(origin(from)).is_some()) else { return Some(last) };
    // Whom the process named before settles it.
    if let Some(known) = known {
        let is_first = address(origin(first.1)) == Some(known);
        return Some(if is_first { first } else { last });
    }
    let is_info = matches!(method, "hostbased" | "publickey") || behind.trim().is_empty();
    Some(if is_info { first } else { last })
}

/// `METHOD for USER from ADDRESS port N ssh2[: KEY]`: accounts of the machine have no spaces.
fn accepted(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let (_, rest) = word(rest);
    let (user, from) = rest.strip_prefix("for ")?.split_once(" from ")?;
    release(line, Some(user), join, out);
    join.close(line);
    out(&line.success(Ssh).account(user).from(origin(from)));
    Some(())
}

/// What PAM refused was an attempt of its own, unless the same account is let in now.
fn release(line: &Line<'_>, but: Option<&str>, join: &mut Join, out: Out<'_>) -> bool {
    let Some(entry) = join.find(line).filter(|entry| entry.held > 0) else { return false };
    let count = std::mem::take(&mut entry.held);
    if but == Some(entry.account.as_str()) {
        return false;
    }
    let mut event = line.failure(Ssh, WrongSecret).account(&entry.account);
    event.source = entry.source;
    for _ in 0..count {
        out(&event);
    }
    true
}

/// PAM's own words before those of the server.
pub(super) fn pam(line: &Line<'_>, join: &mut Join, out: Out<'_>) -> bool {
    let Some(event) = pam::read(line) else { return true };
    if event.outcome != schema::AuthOutcome::Failure {
        // The server says itself whom it let in; PAM says when he leaves.
        if event.outcome == schema::AuthOutcome::Ended {
            out(&event);
        }
        return true;
    }
    let account = event.account.unwrap_or_default();
    let is_other = join.find(line).is_some_and(|entry| entry.held > 0 && entry.account != account);
    if is_other {
        release(line, None, join, out);
    }
    let had = join.find(line).is_some_and(|entry| entry.held > 0);
    if let Some(entry) = join.open(line) {
        entry.hold(account, event.source);
        // Two modules of one stack speak of one attempt, as does the name that only the first of them knows.
        if had && account.is_empty() {
            entry.held -= 1;
        }
    } else {
        out(&event);
    }
    true
}

/// `user USER from ADDRESS[ port N]`.
fn invalid(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let (user, from) =
        user_from(rest.strip_prefix("user").map(|rest| rest.strip_prefix(' ').unwrap_or(rest))?)
            // An empty name: `Invalid user  from …`.
            .or_else(|| rest.strip_prefix("user from ").map(|from| ("", from)))?;
    let event = line.failure(Ssh, NoSuchAccount).account(user.trim_end()).from(origin(from));
    if let Some(entry) = join.open(line) {
        (entry.source, entry.is_same) = (event.source, true);
    }
    out(&event);
    Some(())
}

/// `disconnect from ADDRESS[ port N]:[ ]CODE: TEXT`.
fn received(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let rest = rest.strip_prefix("disconnect from ")?;
    let from = origin(rest);
    let event = if rest.ends_with(": Auth fail") {
        line.failure(Ssh, Unknown)
    } else if rest.contains(":14: No ") || rest.contains(": 14: No ") {
        line.reached(Ssh, Broken)
    } else {
        return leave(line, from, "", join, out);
    };
    out(&event.from(from));
    Some(())
}

/// The connection is over: what waited for an address or an end has it.
fn leave(line: &Line<'_>, from: &str, user: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let is_early = line.text.trim_end().ends_with("[preauth]");
    let source = address(from);
    let mut is_told = false;
    let mut is_broken = is_early;
    if let Some(entry) = join.find(line) {
        entry.source = source.or(entry.source);
        is_told = std::mem::take(&mut entry.is_told);
        if let Some(reason) = entry.pending.take() {
            let event = if reason == Broken { line.reached(Ssh, Broken) } else { line.failure(Ssh, reason) };
            let event = if entry.account.is_empty() { event } else { event.account(&entry.account) };
            out(&event.from(from));
            is_told = true;
        }
        is_broken &= !is_told;
    }
    is_told |= is_early && release(line, None, join, out);
    if !is_told {
        let event = if is_broken { line.reached(Ssh, Broken) } else { line.ended(Ssh) };
        let event = event.from(from);
        out(&if user.is_empty() { event } else { event.account(user) });
    }
    if !is_early {
        join.close(line);
    }
    Some(())
}

/// `[invalid user USER ADDRESS port N]: REASON`.
fn disconnecting(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    if rest.starts_with("Too many authentication failures") {
        return addressless(line, TooMany, rest, join, out);
    }
    let is_too_many = rest.contains("Too many authentication failures");
    if let Some((user, from)) =
        named_end(rest.rsplit_once(": Change of username").or_else(|| rest.rsplit_once(": Too many"))?.0)
            .filter(|_| rest.starts_with("invalid user ") || rest.starts_with("authenticating user "))
    {
        if is_too_many && join.find(line).is_some_and(|entry| std::mem::take(&mut entry.is_told)) {
            return Some(());
        }
        let reason = if is_too_many { TooMany } else { NotAllowed };
        out(&line.failure(Ssh, reason).account(user).from(from));
        return Some(());
    }
    None
}

/// `invalid user USER ADDRESS[ port N]`, from its end.
fn named_end(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("invalid user ").or_else(|| text.strip_prefix("authenticating user "))?;
    let text = match text.rsplit_once(" port ") {
        Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => text,
    };
    Some(text.rsplit_once(' ').unwrap_or(("", text)))
}

/// `from ADDRESS port N on ADDRESS port N`.
fn arrived(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let from = origin(rest.strip_prefix("from ")?);
    if let Some(entry) = join.open(line) {
        entry.source = address(from);
    }
    out(&line.reached(Ssh, Fine).from(from));
    Some(())
}

/// `closed by …`, `reset by …`, `from …`: Connection and Disconnected.
fn connection(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let end = ["closed by ", "reset by ", "from "].iter().find_map(|mark| rest.strip_prefix(mark))?;
    if let Some((user, from)) = named_end(end) {
        return leave(line, from, cut(user), join, out);
    }
    // `Disconnected from user USER ADDRESS port N`: somebody who was let in.
    if let Some(rest) = end.strip_prefix("user ") {
        let (user, from) = word(rest);
        out(&line.ended(Ssh).account(user).from(origin(from)));
        return Some(());
    }
    leave(line, origin(end), "", join, out)
}

/// `USER from ADDRESS not allowed because REASON`, `USER not allowed because REASON`.
fn user(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let at = memchr::memmem::rfind(rest.as_bytes(), b" not allowed because ")?;
    let (who, why) = (rest.get(..at)?, rest.get(at..)?);
    let reason = if why.contains("locked") { Locked } else { NotAllowed };
    match user_from(who) {
        Some((user, from)) => out(&line.failure(Ssh, reason).account(user).from(origin(from))),
        None => pend(line, who, reason, join),
    }
    Some(())
}

/// A failure whose address a later line says.
fn pend(line: &Line<'_>, account: &str, reason: schema::AuthReason, join: &mut Join) {
    if let Some(entry) = join.open(line) {
        if entry.is_same || entry.is_told {
            return;
        }
        entry.pending = Some(entry.pending.unwrap_or(reason));
        entry.account.clear();
        entry.account.push_str(cut(account));
    }
}

/// `Authentication failure for [illegal user ]USER from ADDRESS[ via ADDRESS]`.
fn refused_by_pam(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let (why, rest) = rest.split_once(" for ")?;
    let (is_unknown, rest) = unknown_user(rest);
    let (user, from) = user_from(rest)?;
    let is_unknown = is_unknown || why.contains("not known");
    if let Some(entry) = join.find(line) {
        entry.held = 0;
    }
    let reason = match why {
        _ if is_unknown => NoSuchAccount,
        _ if why.contains("expired") => schema::AuthReason::Expired,
        _ if why.contains("Permission denied") => NotAllowed,
        _ => WrongSecret,
    };
    out(&line.failure(Ssh, reason).account(user).from(origin(from)));
    Some(())
}

/// `authentication attempts exceeded for [invalid user ]USER from ADDRESS port N ssh2`.
fn too_many(line: &Line<'_>, rest: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    let (user, from) =
        user_from(unknown_user(rest.strip_prefix("authentication attempts exceeded for ")?).1)?;
    if let Some(entry) = join.open(line) {
        (entry.held, entry.is_told) = (0, true);
    }
    out(&line.failure(Ssh, TooMany).account(user).from(origin(from)));
    Some(())
}

/// `session: user USER from ADDRESS port N id N`.
fn closed_session(line: &Line<'_>, rest: &str, out: Out<'_>) -> Option<()> {
    let (user, from) = user_from(rest.strip_prefix("session: user ")?)?;
    out(&line.ended(Ssh).account(user).from(origin(from)));
    Some(())
}

fn not_allowed(line: &Line<'_>, text: &str, out: Out<'_>) -> Option<()> {
    let event: AuthEvent<'_> = line.failure(Ssh, NotAllowed);
    if let Some(from) = text.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        out(&event.account("root").from(origin(from)));
    } else if let Some(rest) = text.strip_prefix("refused connect from ") {
        // What is before the bracket is what DNS and the other side's ident say.
        let from = rest
            .rsplit_once(" (")
            .and_then(|(_, inner)| inner.split_once(')'))
            .map_or(origin(rest), |(from, _)| from);
        out(&event.from(from));
    } else if let Some(rest) = text.strip_prefix("Authentication tried for ") {
        let (user, rest) = word(rest);
        let (_, from) = rest.rsplit_once("ip=")?;
        out(&event
            .account(user)
            .from(origin(from).strip_suffix(").").or(from.split(')').next()).unwrap_or(from)));
    } else {
        return None;
    }
    Some(())
}

/// `Server;Ltype: Version;Remote: ADDRESS-PORT;…`, of a patch that some vendors carry.
fn patched(line: &Line<'_>, rest: &str, join: &mut Join) -> Option<()> {
    let (address_port, _) = rest.split_once("Remote: ")?.1.split_once(';')?;
    join.open(line)?.source = address(address_port.rsplit_once('-')?.0);
    Some(())
}

/// Somebody who never came to the point of a name.
fn broken(line: &Line<'_>, text: &str, join: &mut Join, out: Out<'_>) -> Option<()> {
    if let Some(rest) = text.strip_prefix("Timeout before authentication for ") {
        let rest = rest.strip_prefix("connection from ").unwrap_or(rest);
        out(&line.reached(Ssh, Broken).from(origin(rest)));
        return Some(());
    }
    let marks = [
        "Did not receive identification string from ",
        "banner exchange: Connection from ",
        "ssh_dispatch_run_fatal: Connection from ",
        "Unable to negotiate with ",
    ];
    if let Some(from) = marks.iter().find_map(|mark| text.strip_prefix(mark)) {
        out(&line.reached(Ssh, Broken).from(origin(from)));
        return Some(());
    }
    // The other side wrote what is quoted here.
    if text.starts_with("Bad protocol version identification ")
        || text.starts_with("Bad remote protocol version ")
    {
        out(&line.reached(Ssh, Broken).from(origin(user_from(text)?.1)));
        return Some(());
    }
    let is_broken = text.starts_with("kex_exchange_identification: ")
        || text.starts_with("Read from socket failed: ")
        || text.starts_with("Unable to negotiate a key exchange method")
        || text.starts_with("no matching ");
    is_broken.then(|| addressless(line, Broken, text, join, out)).flatten()
}

/// A line that does not say from where: an earlier one did, or a later one will.
fn addressless(
    line: &Line<'_>,
    reason: schema::AuthReason,
    text: &str,
    join: &mut Join,
    out: Out<'_>,
) -> Option<()> {
    let account = text.strip_prefix("Too many authentication failures for ");
    let entry = join.open(line)?;
    let Some(source) = entry.source else {
        pend(line, account.unwrap_or_default(), reason, join);
        return Some(());
    };
    entry.is_told = true;
    entry.held = 0;
    let mut event = if reason == Broken { line.reached(Ssh, Broken) } else { line.failure(Ssh, reason) };
    event.source = Some(source);
    out(&match account {
        Some(account) => event.account(account),
        None => event,
    });
    Some(())
}

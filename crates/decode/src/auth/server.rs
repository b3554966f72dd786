//! Servers that have accounts of their own: FTP, mail, databases, and devices and consoles of administration.

use schema::AuthEvent;
use schema::AuthProtocol::{self, Database, Ftp, Mail, Other, Ssh, Web};
use schema::AuthReason::{self, NoSuchAccount, NotAllowed, TooMany, Unknown, WrongSecret};

use super::line::{Fill, Line, address, between, some, user_from, value, word};

/// vsftpd's own log: `[pid 3] [NAME] FAIL LOGIN: Client "ADDRESS"`; `CONNECT: Client "ADDRESS"`.
pub(super) fn vsftpd<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    let (head, from) = text.rsplit_once(": Client \"")?;
    let from = from.split('"').next()?;
    let (head, what) = head.rsplit_once("] ").unwrap_or(("", head));
    let user = head.rsplit_once('[').map(|(_, user)| user).filter(|user| !user.starts_with("pid "));
    let event = match what {
        "FAIL LOGIN" => line.failure(Ftp, WrongSecret),
        "OK LOGIN" => line.success(Ftp),
        "CONNECT" => line.reached(Ftp, AuthReason::None),
        _ => return None,
    };
    let event = event.from(from);
    Some(match user {
        Some(user) => event.account(user),
        None => event,
    })
}

/// proftpd: `ftp.example (host[ADDRESS]) - USER NAME (Login failed): Incorrect password`, `… no such user found from …`.
pub(super) fn proftpd<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (head, rest) = line.text.split_once(") - ")?;
    let from = head.rsplit_once('[')?.1.trim_end_matches(']');
    let event = if let Some(rest) = rest.strip_prefix("USER ") {
        if let Some((user, _)) = rest.rsplit_once(" (Login failed): ") {
            let is_unknown = rest.ends_with("No such user found") || rest.contains("): No such user");
            line.failure(Ftp, if is_unknown { NoSuchAccount } else { WrongSecret }).account(user)
        } else if let Some((user, _)) = rest.split_once(": no such user found") {
            line.failure(Ftp, NoSuchAccount).account(user)
        } else if let Some((user, _)) = rest.split_once(": Login successful") {
            line.success(Ftp).account(user)
        } else {
            return None;
        }
    } else if let Some(rest) = rest.strip_prefix("SECURITY VIOLATION: ") {
        line.failure(Ftp, NotAllowed).account(rest.split(' ').next().unwrap_or_default())
    } else if rest.starts_with("Maximum login attempts ") {
        line.failure(Ftp, TooMany)
    } else if rest.starts_with("FTP session closed") {
        line.ended(Ftp)
    } else {
        return None;
    };
    Some(event.from(from))
}

/// pure-ftpd: `(?@ADDRESS) [WARNING] Authentication failed for user [NAME]`, `(?@ADDRESS) [INFO] NAME is now logged in`.
pub(super) fn pureftpd<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (peer, rest) = line.text.strip_prefix('(')?.split_once(") ")?;
    let from = peer.rsplit_once('@')?.1;
    let rest = rest.split_once("] ")?.1;
    if let Some(user) = rest.strip_prefix("Authentication failed for user [") {
        return Some(line.failure(Ftp, WrongSecret).account(user.strip_suffix(']')?).from(from));
    }
    let user = rest.strip_suffix(" is now logged in")?;
    Some(line.success(Ftp).account(user).from(from))
}

/// dovecot: `imap-login: Login: user=<NAME>, method=PLAIN, rip=ADDRESS, …`, `… Aborted login (auth failed, 1 attempts in 2 secs): user=<…>`.
pub(super) fn dovecot<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let Some((head, fields)) = line.text.split_once(": user=<") else { return auth_worker(line) };
    let has = |part: &str| head.contains(part);
    let event = if head.ends_with("Login") {
        line.success(Mail)
    } else if has("auth failed") || has("Password mismatch") || has("password mismatch") {
        line.failure(Mail, WrongSecret)
    } else if has("unknown user") || has("Unknown user") {
        line.failure(Mail, NoSuchAccount)
    } else if has("no auth attempts") {
        line.reached(Mail, AuthReason::Broken)
    } else {
        return None;
    };
    // Names are written with `<` and `>` taken out.
    let (user, fields) = fields.split_once('>')?;
    let from = between(fields, "rip=", ",")?;
    let event = event.from(from);
    Some(if user.is_empty() { event } else { event.account(user) })
}

/// `auth-worker(9): sql(NAME,ADDRESS): Password mismatch`.
fn auth_worker<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    let reason = match text.rsplit_once("): ")?.1 {
        rest if rest.starts_with("Password mismatch") => WrongSecret,
        rest if rest.starts_with("unknown user") => NoSuchAccount,
        _ => return None,
    };
    let inner = text.rsplit_once("): ")?.0.rsplit_once('(')?.1;
    let mut parts = inner.split(',');
    let user = parts.next()?;
    Some(line.failure(Mail, reason).account(user).from(parts.next()?))
}

/// Postfix: `warning: host[ADDRESS]: SASL LOGIN authentication failed: …, sasl_username=NAME`; `client=host[ADDRESS], … sasl_username=NAME`.
pub(super) fn postfix<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let user = line
        .text
        .rsplit_once("sasl_username=")
        .map(|(_, user)| user.split([',', ' ']).next().unwrap_or_default());
    let named = |event: AuthEvent<'a>| match user.and_then(some) {
        Some(user) => event.account(user),
        None => event,
    };
    if let Some(rest) = line.text.strip_prefix("warning: ") {
        let at = rest.find("]: SASL ")?;
        let from = rest.get(..at)?.rsplit_once('[')?.1;
        return rest
            .contains("authentication failed")
            .then(|| named(line.failure(Mail, WrongSecret)).from(from));
    }
    let (_, rest) = line.text.split_once(": client=")?;
    user?;
    let from = between(rest, "[", "]")?;
    Some(named(line.success(Mail)).from(from))
}

/// sendmail, saslauthd, Exim and the like as far as they say from where: `AUTH failure (LOGIN): … relay=host [ADDRESS]`.
pub(super) fn sendmail<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    // The client's name for the account stands in front of it.
    let (_, relay) = line.text.rsplit_once("relay=")?;
    if !line.text.contains("AUTH failure") {
        return None;
    }
    let from = between(relay, "[", "]")?;
    let event = line.failure(Mail, WrongSecret).from(from);
    Some(match value(line.text, "user") {
        Some(user) => event.account(user.trim_end_matches(',')),
        None => event,
    })
}

/// MySQL and MariaDB: `Access denied for user 'NAME'@'ADDRESS' (using password: YES)`.
pub(super) fn mysql<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (head, rest) = line.text.split_once("Access denied for user '")?;
    // What is quoted by a statement is no message of the server.
    if head.len() > 80 || head.contains('\'') {
        return None;
    }
    let (who, _) = rest.rsplit_once("' (using password: ").or_else(|| rest.rsplit_once('\''))?;
    let (user, from) = who.rsplit_once("'@'")?;
    Some(line.failure(Database, WrongSecret).account(user).from(from))
}

/// Microsoft SQL Server: `Logon       Login failed for user 'NAME'. Reason: … [CLIENT: ADDRESS]`.
pub(super) fn mssql<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let rest = line.text.strip_prefix("Logon").unwrap_or(line.text).trim_start();
    let is_let_in = rest.starts_with("Login succeeded for user '");
    let rest = rest
        .strip_prefix("Login failed for user '")
        .or_else(|| rest.strip_prefix("Login succeeded for user '"))?;
    let (head, from) = rest.rsplit_once(" [CLIENT: ")?;
    let from = from.strip_suffix(']')?;
    // The name is the client's, the reason is not.
    let (user, why) = head
        .rsplit_once("'. Reason: ")
        .or_else(|| head.rsplit_once("'. Connection made"))
        .or_else(|| head.rsplit_once("'."))?;
    let event = if is_let_in {
        line.success(Database)
    } else if why.contains("Could not find a login") {
        line.failure(Database, NoSuchAccount)
    } else if why.contains("Password did not match") {
        line.failure(Database, WrongSecret)
    } else if why.contains("disabled") {
        line.failure(Database, AuthReason::Disabled)
    } else {
        line.failure(Database, Unknown)
    };
    let event = event.account(user);
    Some(if from == "<local machine>" { event } else { event.from(from) })
}

/// PostgreSQL: `FATAL:  password authentication failed for user "NAME"`, with `client=ADDRESS` or `host=ADDRESS` in the prefix of the line.
pub(super) fn postgres<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (head, rest) = line.text.split_once("FATAL:  ")?;
    let reason = if rest.contains("authentication failed for user \"") {
        WrongSecret
    } else if rest.starts_with("role \"") {
        NoSuchAccount
    } else if rest.starts_with("no pg_hba.conf entry for host \"") {
        NotAllowed
    } else {
        return None;
    };
    let user = between(rest, "user \"", "\"").or_else(|| between(rest, "role \"", "\""))?;
    let event = line.failure(Database, reason).account(user);
    let from = match rest.strip_prefix("no pg_hba.conf entry for host \"") {
        Some(rest) => rest.split('"').next(),
        // A name with the mark in it may have ended the prefix.
        None if rest.contains("FATAL:  ") => None,
        // Account, database and program stand in the prefix too, by the usual ones in front of the address.
        None => ["client=", "host="]
            .iter()
            .filter_map(|mark| head.rsplit_once(mark))
            .min_by_key(|(_, from)| from.len())
            .and_then(|(_, from)| from.split([' ', ',', '(', ']']).next()),
    };
    Some(match from {
        Some(from) => event.from(from),
        None => event,
    })
}

/// Proxmox: `authentication failure; rhost=ADDRESS user=NAME msg=…`.
pub(super) fn proxmox<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    if let Some(rest) =
        line.text.strip_prefix("<").and_then(|rest| rest.split_once("> successful auth for user '"))
    {
        return Some(line.success(Web).account(rest.1.split('\'').next()?));
    }
    let rest = line.text.strip_prefix("authentication failure; ")?;
    let (from, rest) = rest.strip_prefix("rhost=")?.split_once(" user=")?;
    let (user, message) = rest.rsplit_once(" msg=")?;
    let reason = if message.starts_with("no such user") { NoSuchAccount } else { WrongSecret };
    Some(line.failure(Web, reason).account(user).from(from))
}

/// RouterOS: `login failure for user NAME from ADDRESS via web`, `user NAME logged in from ADDRESS via ssh`.
pub(super) fn routeros<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text.trim_start();
    let door = |via: &str| match via {
        "ssh" => Ssh,
        "web" | "winbox" | "api" => Web,
        "ftp" => Ftp,
        "local" => AuthProtocol::Console,
        _ => Other,
    };
    let (head, via) = text.rsplit_once(" via ")?;
    let (head, from) =
        head.rsplit_once(" from ").or_else(|| head.strip_suffix(" from").map(|head| (head, "")))?;
    let event = if let Some(user) = head.strip_prefix("login failure for user") {
        line.failure(door(via.trim()), WrongSecret).account(user.strip_prefix(' ').unwrap_or(user))
    } else if let Some(user) = head.strip_prefix("user ").and_then(|head| head.strip_suffix(" logged in")) {
        line.success(door(via.trim())).account(user)
    } else if let Some(user) = head.strip_prefix("user ").and_then(|head| head.strip_suffix(" logged out")) {
        line.ended(door(via.trim())).account(user)
    } else {
        return None;
    };
    Some(event.from(from))
}

/// Webmin: `Invalid login as NAME from ADDRESS`, `Non-existent login as …`, `Successful login as …`, `Logout by …`.
pub(super) fn webmin<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text.trim_end();
    let event = |mark: &str, event: AuthEvent<'a>| {
        let (user, from) = user_from(text.strip_prefix(mark)?)?;
        Some(event.account(user).from(from))
    };
    event("Invalid login as ", line.failure(Web, WrongSecret))
        .or_else(|| event("Non-existent login as ", line.failure(Web, NoSuchAccount)))
        .or_else(|| event("Successful login as ", line.success(Web)))
        .or_else(|| event("Logout by ", line.ended(Web)))
}

/// fail2ban: somebody whom it shut out. `fail2ban.actions [123]: NOTICE  [JAIL] Ban ADDRESS`.
pub(super) fn fail2ban<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (head, from) = line.text.rsplit_once("] Ban ")?;
    let jail = head.rsplit_once('[')?.1;
    // Its own jail for those who come again repeats what others said.
    if jail == "recidive" {
        return None;
    }
    address(from.trim()).map(|_| line.failure(Other, TooMany).from(from.trim()))
}

/// The Remote Desktop gateway (events 200, 201, 300 to 304 of TerminalServices-Gateway), as text.
pub(super) fn rd_gateway<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (_, rest) = line.text.split_once("The user \"")?;
    let (user, rest) = rest.split_once("\", on client computer \"")?;
    let (from, rest) = rest.split_once("\",")?;
    let is_met = rest.contains("met connection authorization policy")
        || rest.contains("met resource authorization policy");
    let event = if rest.contains("did not meet") || rest.contains("was not authorized") {
        line.failure(AuthProtocol::RdGateway, NotAllowed)
    } else if rest.contains(" connected to resource \"") && !rest.contains("disconnected from") {
        line.success(AuthProtocol::RdGateway)
    } else if rest.contains("disconnected from") {
        line.ended(AuthProtocol::RdGateway)
    } else if is_met {
        line.reached(AuthProtocol::RdGateway, AuthReason::None)
    } else {
        return None;
    };
    Some(event.account(user).from(from))
}

/// Apache httpd (`error_log`) and nginx, whose name is the level of the message.
pub(super) fn web_error<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    // What is quoted in front of it is a request's, not Apache's.
    if let Some((head, rest)) = text.split_once("[client ")
        && !head.contains('"')
    {
        let (from, rest) = rest.split_once("] ")?;
        let rest =
            rest.strip_prefix("AH").and_then(|rest| rest.split_once(": ")).map_or(rest, |(_, rest)| rest);
        let rest = rest.strip_prefix("user ")?;
        let (user, reason) = if let Some((user, _)) = rest.rsplit_once(" not found: ") {
            (user, NoSuchAccount)
        } else if let Some((user, _)) = rest.split_once(": authentication failure for \"") {
            (user, WrongSecret)
        } else {
            return None;
        };
        return Some(line.failure(Web, reason).account(user).from(from));
    }
    // nginx: `9#9: *1 user "NAME": password mismatch, client: ADDRESS, server: …`, `… user "NAME" was not found in "FILE", client: …`
    let (head, rest) = text.split_once(" user \"")?;
    if head.contains('"') {
        return None;
    }
    // A name of basic authentication has no colon; the request and its referrer, which may have any, come later.
    let (rest, from) = rest.split_once(", client: ")?;
    let (user, reason) = match rest.strip_suffix("\": password mismatch") {
        Some(user) => (user, WrongSecret),
        None => (rest.rsplit_once("\" was not found in \"")?.0, NoSuchAccount),
    };
    Some(line.failure(Web, reason).account(user).from(word(from).0.trim_end_matches(',')))
}

//! PAM's modules, and the programs of the machine itself: login, su, sudo, cron (Linux-PAM 0.7 to 1.7, shadow, sudo).

use schema::AuthEvent;
use schema::AuthProtocol::{self, Console, Ftp, Mail, Other, Service, Ssh, Web};
use schema::AuthReason::{Locked, NoSuchAccount, NotAllowed, WrongSecret};

use super::line::{Fill, Line, some, value, word};

/// Whether a message is one of a PAM module.
pub(super) fn is_pam(text: &str) -> bool {
    text.starts_with("pam_") || text.starts_with("(pam_")
}

/// `pam_unix(sshd:auth): …`, `(pam_unix) …`, or the same without it where the program's tag has the module.
pub(super) fn read<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (service, text) = module(line.text);
    let service = some(service).unwrap_or(line.program.split('(').next().unwrap_or_default());
    let protocol = protocol(service);
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        let (user, _) = word(rest);
        return Some(line.success(protocol).account(user.split('(').next().unwrap_or(user)));
    }
    if let Some(rest) = text.strip_prefix("session closed for user ") {
        return Some(line.ended(protocol).account(word(rest).0));
    }
    if let Some(rest) = text.strip_prefix("authentication failure; ") {
        return Some(refused(line, protocol, rest));
    }
    // pam_faillock, pam_tally2.
    if text.contains("account temporarily locked") || text.contains(" tally ") {
        let user = text.split_once("user ").map(|(_, rest)| word(rest).0)?;
        return Some(line.failure(protocol, Locked).account(user.trim_matches(['(', ')', ','])));
    }
    None
}

/// Service and words behind the name of the module.
fn module(text: &str) -> (&str, &str) {
    let text =
        text.strip_prefix("(pam_").and_then(|rest| rest.split_once(") ")).map_or(text, |(_, rest)| rest);
    if !text.starts_with("pam_") {
        return ("", text);
    }
    let Some((name, rest)) = text.split_once(": ") else { return ("", text) };
    let service =
        name.split_once('(').map_or("", |(_, inner)| inner.split([':', ')']).next().unwrap_or_default());
    // `pam_unix(auth)` names no service.
    (if matches!(service, "auth" | "account" | "session") { "" } else { service }, rest)
}

/// `logname= uid=0 euid=0 tty=ssh ruser=NAME rhost=ADDRESS  user=NAME`, of which the first and the last come from outside.
fn refused<'a>(line: &Line<'a>, protocol: AuthProtocol, fields: &'a str) -> AuthEvent<'a> {
    let mut event = line.failure(protocol, WrongSecret);
    let fields = fields.trim_end();
    let start = fields.find("ruser=").map_or(0, |at| at + 6);
    let rest = fields.get(start..).unwrap_or_default();
    let (mut from, mut account, mut is_sure) = ("", "", true);
    // An address has no spaces, so that behind the true one comes nothing or the account. Where several fit, somebody forged one, in the
    // account's name if the remote user has none.
    let is_nameless = rest.starts_with(" rhost=");
    for (at, mark) in rest.match_indices("rhost=") {
        let (host, behind) = word(rest.get(at + mark.len()..).unwrap_or_default());
        let behind = behind.trim_start();
        if behind.is_empty() || behind.starts_with("user=") {
            if !from.is_empty() {
                is_sure = is_nameless;
                break;
            }
            from = host;
            account = some(behind.strip_prefix("user=").unwrap_or_default())
                .unwrap_or(rest.get(..at).unwrap_or_default().trim_end());
        }
    }
    if !from.is_empty() {
        event = if is_sure { event.from(from) } else { event };
    } else if account.is_empty() {
        account = value(fields, "user").or_else(|| value(fields, "ruser")).unwrap_or_default();
    }
    if account.is_empty() { event } else { event.account(account) }
}

fn protocol(service: &str) -> AuthProtocol {
    match service {
        "sshd" | "sshd-session" | "ssh" | "dropbear" => Ssh,
        "vsftpd" | "proftpd" | "pure-ftpd" | "ftp" | "ftpd" => Ftp,
        "dovecot" | "smtp" | "imap" | "pop" | "pop3" | "saslauthd" => Mail,
        "cron" | "crond" | "CRON" | "atd" | "systemd-user" => Service,
        "cockpit" | "webmin" | "httpd" | "apache2" => Web,
        "xrdp-sesman" => AuthProtocol::Rdp,
        "samba" | "smbd" => AuthProtocol::Smb,
        "openvpn" => AuthProtocol::Vpn,
        "login" | "su" | "su-l" | "sudo" | "sudo-i" | "gdm" | "gdm-password" | "lightdm" | "sddm"
        | "remote" | "polkit-1" => Console,
        _ => Other,
    }
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure`, `FAILED LOGIN 1 FROM 192.0.2.1 FOR root, …`, `ROOT LOGIN ON tty1`.
pub(super) fn login<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    if let Some(rest) = text.strip_prefix("FAILED LOGIN ") {
        let (head, tail) = rest.rsplit_once(", ")?;
        let (place, user) = head.split_once(" FOR ")?;
        let user = user.trim_matches('\'');
        let is_unknown = tail.contains("not known") || user == "UNKNOWN" || user == "(unknown)";
        let event = line.failure(Console, if is_unknown { NoSuchAccount } else { WrongSecret }).account(user);
        return Some(
            match place.split_once("FROM ").map(|(_, from)| word(from).0).filter(|from| *from != "(null)") {
                Some(from) => event.from(from),
                None => event,
            },
        );
    }
    if let Some(rest) = text.strip_prefix("ROOT LOGIN ") {
        let event = line.success(Console).account("root");
        return Some(match rest.split_once("FROM ") {
            Some((_, from)) => event.from(from.trim_matches('\'')),
            None => event,
        });
    }
    let rest = text.strip_prefix("LOGIN ON ")?;
    let (_, user) = rest.split_once(" BY ")?;
    Some(match user.split_once(" FROM ") {
        Some((user, from)) => line.success(Console).account(user).from(from),
        None => line.success(Console).account(user),
    })
}

/// `FAILED SU (to root) yamada on pts/1`, `(to root) yamada on pts/1`, `Successful su for root by yamada`, `- pts/1 yamada:root`.
pub(super) fn su<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let text = line.text;
    let to = |text: &'a str| text.strip_prefix("(to ").and_then(|rest| rest.split_once(')'));
    if let Some((target, _)) = text.strip_prefix("FAILED SU ").and_then(to) {
        return Some(line.failure(Console, WrongSecret).account(target));
    }
    if let Some((target, _)) = to(text) {
        return Some(line.success(Console).account(target));
    }
    for (mark, is_let_in) in [("Successful su for ", true), ("FAILED su for ", false)] {
        if let Some(rest) = text.strip_prefix(mark) {
            let (target, _) = rest.split_once(" by ")?;
            let event = if is_let_in { line.success(Console) } else { line.failure(Console, WrongSecret) };
            return Some(event.account(target));
        }
    }
    None
}

/// `yamada : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh`.
pub(super) fn sudo<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (user, rest) = line.text.trim_start().split_once(" : ")?;
    if user.contains(' ') {
        return None;
    }
    let (head, _) = rest.split_once(" ; ").unwrap_or((rest, ""));
    let reason = match head {
        _ if head.contains("incorrect password attempt") => WrongSecret,
        "user NOT in sudoers" | "command not allowed" | "user NOT authorized on host" => NotAllowed,
        _ if head.starts_with("TTY=") || head.starts_with("PWD=") => {
            return Some(line.success(Console).account(user));
        }
        _ => return None,
    };
    Some(line.failure(Console, reason).account(user))
}

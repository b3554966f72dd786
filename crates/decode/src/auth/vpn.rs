//! VPNs: OpenVPN, FortiGate, Palo Alto GlobalProtect, Pulse Secure, SoftEther.

use schema::AuthProtocol::{self, Vpn, Web};
use schema::AuthReason::{
    self, Broken, Disabled, Expired, Locked, NoSuchAccount, NotAllowed, TooMany, Unknown, WrongSecret,
};
use schema::{AuthEvent, Micros};

use super::clock::{self, Civil};
use super::line::{Fill, Line, address, between, pairs, some, word};

/// OpenVPN 2: `ADDRESS:PORT TLS Auth Error: …`, `NAME/ADDRESS:PORT …`, `TLS Error: … from [AF_INET]ADDRESS:PORT`.
pub(super) fn openvpn<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (peer, mut rest) = peer(line.text);
    if let Some((name, behind)) = rest.strip_prefix('[').and_then(|inner| inner.split_once("] ")) {
        // `[client1] Peer Connection Initiated with …`
        rest = behind;
        if rest.starts_with("Peer Connection Initiated") && name != "UNDEF" {
            return Some(at(line.success(Vpn), peer, rest).account(name));
        }
        return None;
    }
    let account = peer.and_then(|peer| peer.0);
    let named = |event: AuthEvent<'a>| match account {
        Some(name) => event.account(name),
        None => event,
    };
    let reason = if rest.starts_with("TLS Auth Error: ")
        || rest.contains("Received control message: AUTH_FAILED")
    {
        WrongSecret
    } else if rest.starts_with("VERIFY ERROR") || rest.starts_with("PLUGIN_CALL: ") && rest.contains("AUTH") {
        NotAllowed
    } else if rest.starts_with("TLS Error: ") || rest.starts_with("OpenSSL: error:") {
        Broken
    } else if rest.starts_with("SIGUSR1[soft,connection-reset]") && account.is_none() {
        // Cut off before there was a name.
        Broken
    } else if rest.starts_with("SIGTERM[soft,") || rest.starts_with("SIGUSR1[soft,") && account.is_some() {
        return Some(at(named(line.ended(Vpn)), peer, rest));
    } else if rest.starts_with("Authentication succeeded") {
        return Some(at(named(line.success(Vpn)), peer, rest));
    } else if rest.starts_with("TLS: Username/Password authentication succeeded for username '") {
        let name = between(rest, "username '", "'")?;
        return Some(at(line.success(Vpn), peer, rest).account(name));
    } else {
        return None;
    };
    let event = at(named(line.failure(Vpn, reason)), peer, rest);
    event.source.is_some().then_some(event)
}

/// A name that was agreed on, and who is at the other end.
type Peer<'a> = (Option<&'a str>, std::net::IpAddr);

fn peer(text: &str) -> (Option<Peer<'_>>, &str) {
    let (first, rest) = word(text);
    let first = first.strip_prefix("us=").map_or(first, |_| word(rest).0);
    if let Some(address) = address(first).filter(|_| first.contains(':')) {
        return (Some((None, address)), rest);
    }
    // Clients' names come from certificates: `NAME/ADDRESS:PORT`, and some write `ADDRESS:PORT/NAME`.
    let parts = first.rsplit_once('/');
    if let Some((name, address)) = parts.and_then(|(name, end)| Some((name, address(end)?))) {
        return (Some((some(name), address)), rest);
    }
    if let Some((address, name)) = first.split_once('/').and_then(|(end, name)| Some((address(end)?, name))) {
        return (Some((some(name), address)), rest);
    }
    (None, text)
}

fn at<'a>(mut event: AuthEvent<'a>, peer: Option<Peer<'a>>, rest: &'a str) -> AuthEvent<'a> {
    event.source = peer.map(|(_, address)| address).or_else(|| {
        let (_, end) = rest
            .rsplit_once("[AF_INET")
            .map(|(before, end)| (before, end.split_once(']').map_or("", |(_, end)| end)))?;
        address(word(end).0)
    });
    event
}

/// FortiOS: `key=value` of logs of type `event`, subtypes `vpn`, `user` and `system`.
pub(super) fn fortigate<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let mut log = Forti::default();
    for (name, value) in pairs(line.text).take(128) {
        let place = match name {
            "action" => &mut log.action,
            "status" => &mut log.status,
            "reason" => &mut log.reason,
            "remip" => &mut log.remip,
            "srcip" => &mut log.srcip,
            "ui" => &mut log.ui,
            "user" => &mut log.user,
            "group" => &mut log.group,
            "logdesc" => &mut log.logdesc,
            "subtype" => &mut log.subtype,
            "devname" => &mut log.devname,
            "tunnelid" => &mut log.tunnel,
            "xauthuser" => &mut log.xauthuser,
            "eventtime" => &mut log.eventtime,
            "date" => &mut log.date,
            "time" => &mut log.time,
            "tz" => &mut log.tz,
            _ => continue,
        };
        *place = value;
    }
    log.event(line)
}

#[derive(Default)]
struct Forti<'a> {
    action: &'a str,
    status: &'a str,
    reason: &'a str,
    remip: &'a str,
    srcip: &'a str,
    ui: &'a str,
    user: &'a str,
    group: &'a str,
    logdesc: &'a str,
    subtype: &'a str,
    devname: &'a str,
    tunnel: &'a str,
    xauthuser: &'a str,
    eventtime: &'a str,
    date: &'a str,
    time: &'a str,
    tz: &'a str,
}

impl<'a> Forti<'a> {
    fn event(&self, line: &Line<'a>) -> Option<AuthEvent<'a>> {
        let mut event = match (self.subtype, self.action) {
            ("vpn", "ssl-login-fail" | "ssl-alert") => line.failure(Vpn, self.reason()),
            ("vpn", "ssl-exit-fail" | "ssl-exit-error") => line.reached(Vpn, Broken),
            ("vpn", "tunnel-up") => line.success(Vpn),
            ("vpn", "tunnel-down") => line.ended(Vpn),
            ("vpn", "negotiate") if self.status == "failure" || self.logdesc.contains("error") => {
                line.failure(Vpn, Unknown)
            }
            ("vpn", "negotiate") if self.status == "success" && self.logdesc.contains("Xauth") => {
                line.success(Vpn)
            }
            ("system", "login") if self.status == "success" => line.success(self.door()),
            ("system", "login") => line.failure(self.door(), self.reason()),
            ("system", "logout") => line.ended(self.door()),
            ("user", "authentication" | "auth-logon" | "FSSO-logon") if self.status == "success" => {
                line.success(Web)
            }
            ("user", "authentication") => line.failure(Web, self.reason()),
            ("user", "auth-logout") => line.ended(Web),
            _ => return None,
        };
        event.at = self.when().unwrap_or(event.at);
        let user = [self.user, self.xauthuser].into_iter().find(|name| !matches!(*name, "" | "N/A"));
        if let Some(user) = user {
            event = event.account(user);
        }
        // Administrators: `ui="https(192.0.2.1)"`.
        let from = [self.remip, self.srcip].into_iter().find(|from| !matches!(*from, "" | "N/A"));
        if let Some(from) = from.or_else(|| between(self.ui, "(", ")")) {
            event = event.from(from);
        }
        if event.host.is_empty() {
            event.host = self.devname;
        }
        event.domain = event.domain.or_else(|| some(self.group).filter(|group| *group != "N/A"));
        event.session = some(self.tunnel).filter(|id| *id != "0").or(event.session);
        Some(event)
    }

    /// `eventtime` in seconds, milli-, micro- or nanoseconds, as versions have it; else the local time with its zone.
    fn when(&self) -> Option<Micros> {
        let count: i64 = self.eventtime.parse().unwrap_or(0);
        match self.eventtime.len() {
            19 => return Some(count / 1_000),
            16 => return Some(count),
            13 => return count.checked_mul(1_000),
            10 => return count.checked_mul(1_000_000),
            _ => {}
        }
        let (civil, _) = clock::date(self.date.as_bytes())?;
        let (micros, _) = clock::time_of_day(self.time.as_bytes())?;
        let (seconds, _) = clock::offset(self.tz.as_bytes())?;
        Civil { micros, ..civil }.at_offset(seconds)
    }

    fn door(&self) -> AuthProtocol {
        match self.ui.split('(').next().unwrap_or_default() {
            "ssh" => AuthProtocol::Ssh,
            "console" | "jsconsole" => AuthProtocol::Console,
            _ => Web,
        }
    }

    fn reason(&self) -> AuthReason {
        match self.reason {
            "sslvpn_login_unknown_user" | "name_invalid" => NoSuchAccount,
            "sslvpn_login_permission_denied" | "sslvpn_login_no_matching_policy" | "ip_not_trusted" => {
                NotAllowed
            }
            "sslvpn_login_password_expired" | "passwd_expired" => Expired,
            "sslvpn_login_cert_required" | "sslvpn_login_cert_checked_error" => NotAllowed,
            "passwd_invalid" | "sslvpn_login_incorrect_2factor" => WrongSecret,
            "exceed_limit" | "blocked" => TooMany,
            _ => Unknown,
        }
    }
}

/// PAN-OS: comma-separated logs of type GLOBALPROTECT, SYSTEM (`globalprotect`, `auth`) and THREAT (brute force of logons).
pub(super) fn paloalto<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let mut fields = [""; 64];
    let count = csv(line.text, &mut fields);
    let field = |at: usize| fields.get(at).copied().filter(|_| at < count).unwrap_or_default();
    match field(3) {
        "GLOBALPROTECT" => global_protect(line, field),
        "SYSTEM" => system(line, field),
        "THREAT" if field(4) == "vulnerability" && field(32).contains("Brute Force") => {
            // The firewall itself counted attempts against the machine behind it.
            let protocol = if field(32).starts_with("SSH") { AuthProtocol::Ssh } else { AuthProtocol::Other };
            let mut event = line.failure(protocol, TooMany).from(field(7));
            if let Some(account) = some(field(12)) {
                event = event.account(account);
            }
            Some(event)
        }
        _ => None,
    }
}

/// PAN-OS 9.1 and later, "GlobalProtect Log Fields".
fn global_protect<'a>(line: &Line<'a>, field: impl Fn(usize) -> &'a str) -> Option<AuthEvent<'a>> {
    let (event_id, stage, user, machine, public, status, error) =
        (field(8), field(9), field(12), field(14), field(15), field(27), field(26));
    let is_failed = status == "failure";
    let mut event = match (event_id, stage) {
        ("gateway-logout" | "portal-logout", _) | (_, "logout") => line.ended(Vpn),
        (_, "login" | "prelogin" | "configuration") if is_failed => line.failure(Vpn, words(error)),
        ("portal-auth" | "gateway-auth" | "gateway-connected" | "gateway-login", _) if is_failed => {
            line.failure(Vpn, words(error))
        }
        ("portal-auth" | "gateway-auth" | "gateway-login", _) => line.success(Vpn),
        _ => return None,
    };
    if let Some(user) = some(user) {
        event = event.account(user);
    }
    event.workstation = some(machine);
    event.source = address(public);
    Some(event)
}

/// `…: user "NAME" from 'ADDRESS'`, `User 'NAME' failed authentication. Reason: …  From: ADDRESS.`
fn system<'a>(line: &Line<'a>, field: impl Fn(usize) -> &'a str) -> Option<AuthEvent<'a>> {
    let (kind, id, text) = (field(4), field(8), field(14));
    if !matches!(kind, "globalprotect" | "auth" | "general") {
        return None;
    }
    let protocol = if kind == "globalprotect" { Vpn } else { Web };
    let lower_has = |word: &str| text.contains(word);
    let mut event = if id.ends_with("-fail")
        || lower_has("failed authentication")
        || lower_has("authentication failed")
    {
        line.failure(protocol, words(text))
    } else if id.ends_with("-succ") || id == "auth-success" || lower_has("authenticated for user") {
        line.success(protocol)
    } else {
        return None;
    };
    let user = between(text, "user '", "'")
        .or_else(|| between(text, "User '", "'"))
        .or_else(|| between(text, "User name: ", ","));
    if let Some(user) = user {
        event = event.account(user);
    }
    let from = ["From: ", "Login from: ", "from '"].iter().find_map(|mark| text.rsplit_once(mark));
    if let Some((_, from)) = from {
        event = event.from(from.split([',', ' ', '\'']).next().unwrap_or_default().trim_end_matches('.'));
    }
    Some(event)
}

fn words(text: &str) -> AuthReason {
    let has = |part: &str| memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some();
    if has("nvalid username/password") || has("nvalid credentials") || has("uthentication failed") {
        WrongSecret
    } else if has("locked") {
        Locked
    } else if has("disabled") {
        Disabled
    } else if has("expired") {
        Expired
    } else if has("not in allow list") || has("not allowed") || has("not permitted") {
        NotAllowed
    } else {
        Unknown
    }
}

/// Fields of a line of comma-separated values, without the quotes around them; how many there were.
fn csv<'a>(text: &'a str, fields: &mut [&'a str]) -> usize {
    let mut rest = text;
    let mut count = 0;
    for place in fields.iter_mut() {
        let (field, next) = match rest.strip_prefix('"').and_then(|inner| inner.split_once('"')) {
            Some((field, behind)) => (field, behind.strip_prefix(',')),
            None => match rest.split_once(',') {
                Some((field, behind)) => (field, Some(behind)),
                None => (rest, None),
            },
        };
        *place = field;
        count += 1;
        let Some(next) = next else { break };
        rest = next;
    }
    count
}

/// Pulse (Ivanti) Connect Secure: `… - ive - [ADDRESS] NAME(Realm)[Roles] - Login failed using auth server … Reason: Failed`.
pub(super) fn pulse<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (_, rest) = line.text.split_once(" - [")?;
    let (from, rest) = rest.split_once("] ")?;
    let from = address(from)?;
    // The name is the client's; a realm has no brackets.
    let at = ["[] - ", ")[", "] - "].iter().find_map(|mark| rest.find(mark))?;
    let (user, realm) = rest.get(..at)?.rsplit_once('(')?;
    let text = rest.rsplit_once(" - ").map(|(_, text)| text)?;
    let has = |part: &str| rest.contains(part);
    let mut event = if has("Login failed") || has("authentication failed") || has("Authentication failed") {
        line.failure(Vpn, if has("Reason: No such user") { NoSuchAccount } else { WrongSecret })
    } else if has("Login succeeded") {
        line.success(Vpn)
    } else if has("Logout from") || has("Session timed out") || text.starts_with("Closed connection") {
        line.ended(Vpn)
    } else if has("not allowed") || has("Sign-in rejected") || has("Login Denied") {
        line.failure(Vpn, NotAllowed)
    } else if has("Account lockout") || has("locked") {
        line.failure(Vpn, Locked)
    } else {
        return None;
    };
    event = event.account(user);
    event.domain = event.domain.or(some(realm.trim_end_matches(')')));
    event.source = Some(from);
    Some(event)
}

/// SoftEther: `Connection "CID-1": User authentication failed. The user name that has been provided was "NAME", from ADDRESS.`
pub(super) fn softether<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let (_, rest) =
        line.text.split_once("User authentication failed. The user name that has been provided was \"")?;
    let (user, from) = rest.rsplit_once("\", from ")?;
    Some(line.failure(Vpn, WrongSecret).account(user).from(from.trim_end_matches('.')))
}

//! Logs of web servers in the common and combined form (Apache httpd `mod_log_config`, nginx `log_format combined`).

use schema::AuthProtocol::{Vpn, Web};
use schema::AuthReason::{NotAllowed, WrongSecret};
use schema::{AuthEvent, Micros};

use super::clock::{Civil, month, number, offset, time_of_day};
use super::line::{Fill, Line};

/// `ADDRESS - NAME [08/Dec/2021:17:23:24 +0100] "GET /path HTTP/1.1" 200 166 "referer" "agent"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Access<'a> {
    pub(super) at: Option<Micros>,
    pub(super) client: &'a str,
    pub(super) user: &'a str,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) status: &'a str,
    pub(super) referer: &'a str,
    pub(super) agent: &'a str,
}

pub(super) fn parse(text: &str) -> Option<Access<'_>> {
    let (client, rest) = text.split_once(' ')?;
    let (_, rest) = rest.split_once(' ')?;
    let at = rest.find(" [")?;
    let user = rest.get(..at)?;
    let (time, rest) = rest.get(at + 2..)?.split_once("] \"")?;
    // Both servers write a quote inside of these as `\"` or `\x22`.
    let (request, rest) = quoted(rest)?;
    let rest = rest.trim_start();
    let (status, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next().unwrap_or_default());
    let (_, rest) = rest.split_once('"').unwrap_or_default();
    let (referer, rest) = quoted(rest).unwrap_or_default();
    let (_, rest) = rest.split_once('"').unwrap_or_default();
    let (agent, _) = quoted(rest).unwrap_or_default();
    Some(Access { at: when(time.as_bytes()), client, user, method, target, status, referer, agent })
}

/// Whether a line is surely one of these, whatever is quoted in it.
pub(super) fn is_one(text: &str) -> bool {
    let client = text.split(' ').next().unwrap_or_default();
    client.parse::<std::net::IpAddr>().is_ok() && parse(text).is_some_and(|access| access.at.is_some())
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// `08/Dec/2021:17:23:24 +0100`.
fn when(text: &[u8]) -> Option<Micros> {
    let (day, 2) = number(text, 2)? else { return None };
    let month = month(text.get(3..)?)?;
    let (year, 4) = number(text.get(7..)?, 4)? else { return None };
    let (micros, _) = time_of_day(text.get(12..)?)?;
    let (seconds, _) = offset(text.get(21..)?)?;
    Civil { year, month, day: day as u32, micros }.at_offset(seconds)
}

/// Wrong and right passwords of basic authentication, and reading a VPN's sessions and passwords without one.
pub(super) fn read<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let access = parse(line.text)?;
    let stamped = |mut event: AuthEvent<'a>| {
        event.at = access.at.unwrap_or(event.at);
        event.session = None;
        event.from(access.client)
    };
    if steals(access.target) {
        return Some(stamped(line.failure(Vpn, NotAllowed)));
    }
    // A browser asks without a name first.
    if matches!(access.user, "-" | "" | "\"\"") {
        return None;
    }
    let event = match access.status {
        "401" => line.failure(Web, WrongSecret),
        "403" => line.failure(Web, NotAllowed),
        _ if access.status.starts_with(['2', '3']) => line.success(Web),
        _ => return None,
    };
    Some(stamped(event.account(access.user)))
}

/// FortiOS CVE-2018-13379 and Pulse CVE-2019-11510: paths that climb out of the VPN's own folder to its sessions and passwords.
pub(super) fn steals(target: &str) -> bool {
    // Bounded: what is longer than a path can be is looked at as far as that.
    let target = target.as_bytes();
    let target = target.get(..target.len().min(4_096)).unwrap_or_default();
    let has = |text: &[u8], part: &str| memchr::memmem::find(text, part.as_bytes()).is_some();
    if !has(target, "sslvpn_websession") && !has(target, "dana") && !has(target, "fgt_lang") {
        return false;
    }
    let plain = unescaped(target);
    let is_fortios =
        has(&plain, "/remote/fgt_lang") && (has(&plain, "/../") || has(&plain, "sslvpn_websession"));
    let is_pulse =
        has(&plain, "/dana-na/") && has(&plain, "/../") && has(&plain, "/dana/html5acc/guacamole/");
    is_fortios || is_pulse
}

/// Lower case, `%2E` read, twice, as some servers do.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = text.to_ascii_lowercase();
    for _ in 0..2 {
        let mut out = Vec::with_capacity(plain.len());
        let mut at = 0;
        while let Some(&byte) = plain.get(at) {
            let digit = |at: usize| plain.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            match (byte, digit(at + 1), digit(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    out.push(((high * 16 + low) as u8).to_ascii_lowercase());
                    at += 3;
                }
                _ => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        plain = out;
    }
    plain
}

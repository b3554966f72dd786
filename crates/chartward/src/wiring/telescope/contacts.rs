//! Whose networks are whose, out of files that people fetched: CSV, RDAP (RFC 9083) or whois text. Nothing is asked of anybody.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use judge::telescope::Contacts;
use serde_json::Value;

const BYTES_MAX: u64 = 64 << 20;
const TEXT_MAX: usize = 200;
/// Entities inside entities.
const DEPTH_MAX: usize = 6;
/// Prefixes that one range falls into.
const PREFIXES_MAX: usize = 256;

/// Reads all files; an unreadable one is an error, since a letter would go to the wrong place or nowhere.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Contacts> {
    let mut contacts = Contacts::default();
    for path in files {
        let text = text(path).with_context(|| format!("read {}", path.display()))?;
        let before = contacts.len();
        let found = if text.trim_start().starts_with(['{', '[']) {
            rdap(&text).with_context(|| format!("read {} as RDAP", path.display()))?
        } else if text.lines().any(|line| fields(line).first().is_some_and(|it| it.parse::<IpNet>().is_ok()))
        {
            csv(&text).with_context(|| format!("read {} as CSV", path.display()))?
        } else {
            whois(&text)
        };
        for Found { prefixes, name, email } in found {
            let (name, email) = (plain(&name), plain(&email));
            prefixes.into_iter().take(PREFIXES_MAX).for_each(|prefix| contacts.add(prefix, &name, &email));
        }
        ensure!(contacts.len() > before || before > 0, "{} names no network", path.display());
    }
    Ok(contacts)
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    prefixes: Vec<IpNet>,
    name: String,
    email: String,
}

fn text(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        // What JPNIC's and older whois servers write, and what spreadsheets save.
        Err(_) if bytes.windows(3).any(|it| matches!(it, b"\x1b$B" | b"\x1b$@")) => {
            encoding_rs::ISO_2022_JP.decode(&bytes).0.into_owned()
        }
        Err(_) => encoding_rs::SHIFT_JIS.decode(&bytes).0.into_owned(),
    };
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// One line, without what would command a terminal or begin another header of a mail.
fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control() && !matches!(char, '<' | '>')).take(TEXT_MAX).collect()
}

fn csv(text: &str) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let fields = fields(line);
        let Some(first) = fields.first().filter(|it| !it.is_empty() && !it.starts_with('#')) else {
            continue;
        };
        let prefix: IpNet = match first.parse() {
            Ok(prefix) => prefix,
            Err(_) if number == 1 => continue,
            Err(_) => anyhow::bail!("line {number}: {first:?} is no prefix such as 192.0.2.0/24"),
        };
        let at = |place: usize| fields.get(place).cloned().unwrap_or_default();
        found.push(Found { prefixes: vec![prefix], name: at(1), email: at(2) });
    }
    Ok(found)
}

/// RFC 4180 without line ends inside fields.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

fn rdap(text: &str) -> anyhow::Result<Vec<Found>> {
    let value: Value = serde_json::from_str(text)?;
    let list = value.as_array().map_or_else(|| vec![&value], |list| list.iter().collect());
    Ok(list.into_iter().map(rdap_network).filter(|it| !it.prefixes.is_empty()).collect())
}

fn rdap_network(it: &Value) -> Found {
    let cidr = |it: &Value| {
        let prefix = it["v4prefix"].as_str().or(it["v6prefix"].as_str())?;
        IpNet::new(prefix.parse().ok()?, u8::try_from(it["length"].as_u64()?).ok()?).ok()
    };
    let mut prefixes: Vec<IpNet> =
        it["cidr0_cidrs"].as_array().into_iter().flatten().filter_map(cidr).collect();
    if prefixes.is_empty()
        && let (Some(from), Some(to)) = (it["startAddress"].as_str(), it["endAddress"].as_str())
    {
        prefixes = range(from, to);
    }
    let mut email = (0, String::new());
    let mut name = it["name"].as_str().unwrap_or_default().to_owned();
    entities(it, DEPTH_MAX, &mut email, &mut name);
    Found { prefixes, name, email: email.1 }
}

/// The address for abuse before any other; the registrant's name before the network's.
fn entities(of: &Value, depth: usize, email: &mut (u8, String), name: &mut String) {
    for entity in of["entities"].as_array().into_iter().flatten() {
        let has_role = |role: &str| entity["roles"].as_array().into_iter().flatten().any(|it| it == role);
        let card = |kind: &str| {
            let lines = entity["vcardArray"][1].as_array().into_iter().flatten();
            lines.filter(|line| line[0] == kind).find_map(|line| line[3].as_str()).map(str::to_owned)
        };
        let worth = if has_role("abuse") {
            3
        } else if has_role("technical") {
            2
        } else {
            1
        };
        if let Some(found) = card("email").filter(|it| it.contains('@') && worth > email.0) {
            *email = (worth, found);
        }
        if let Some(found) = card("fn").filter(|_| has_role("registrant")) {
            *name = found;
        }
        if depth > 0 {
            entities(entity, depth - 1, email, name);
        }
    }
}

/// Objects of RIPE, APNIC, ARIN and JPNIC: `name: value` or `a. [Name] value`; a network line begins a new one.
fn whois(text: &str) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut is_abuse = false;
    for line in text.lines().filter(|line| !line.starts_with(['%', '#'])) {
        let Some((key, value)) = key_and_value(line) else { continue };
        match key.as_str() {
            "inetnum" | "inet6num" | "netrange" | "cidr" | "network number" | "ipネットワークアドレス" =>
            {
                let prefixes = networks(&value);
                let is_same =
                    key == "cidr" && all.last().is_some_and(|it| it.name.is_empty() && it.email.is_empty());
                match all.last_mut().filter(|_| is_same) {
                    Some(last) => last.prefixes = prefixes,
                    None if !prefixes.is_empty() => {
                        all.push(Found { prefixes, ..Found::default() });
                        is_abuse = false;
                    }
                    None => {}
                }
            }
            "netname" | "network name" | "ネットワーク名" => {
                set(&mut all, |it| &mut it.name, &value, false)
            }
            "orgname" | "org-name" | "organization" | "組織名" => {
                set(&mut all, |it| &mut it.name, &value, true)
            }
            "abuse-mailbox" | "orgabuseemail" | "abuse" => {
                set(&mut all, |it| &mut it.email, &value, !is_abuse);
                is_abuse = true;
            }
            "e-mail" | "電子メール" | "orgtechemail" => set(&mut all, |it| &mut it.email, &value, false),
            _ => {}
        }
    }
    all
}

fn set(all: &mut [Found], field: fn(&mut Found) -> &mut String, value: &str, replaces: bool) {
    if let Some(last) = all.last_mut() {
        let field = field(last);
        if (replaces || field.is_empty()) && !value.is_empty() {
            value.clone_into(field);
        }
    }
}

fn key_and_value(line: &str) -> Option<(String, String)> {
    if let Some((_, rest)) = line.split_once('[')
        && let Some((key, value)) = rest.split_once(']')
    {
        return Some((key.trim().to_lowercase(), value.trim().to_owned()));
    }
    let (key, value) = line.split_once(':')?;
    Some((key.trim().to_lowercase(), value.trim().to_owned()))
}

fn networks(value: &str) -> Vec<IpNet> {
    if let Some((from, to)) = value.split_once('-') {
        return range(from.trim(), to.trim());
    }
    value.split([',', ' ']).filter_map(|it| it.trim().parse().ok()).collect()
}

fn range(from: &str, to: &str) -> Vec<IpNet> {
    match (from.parse(), to.parse()) {
        (Ok(IpAddr::V4(from)), Ok(IpAddr::V4(to))) if from <= to => {
            Ipv4Subnets::new(from, to, 0).map(IpNet::V4).collect()
        }
        (Ok(IpAddr::V6(from)), Ok(IpAddr::V6(to))) if from <= to => {
            Ipv6Subnets::new(from, to, 0).take(PREFIXES_MAX).map(IpNet::V6).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contacts");
        std::fs::write(&path, text).unwrap();
        let contacts = read(&[path]).unwrap();
        for (address, name, email) in expected {
            let network =
                contacts.of(address.parse().unwrap()).unwrap_or_else(|| panic!("{address} in {text}"));
            assert_eq!((network.name.as_str(), network.email.as_str()), (*name, *email), "{text}");
        }
    }

    #[test]
    fn contacts_are_read_in_each_form() {
        check(
            "prefix,name,email\r\n192.0.2.0/24,\"Example, Inc.\",abuse@example.test\n# comment\n2001:db8::/32,六,x@example.test\n",
            &[("192.0.2.9", "Example, Inc.", "abuse@example.test"), ("2001:db8::1", "六", "x@example.test")],
        );
        check(
            r#"{"startAddress":"198.51.100.0","endAddress":"198.51.100.255","name":"EX-NET","entities":[
                {"roles":["registrant"],"vcardArray":["vcard",[["fn",{},"text","Example Ltd"],["email",{},"text","info@example.test"]]],
                 "entities":[{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","abuse@example.test"]]]}]}]}"#,
            &[("198.51.100.77", "Example Ltd", "abuse@example.test")],
        );
        check(
            r#"{"cidr0_cidrs":[{"v4prefix":"203.0.113.0","length":24}],"name":"N"}"#,
            &[("203.0.113.1", "N", "")],
        );
        check(
            "% comment\ninetnum:        192.0.2.0 - 192.0.2.127\nnetname:        EXAMPLE\ne-mail: tech@example.test\nabuse-mailbox: abuse@example.test\n",
            &[("192.0.2.5", "EXAMPLE", "abuse@example.test")],
        );
        check(
            "NetRange:       192.0.2.0 - 192.0.2.255\nCIDR:           192.0.2.0/24\nNetName:        EX\nOrgName:        Example Org\nOrgAbuseEmail:  abuse@example.test\n",
            &[("192.0.2.200", "Example Org", "abuse@example.test")],
        );
        check(
            "a. [IPネットワークアドレス]     198.51.100.0/25\nb. [ネットワーク名]             EXAMPLE-JP\ng. [Organization]               Example KK\nAbuse: abuse@example.test\n",
            &[("198.51.100.3", "Example KK", "abuse@example.test")],
        );
    }

    #[test]
    fn files_that_name_nothing_are_refused_and_no_field_breaks_a_letter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contacts");
        for text in ["", "nothing\n", "{\"a\":1}", "{", "192.0.2.0/24,a,b\nbad,c,d\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(read(std::slice::from_ref(&path)).is_err(), "{text}");
        }
        assert_eq!(plain("a\u{1b}[2J\r\nBcc: x<y>"), "a[2JBcc: xy");
    }
}

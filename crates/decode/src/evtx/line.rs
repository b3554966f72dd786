//! Whether a line of a log can hold a Windows record.

use crate::auth;

/// What the body of a line is, which may still turn out to hold no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'l> {
    /// An object of JSON, for [`Reader::json`](super::Reader::json).
    Json(&'l [u8]),
    /// XML, for [`Reader::xml`](super::Reader::xml).
    Xml(&'l [u8]),
}

/// The body of a line that can be a Windows record, alone or behind a header of syslog. Every line is asked, so that it is cheap.
///
/// Only the beginning of the body counts: what stands in the middle of a line somebody outside may have written.
pub fn text(line: &[u8]) -> Option<Text<'_>> {
    let has = |text: &[u8], part: &str| memchr::memmem::find(text, part.as_bytes()).is_some();
    let bracket = memchr::memchr2(b'{', b'<', line)?;
    if memchr::memchr(b'{', &line[bracket..]).is_none() && !has(line, "<Event") {
        return None;
    }
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let body = if begins(line) { line } else { auth::body(line) };
    if !begins(body) {
        return None;
    }
    if !body.starts_with(b"{") {
        return Some(Text::Xml(body));
    }
    // A long message or many fields may stand before the name that tells.
    let names = ["\"winlog", "EventID", "EventId", "Event_ID", "\"Event\"", "event_id\""];
    names.iter().any(|name| has(body, name)).then_some(Text::Json(body))
}

fn begins(text: &[u8]) -> bool {
    ["{", "<Event ", "<Event>", "<Events", "<?xml", "- <Event"]
        .iter()
        .any(|start| text.starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"EventID":4625,"Channel":"Security"}"#;
    const XML: &str = "<Event xmlns='x'><System/></Event>";

    #[test]
    fn records_are_found_alone_and_behind_headers_of_syslog() {
        for head in [
            "",
            "\u{feff}",
            " ",
            "<14>1 2026-11-23T10:00:00.5+09:00 ad1.example Microsoft-Windows-Security-Auditing 728 - [NXLOG@14506 EventID=\"4625\" a=\"\\]{\"] ",
            "<14>1 2026-11-23T10:00:00Z ad1 app - - - \u{feff}",
            "<13>Nov 23 10:00:00 ad1 LOGSTASH[-]: ",
            "<13>Nov 23 10:00:00 ad1 ",
            "Nov 23 10:00:00 ad1 nxlog[7]: ",
        ] {
            let (json, xml) = (format!("{head}{JSON}"), format!("{head}{XML}"));
            assert_eq!(text(json.as_bytes()), Some(Text::Json(JSON.as_bytes())), "{json}");
            assert_eq!(text(xml.as_bytes()), Some(Text::Xml(XML.as_bytes())), "{xml}");
        }
        let late = format!("{{\"message\":\"{}\",\"winlog\":{{}}}}", "x".repeat(10_000));
        assert_eq!(text(late.as_bytes()), Some(Text::Json(late.as_bytes())));
        let bytes = b"<13>Nov 23 10:00:00 ad1 app: {\"EventID\":1,\"a\":\"\xff\"}";
        assert_eq!(text(bytes), Some(Text::Json(bytes.get(29..).unwrap())));
    }

    #[test]
    fn what_a_line_holds_in_its_middle_makes_no_record_of_it() {
        for line in [
            "<38>Nov  1 00:00:00 emr1 sshd[7]: Failed password for invalid user <Event from 198.51.100.7 port 5 ssh2",
            "<38>Nov  1 00:00:00 emr1 sshd[7]: Invalid user {\"EventID\":1} from 198.51.100.7 port 5",
            "198.51.100.7 - - [01/Nov/2026:09:00:00 +0900] \"GET /<Event><System/></Event> HTTP/1.1\" 404 5",
            "<Eventually",
            "{\"a\":1}",
            "<14>",
            "",
        ] {
            assert_eq!(text(line.as_bytes()), None, "{line}");
        }
    }
}

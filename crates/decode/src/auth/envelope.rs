//! What stands around a message: the header of RFC 3164 and RFC 5424, or the time at the beginning of a line of a file.

use schema::Micros;

use super::clock::{Civil, Clock, date, month, number, offset, time_of_day};

/// A line without its header. Everything is as written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Envelope<'a> {
    pub(super) at: Option<Micros>,
    pub(super) host: &'a str,
    pub(super) program: &'a str,
    pub(super) pid: &'a str,
    pub(super) text: &'a str,
}

/// How a time was written decides what comes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// The machine, then the program.
    Host,
    /// The program, or the message at once; a machine only where a tag follows.
    Perhaps,
    /// The message.
    Text,
}

/// Takes the header off. A line without any is a message.
pub(super) fn split<'a>(line: &'a str, clock: &mut Clock) -> Envelope<'a> {
    let line = priority(line);
    if let Some(rest) = line.strip_prefix("1 ")
        && let Some(envelope) = rfc5424(rest)
    {
        return envelope;
    }
    let Some((at, behind, used)) = time(line, clock) else { return untimed(line) };
    let rest = line.get(used..).unwrap_or_default().trim_start();
    let envelope = match behind {
        Behind::Text => Envelope { text: rest, ..Envelope::default() },
        Behind::Host => with_host(rest),
        Behind::Perhaps => perhaps(rest),
    };
    Envelope { at: Some(at), ..envelope }
}

/// Without `<134>`.
fn priority(line: &str) -> &str {
    let Some(rest) = line.strip_prefix('<') else { return line };
    let Some((_, used)) = number(rest.as_bytes(), 3) else { return line };
    rest.get(used..).and_then(|rest| rest.strip_prefix('>')).unwrap_or(line)
}

/// RFC 5424 §6, behind the version: TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG.
fn rfc5424(rest: &str) -> Option<Envelope<'_>> {
    let mut fields = rest.splitn(6, ' ');
    let mut field = || fields.next().map(|field| if field == "-" { "" } else { field });
    let (time, host, program, pid, _id) = (field()?, field()?, field()?, field()?, field()?);
    let rest = fields.next().unwrap_or_default();
    let at = if time.is_empty() { None } else { Some(iso(time.as_bytes())?.0) };
    let text = structured(rest)?;
    Some(Envelope {
        at: at.flatten(),
        host,
        program: base(program),
        pid,
        text: text.trim_start_matches('\u{feff}'),
    })
}

/// Behind `-` or `[id name="value" …]…`.
fn structured(rest: &str) -> Option<&str> {
    if let Some(rest) = rest.strip_prefix('-') {
        return Some(rest.strip_prefix(' ').unwrap_or(rest));
    }
    let bytes = rest.as_bytes();
    let (mut at, mut is_quoted) = (0, false);
    if bytes.first() != Some(&b'[') {
        return Some(rest);
    }
    loop {
        match bytes.get(at)? {
            b'\\' if is_quoted => at += 1,
            b'"' => is_quoted = !is_quoted,
            b']' if !is_quoted && bytes.get(at + 1) != Some(&b'[') => {
                let rest = rest.get(at + 1..)?;
                return Some(rest.strip_prefix(' ').unwrap_or(rest));
            }
            _ => {}
        }
        at += 1;
    }
}

/// An ISO 8601 time with its zone; `None` inside: it has none, so that nobody knows when it was.
fn iso(text: &[u8]) -> Option<(Option<Micros>, usize)> {
    let (civil, used) = civil(text)?;
    Some(match text.get(used..).and_then(offset) {
        Some((seconds, more)) => (civil.at_offset(seconds), used + more),
        None => (None, used),
    })
}

/// `2024-12-15T14:10:00.5`, with `/` for `-` and a space for `T` too.
fn civil(text: &[u8]) -> Option<(Civil, usize)> {
    if !matches!(text.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let (day, _) = date(text)?;
    let (micros, used) = time_of_day(text.get(11..)?)?;
    Some((Civil { micros, ..day }, 11 + used))
}

/// The time at the beginning of a line, what stands behind it, and where.
fn time(line: &str, clock: &mut Clock) -> Option<(Micros, Behind, usize)> {
    let text = line.as_bytes();
    match text.first()? {
        b'0'..=b'9' => digits(text, clock),
        b'[' => bracketed(text, clock),
        _ => named(text, clock),
    }
}

fn digits(text: &[u8], clock: &mut Clock) -> Option<(Micros, Behind, usize)> {
    if let Some((micros, used)) = time_of_day(text) {
        return Some((clock.dayless(micros), Behind::Text, used));
    }
    let (civil, used) = civil(text)?;
    let zone = text.get(used..).and_then(offset);
    let at = match zone {
        Some((seconds, _)) => civil.at_offset(seconds),
        None => clock.local(civil),
    };
    let used = used + zone.map_or(0, |(_, more)| more);
    // A bare number behind a space is no header of syslog: `2020-02-24 16:05:21.00 Logon …`.
    let behind = if text.get(10) == Some(&b' ') { Behind::Perhaps } else { Behind::Host };
    Some((at?, behind, used))
}

/// `[20220407-12:11:06] `, `[Sat Mar 01 12:00:00.123456 2025] `, `[2022-04-07 12:00:00] ` and the like.
fn bracketed(text: &[u8], clock: &mut Clock) -> Option<(Micros, Behind, usize)> {
    let end = memchr::memchr(b']', text.get(..48.min(text.len()))?)?;
    let inner = text.get(1..end)?;
    let at = match inner {
        [y1, y2, y3, y4, m1, m2, d1, d2, b'-' | b' ' | b'T', rest @ ..]
            if y1.is_ascii_digit() && d2.is_ascii_digit() =>
        {
            let (year, 4) = number(&[*y1, *y2, *y3, *y4], 4)? else { return None };
            let (month, 2) = number(&[*m1, *m2], 2)? else { return None };
            let (day, 2) = number(&[*d1, *d2], 2)? else { return None };
            let (micros, _) = time_of_day(rest)?;
            clock.local(Civil { year, month: month as u32, day: day as u32, micros })?
        }
        [b'0'..=b'9', ..] => digits(inner, clock)?.0,
        _ => {
            let (at, _, used) = named(inner, clock)?;
            // Every byte of it belongs to the time, else it is some other mark, such as a module.
            (used == inner.len()).then_some(at)?
        }
    };
    Some((at, Behind::Text, end + 1))
}

/// `Mar  1 12:00:00`, `Mar 1 2025 12:00:00`, `Sat Mar  1 12:00:00 2025`, `apr 15, 2013 8:34:08 PM`.
fn named(text: &[u8], clock: &mut Clock) -> Option<(Micros, Behind, usize)> {
    let mut at = 0;
    let is_weekday = month(text).is_none();
    if is_weekday {
        let day = text.get(..3)?;
        if !day.iter().all(u8::is_ascii_alphabetic) || text.get(3) != Some(&b' ') {
            return None;
        }
        at = 4;
    }
    let name = month(text.get(at..)?)?;
    at += 3;
    if text.get(at) != Some(&b' ') {
        return None;
    }
    at += spaces(text, at);
    let (day, used) = number(text.get(at..)?, 2)?;
    at += used;
    if text.get(at) == Some(&b',') {
        return wordy(text, at + 1, name, day as u32, clock);
    }
    at += spaces(text, at);
    let mut year = None;
    if let Some((found, 4)) = number(text.get(at..)?, 4).filter(|_| text.get(at + 4) == Some(&b' ')) {
        year = Some(found);
        at += 5;
    }
    let (micros, used) = time_of_day(text.get(at..)?)?;
    at += used;
    let mut behind = Behind::Host;
    if let (None, Some((found, 4))) = (year, text.get(at + 1..).and_then(|rest| number(rest, 4))) {
        let closes = matches!(text.get(at + 5), None | Some(b' ' | b']'));
        if text.get(at) == Some(&b' ') && is_weekday && closes {
            (year, behind) = (Some(found), Behind::Text);
            at += 5;
        }
    }
    let found = match year {
        Some(year) => clock.local(Civil { year, month: name, day: day as u32, micros })?,
        None => clock.yearless(name, day as u32, micros)?,
    };
    Some((found, behind, at))
}

/// Java's short form behind the day: `2013 8:34:08 PM`.
fn wordy(
    text: &[u8],
    mut at: usize,
    month: u32,
    day: u32,
    clock: &mut Clock,
) -> Option<(Micros, Behind, usize)> {
    at += spaces(text, at);
    let (year, 4) = number(text.get(at..)?, 4)? else { return None };
    at += 4;
    at += spaces(text, at);
    let (hours, used) = number(text.get(at..)?, 2)?;
    at += used;
    let [b':', m1, m2, b':', s1, s2, b' ', half, b'M' | b'm', ..] = text.get(at..)? else { return None };
    let (minutes, 2) = number(&[*m1, *m2], 2)? else { return None };
    let (seconds, 2) = number(&[*s1, *s2], 2)? else { return None };
    let hours = hours % 12 + if half.eq_ignore_ascii_case(&b'P') { 12 } else { 0 };
    let micros = (hours * 3_600 + minutes * 60 + seconds) * 1_000_000;
    Some((clock.local(Civil { year, month, day, micros })?, Behind::Text, at + 9))
}

fn spaces(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count()
}

/// `host program[pid]: text`, `program[pid]: text`, `host text`.
fn with_host(rest: &str) -> Envelope<'_> {
    if let Some(envelope) = tagged(rest) {
        return envelope;
    }
    let (host, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let behind = behind.trim_start();
    match tagged(behind) {
        Some(envelope) => Envelope { host, ..envelope },
        None => Envelope { host, ..untagged(behind) },
    }
}

fn perhaps(rest: &str) -> Envelope<'_> {
    if let Some(envelope) = tagged(rest) {
        return envelope;
    }
    if let Some((host, behind)) = rest.split_once(' ')
        && let Some(envelope) = tagged(behind).filter(|envelope| !envelope.pid.is_empty())
    {
        return Envelope { host, ..envelope };
    }
    Envelope { text: rest, ..Envelope::default() }
}

/// A journal in short form without its times has a pid in its tag; nothing less is taken for a header.
fn untimed(line: &str) -> Envelope<'_> {
    let with_pid = |text: &'_ str| -> bool { tagged(text).is_some_and(|it| !it.pid.is_empty()) };
    if with_pid(line) {
        return tagged(line).unwrap_or_default();
    }
    if let Some((host, behind)) = line.split_once(' ')
        && with_pid(behind)
        && !host.is_empty()
    {
        return Envelope { host, ..tagged(behind).unwrap_or_default() };
    }
    Envelope { text: line, ..Envelope::default() }
}

/// RFC 3164 §4.1.3: `program:`, `program[pid]:`, and what some write instead: `[program]:`, `[program]`, `program(module)[pid]:`,
/// `program   [pid]:`.
fn tagged(rest: &str) -> Option<Envelope<'_>> {
    let bytes = rest.as_bytes();
    if let Some(inner) = rest.strip_prefix('[') {
        let end = memchr::memchr(b']', inner.as_bytes().get(..32.min(inner.len()))?)?;
        let program = inner.get(..end)?;
        let is_name = program.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let behind = inner.get(end + 1..)?;
        let behind = behind.strip_prefix(':').unwrap_or(behind).strip_prefix(' ')?;
        let is_pid = program.bytes().all(|byte| byte.is_ascii_digit());
        return (is_name && !is_pid).then(|| Envelope {
            program,
            text: behind.trim_start(),
            ..Envelope::default()
        });
    }
    let end = bytes.iter().take(64).position(|byte| matches!(byte, b' ' | b':' | b'['))?;
    let program = rest.get(..end)?;
    // `{"EventID": 4625` is no tag either.
    if program.is_empty() || program.starts_with('{') {
        return None;
    }
    let program = base(program);
    match bytes.get(end)? {
        b':' => {
            let text = rest.get(end + 1..)?;
            // `2001:db8::1` and `192.0.2.1:5000` are no tags.
            (text.is_empty() || text.starts_with(' ')).then(|| Envelope {
                program,
                text: text.trim_start(),
                ..Envelope::default()
            })
        }
        b'[' => with_pid(program, rest.get(end + 1..)?),
        _ => {
            let behind = rest.get(end..)?.trim_start().strip_prefix('[')?;
            with_pid(program, behind)
        }
    }
}

/// Behind `program[`.
fn with_pid<'a>(program: &'a str, rest: &'a str) -> Option<Envelope<'a>> {
    let end = memchr::memchr(b']', rest.as_bytes().get(..24.min(rest.len()))?)?;
    // Logstash has no number and writes `LOGSTASH[-]:`.
    let pid = rest.get(..end).map(|pid| if pid == "-" { "" } else { pid })?;
    if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = rest.get(end + 1..)?.strip_prefix(':')?;
    Some(Envelope { program, pid, text: text.trim_start(), ..Envelope::default() })
}

/// Behind the machine, where no tag is: RouterOS writes its topics there.
fn untagged(rest: &str) -> Envelope<'_> {
    match rest.split_once(' ') {
        Some((topics, text))
            if topics.contains(',')
                && topics.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b',') =>
        {
            Envelope { program: topics, text, ..Envelope::default() }
        }
        _ => Envelope { text: rest, ..Envelope::default() },
    }
}

/// A program without its folder; `postfix/submission/smtpd` is `smtpd`.
fn base(program: &str) -> &str {
    memchr::memrchr(b'/', program.as_bytes()).and_then(|at| program.get(at + 1..)).unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn check(line: &str, at: &str, host: &str, program: &str, pid: &str, text: &str) {
        let at_of = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let mut clock = Clock::new(at_of("2026-11-23T00:00:00Z"), TimeZone::get("Asia/Tokyo").unwrap());
        let envelope = split(line, &mut clock);
        let expected = (!at.is_empty()).then(|| at_of(at));
        let found = (envelope.at, envelope.host, envelope.program, envelope.pid, envelope.text);
        assert_eq!(found, (expected, host, program, pid, text), "{line}");
    }

    #[test]
    fn headers_of_syslog_are_taken_off() {
        check(
            "<38>Nov  1 09:00:00 emr1 sshd[42]: hello",
            "2026-11-01T00:00:00Z",
            "emr1",
            "sshd",
            "42",
            "hello",
        );
        check("Nov  1 09:00:00 emr1 LOGSTASH[-]: {}", "2026-11-01T00:00:00Z", "emr1", "LOGSTASH", "", "{}");
        check("Nov  1 09:00:00 emr1 {\"a\": 1}", "2026-11-01T00:00:00Z", "emr1", "", "", "{\"a\": 1}");
        check("Nov  1 09:00:00 emr1 su: hello", "2026-11-01T00:00:00Z", "emr1", "su", "", "hello");
        check("Dec  1 09:00:00 sshd[42]: hello", "2025-12-01T00:00:00Z", "", "sshd", "42", "hello");
        check("Nov 01 2024 09:00:00 fw sshd[1]: x", "2024-11-01T00:00:00Z", "fw", "sshd", "1", "x");
        check("Nov  1 09:00:00 [sshd]: hello you", "2026-11-01T00:00:00Z", "", "sshd", "", "hello you");
        check("Nov  1 09:00:00 [sshd] hello you", "2026-11-01T00:00:00Z", "", "sshd", "", "hello you");
        check(
            "Nov  1 09:00:00 emr1 sshd(pam_unix)[7]: x",
            "2026-11-01T00:00:00Z",
            "emr1",
            "sshd(pam_unix)",
            "7",
            "x",
        );
        check(
            "<5>1 2026-11-01T09:00:00.5+09:00 emr1.example sshd 42 - - hello",
            "2026-11-01T00:00:00.5Z",
            "emr1.example",
            "sshd",
            "42",
            "hello",
        );
        check(
            r#"<5>1 2026-11-01T00:00:00Z emr1 sshd - ID [a b="\"]"][c d="["] hello"#,
            "2026-11-01T00:00:00Z",
            "emr1",
            "sshd",
            "",
            "hello",
        );
        check("<5>1 - - - - - -", "", "", "", "", "");
        check(
            "2026-11-01T09:00:00.25+0900 emr1 postfix/submission/smtpd[9]: x",
            "2026-11-01T00:00:00.25Z",
            "emr1",
            "smtpd",
            "9",
            "x",
        );
        check(
            "Nov  1 09:00:00 gw.local system,error,critical login failure",
            "2026-11-01T00:00:00Z",
            "gw.local",
            "system,error,critical",
            "",
            "login failure",
        );
    }

    #[test]
    fn times_of_files_are_read_and_the_rest_is_the_message() {
        check(
            "2026-11-01 09:00:00 192.0.2.1:5 TLS Error: x",
            "2026-11-01T00:00:00Z",
            "",
            "",
            "",
            "192.0.2.1:5 TLS Error: x",
        );
        check("2026/11/01 09:00:00 [error] 5#5: x", "2026-11-01T00:00:00Z", "", "error", "", "5#5: x");
        check(
            "2026-11-01 09:00:00,388 fail2ban.actions        [123]: NOTICE  x",
            "2026-11-01T00:00:00.388Z",
            "",
            "fail2ban.actions",
            "123",
            "NOTICE  x",
        );
        check("[20261101-09:00:00] [INFO ] x", "2026-11-01T00:00:00Z", "", "", "", "[INFO ] x");
        check(
            "[Sun Nov 01 09:00:00.5 2026] [auth:error] x",
            "2026-11-01T00:00:00.5Z",
            "",
            "",
            "",
            "[auth:error] x",
        );
        check("Sun Nov  1 09:00:00 2026 [pid 3] x", "2026-11-01T00:00:00Z", "", "", "", "[pid 3] x");
        check("nov 1, 2026 9:00:00 PM x", "2026-11-01T12:00:00Z", "", "", "", "x");
        check("08:59:59.907 [exec] x", "2026-11-22T23:59:59.907Z", "", "", "", "[exec] x");
        check("emr1 sshd[7]: x", "", "emr1", "sshd", "7", "x");
        check("WARNING: x", "", "", "", "", "WARNING: x");
        check("", "", "", "", "", "");
        check("<999", "", "", "", "", "<999");
        check("Nov 99 09:00:00 emr1 x: y", "", "", "", "", "Nov 99 09:00:00 emr1 x: y");
    }
}

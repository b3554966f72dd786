use std::time::{Duration, Instant, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as LettreTls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use schema::{Lang, Severity};

use super::{Channel, Letter, Notice, TITLE_MAX, Tls, answer, failed, one_line, relay, secret_of, within};
use crate::Error;

pub(super) fn send(
    channel: &Channel,
    notice: &Notice,
    secrets: &dyn Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Result<String, Error> {
    let Channel::Smtp { from, to, .. } = channel else { return Err(no_mail()) };
    hand_over(channel, message(notice, from, to)?, secrets, timeout)
}

/// A letter that a person lets go, to whom they say instead of those who are told of incidents.
pub(super) fn send_letter(
    channel: &Channel,
    letter: &Letter,
    secrets: &dyn Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Result<String, Error> {
    let Channel::Smtp { from, .. } = channel else { return Err(no_mail()) };
    let mut builder = Message::builder()
        .from(mailbox("from", from)?)
        .subject(one_line(&letter.subject, TITLE_MAX))
        .date(SystemTime::from(letter.at))
        .message_id(None)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    for receiver in &letter.to {
        builder = builder.to(mailbox("to", receiver)?);
    }
    let body: String = letter.body.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let message =
        builder.body(body).map_err(|error| Error::BadChannel { field: "to", reason: error.to_string() })?;
    hand_over(channel, message, secrets, timeout)
}

fn no_mail() -> Error {
    Error::BadChannel { field: "kind", reason: "it is no mail channel".to_owned() }
}

fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, Error> {
    text.parse().map_err(|error| Error::BadChannel { field, reason: format!("{text:?}: {error}") })
}

fn hand_over(
    channel: &Channel,
    message: Message,
    secrets: &dyn Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Result<String, Error> {
    let Channel::Smtp { server, port, tls, ca, user, secret, .. } = channel else { return Err(no_mail()) };
    let name = format!("{server}:{port}");
    let mut transport = SmtpTransport::builder_dangerous("127.0.0.1").timeout(Some(timeout));
    if *tls != Tls::None {
        let mut parameters = TlsParameters::builder(server.clone());
        if let Some(path) = ca {
            let bad = |reason: String| Error::BadChannel { field: "ca", reason };
            let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
            let ca = Certificate::from_pem(&pem).map_err(|error| bad(error.to_string()))?;
            parameters = parameters.add_root_certificate(ca);
        }
        let parameters = parameters.build().map_err(|source| failed(&name, source))?;
        transport = transport.tls(match tls {
            Tls::Tls => LettreTls::Wrapper(parameters),
            _ => LettreTls::Required(parameters),
        });
    }
    if let Some(user) = user {
        if *tls == Tls::None {
            let reason = "a password would travel in the clear; use starttls or tls".to_owned();
            return Err(Error::BadChannel { field: "user", reason });
        }
        let password = secret.as_deref().map(|name| secret_of(name, secrets)).transpose()?;
        transport = transport.credentials(Credentials::new(user.clone(), password.unwrap_or_default()));
    }
    let (server, port) = (server.clone(), *port);
    let end = Instant::now() + timeout;
    let response = within(timeout, &name, move || {
        let nearby = relay::bounded(&server, port, end)?;
        Ok(transport.port(nearby.port()).build().send(&message)?)
    })?;
    let words: Vec<&str> = response.message().collect();
    Ok(answer(format!("{} {}", response.code(), words.join(" ")).as_bytes()))
}

fn message(notice: &Notice, from: &str, to: &[String]) -> Result<Message, Error> {
    let subject = format!("[Chartward] {}", notice.shown_title());
    let mut builder = Message::builder()
        .from(mailbox("from", from)?)
        .subject(subject)
        .date(SystemTime::from(notice.at))
        .message_id(None)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        // RFC 3834: nobody's holiday answer comes back.
        .raw_header(header("Auto-Submitted", "auto-generated"));
    if let Some(incident) = notice.incident {
        builder = builder.raw_header(header("X-Chartward-Incident", &incident.to_string()));
    }
    if notice.severity_id >= Severity::High {
        builder = builder.raw_header(header("X-Priority", "1"));
    }
    for receiver in to {
        builder = builder.to(mailbox("to", receiver)?);
    }
    builder.body(body(notice)).map_err(|error| Error::BadChannel { field: "to", reason: error.to_string() })
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn body(notice: &Notice) -> String {
    let incident = notice.incident.map(|id| format!("{id}\n")).unwrap_or_default();
    let severity = u8::from(notice.severity_id);
    let severity = match notice.lang {
        Lang::En => format!("Severity: {severity} of 5"),
        Lang::Ja => format!("重大度: 5段階中 {severity}"),
    };
    format!("{}\n\n{incident}{severity}\n{}\n\n{}\n", notice.shown_title(), notice.at, notice.shown_body())
}

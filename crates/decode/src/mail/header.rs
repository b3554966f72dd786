//! What the header of a mail says: who, to whom, when, about what.

use jiff::Timestamp;
use mail_parser::DateTime;

use super::fields::{Field, Head};
use super::values::{Address, Flaw, Message};
use super::{address, results, words};

/// Authentication-Results fields that are read.
const RESULTS_MAX: usize = 32;
/// Of the people a mail names in one role.
const PEOPLE_MAX: usize = 1_000;

/// Reads the header into `message`; what is wrong with it is told.
pub(super) fn read(head: &Head<'_>, message: &mut Message) -> Vec<Flaw> {
    let mut seen = Seen::default();
    for field in &head.fields {
        let mut lower = [0u8; 32];
        // No field that is read has a longer name.
        let Some(name) = lower.get_mut(..field.name.len()) else { continue };
        name.copy_from_slice(field.name);
        name.make_ascii_lowercase();
        seen.any |= people(name, field, message, &mut seen.once)
            || about(name, field, message, &mut seen.once)
            || matches!(&*name, b"received" | b"mime-version" | b"content-type");
        way(name, field, message);
    }
    for people in [&mut message.from, &mut message.reply_to, &mut message.to] {
        people.truncate(PEOPLE_MAX);
    }
    let told = [
        (head.cut, Flaw::ManyHeaders),
        (head.control, Flaw::ControlCharacters),
        (seen.once.repeated, Flaw::RepeatedHeader),
        (!seen.any, Flaw::NoHeader),
    ];
    told.into_iter().filter_map(|(is_so, flaw)| is_so.then_some(flaw)).collect()
}

/// Who and to whom. Whether the field is one of these.
fn people(name: &[u8], field: &Field<'_>, message: &mut Message, once: &mut Once) -> bool {
    let first = |given: Option<Address>| given.or_else(|| address::list(field.value).into_iter().next());
    match name {
        b"from" => {
            once.is_first(Once::FROM);
            message.from.extend(address::list(field.value));
        }
        b"to" | b"cc" if message.to.len() < PEOPLE_MAX => message.to.extend(address::list(field.value)),
        b"reply-to" if message.reply_to.len() < PEOPLE_MAX => {
            message.reply_to.extend(address::list(field.value))
        }
        b"sender" => message.sender = first(message.sender.take()),
        b"return-path" => message.return_path = first(message.return_path.take()),
        _ => return false,
    }
    true
}

/// About what, when, and which one it is. Of several the first is what most programs show.
fn about(name: &[u8], field: &Field<'_>, message: &mut Message, once: &mut Once) -> bool {
    match name {
        b"subject" => {
            if once.is_first(Once::SUBJECT) {
                message.subject = words::text(field.value);
            }
        }
        b"date" => {
            if once.is_first(Once::DATE) {
                message.date = date(field.value);
            }
        }
        b"message-id" => {
            if once.is_first(Once::MESSAGE_ID) {
                message.message_id = bracketed(field.value);
            }
        }
        _ => return false,
    }
    true
}

/// How it came: by a list, in answer to another, and what servers found.
fn way(name: &[u8], field: &Field<'_>, message: &mut Message) {
    match name {
        b"list-id" => {
            message.from_list = true;
            if message.list_id.is_none() {
                message.list_id = bracketed(field.value).map(|id| id.to_lowercase());
            }
        }
        b"authentication-results" if message.authentication_results.len() < RESULTS_MAX => {
            message.authentication_results.extend(results::parse(field.value));
        }
        b"in-reply-to" | b"references" => message.answers |= !field.value.trim_ascii().is_empty(),
        b"precedence" => {
            let value = field.value.trim_ascii();
            message.from_list |= [&b"list"[..], b"bulk"].iter().any(|word| value.eq_ignore_ascii_case(word));
        }
        b"mailing-list" | b"x-mailing-list" => message.from_list = true,
        // `X-ML-Name`, `X-MLServer`: what Japanese list servers (fml) write.
        name => {
            message.from_list |=
                name.starts_with(b"list-") || name.starts_with(b"x-ml-") || name == b"x-mlserver"
        }
    }
}

#[derive(Default)]
struct Seen {
    once: Once,
    /// Whether anything was there by which a mail is known.
    any: bool,
}

/// Which fields were there that may stand once only.
#[derive(Default)]
struct Once {
    bits: u8,
    repeated: bool,
}

impl Once {
    const FROM: u8 = 1;
    const SUBJECT: u8 = 2;
    const DATE: u8 = 4;
    const MESSAGE_ID: u8 = 8;

    fn is_first(&mut self, bit: u8) -> bool {
        let first = self.bits & bit == 0;
        self.bits |= bit;
        self.repeated |= !first;
        first
    }
}

fn date(raw: &[u8]) -> Option<Timestamp> {
    let date = DateTime::parse_rfc822(&format!("{}\n", words::raw(raw)))?;
    // A leap second, and years of two digits, are read; what no calendar has is none.
    let plausible = (1..=12).contains(&date.month)
        && (1..=31).contains(&date.day)
        && date.hour < 24
        && date.minute < 60
        && date.second <= 60;
    plausible.then(|| Timestamp::from_second(date.to_timestamp()).ok()).flatten()
}

/// What stands in the first brackets, or all of it.
pub(super) fn bracketed(raw: &[u8]) -> Option<String> {
    let text = words::raw(raw);
    let inner = text.split_once('<').map_or(text.as_str(), |(_, inner)| inner);
    let inner = inner.split('>').next().unwrap_or_default().trim();
    (!inner.is_empty()).then(|| inner.to_owned())
}

//! Texts from logs as texts of the language.
//!
//! PowerShell takes five characters for a single quotation mark, and reads a file without a mark of its encoding in the machine's code
//! page, where bytes of other letters become such marks. So a plain text stands between quotation marks, doubled where it has one,
//! and every other text is written as numbers of its UTF-16 units.

use std::fmt::Write;

use crate::Error;

/// Characters of one text.
const TEXT_MAX: usize = 256;

/// The text as an expression that yields it and nothing else.
///
/// An error for a text that is empty, too long, or that does not show what it is: with control characters, or such as turn the
/// direction of writing or take no room.
pub fn quoted(text: &str) -> Result<String, Error> {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(u32::from(c), 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f
                | 0xfeff | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
    };
    if text.trim() != text
        || text.is_empty()
        || text.chars().count() > TEXT_MAX
        || text.chars().any(is_hidden)
    {
        return Err(Error::Unquotable {
            text: text.chars().take(TEXT_MAX).flat_map(char::escape_default).collect(),
        });
    }
    if text.is_ascii() {
        return Ok(format!("'{}'", text.replace('\'', "''")));
    }
    let mut units = String::new();
    for unit in text.encode_utf16() {
        let _ = write!(units, "{}{unit}", if units.is_empty() { "" } else { "," });
    }
    Ok(format!("(-join [char[]]({units}))"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text_and_one_that_hides_something_is_refused() {
        for (text, expected) in [
            ("nurse1", Some("'nurse1'")),
            ("o'neil", Some("'o''neil'")),
            ("x'; Remove-Item C:\\ -Recurse; '", Some("'x''; Remove-Item C:\\ -Recurse; '''")),
            ("$(calc)`n$env:x", Some("'$(calc)`n$env:x'")),
            ("x\u{2019}; calc; \u{2018}", Some("(-join [char[]](120,8217,59,32,99,97,108,99,59,32,8216))")),
            ("看護", Some("(-join [char[]](30475,35703))")),
            ("😀", Some("(-join [char[]](55357,56832))")),
            ("", None),
            (" a", None),
            ("a\nb", None),
            ("a\u{0}", None),
            ("a\u{85}b", None),
            ("ab\u{202e}cd", None),
            ("a\u{200b}b", None),
        ] {
            assert_eq!(quoted(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(quoted(&"x".repeat(257)).is_err());
    }
}

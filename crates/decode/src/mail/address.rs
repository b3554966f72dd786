//! Lists of addresses (RFC 5322 §3.4), as broken as they come.

use super::values::Address;
use super::words;

/// Addresses of one field that are looked at.
const ADDRESSES_MAX: usize = 1_000;

/// Every mailbox that the field names, groups dissolved.
pub(super) fn list(raw: &[u8]) -> Vec<Address> {
    let found = parse(&words::raw(raw));
    // The brackets were encoded along with the name: no address by the book, and the only one that there is.
    if !found.is_empty() && found.iter().all(|entry| entry.address.is_empty()) {
        let within =
            found.iter().filter(|entry| entry.name.contains('@')).flat_map(|entry| parse(&entry.name));
        let within: Vec<_> = within.filter(|entry| !entry.address.is_empty()).take(ADDRESSES_MAX).collect();
        if !within.is_empty() {
            return within;
        }
    }
    found
}

fn parse(text: &str) -> Vec<Address> {
    let mut parser = Parser { rest: text, ..Parser::default() };
    parser.run();
    parser.found
}

#[derive(Default)]
struct Parser<'a> {
    rest: &'a str,
    /// Words outside of brackets and comments, quotes undone.
    name: String,
    /// The same without what was quoted: an address that stands there alone.
    bare: String,
    comment: String,
    angle: Option<String>,
    found: Vec<Address>,
    /// `Foo, Bar <a@b>`: the first half of a name that should have been quoted.
    carried: String,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut scan = words::Scan::default();
        while let Some(c) = self.rest.chars().next() {
            // Encoded words hold commas and quotes that mean nothing.
            if let Some(word) = scan.word(self.rest) {
                let (word, rest) = self.rest.split_at(word.length);
                self.name.push_str(word);
                self.bare.push(' ');
                self.rest = rest;
                continue;
            }
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => self.quoted(),
                '(' => self.skip_comment(),
                '<' => self.bracket(),
                ',' | ';' => self.end(c == ','),
                // The name of a group, unless the colon belongs to an address.
                ':' if self.angle.is_none() && !self.bare.contains('@') => {
                    self.name.clear();
                    self.bare.clear();
                }
                c => {
                    self.name.push(c);
                    self.bare.push(c);
                }
            }
            if self.found.len() >= ADDRESSES_MAX {
                return;
            }
        }
        self.end(false);
    }

    fn quoted(&mut self) {
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return;
                }
                '\\' => self.name.extend(chars.next().map(|(_, next)| next)),
                c => self.name.push(c),
            }
        }
        // No end: it was a character like any other, and the address behind it counts.
        self.rest = match self.rest.rfind('<') {
            Some(at) => {
                self.name.truncate(self.name.rfind('<').unwrap_or(self.name.len()));
                &self.rest[at..]
            }
            None => "",
        };
    }

    fn skip_comment(&mut self) {
        let mut depth = 1usize;
        self.comment.clear();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '(' => depth += 1,
                ')' if depth == 1 => {
                    self.rest = &self.rest[at + 1..];
                    return;
                }
                ')' => depth -= 1,
                '\\' => {
                    self.comment.extend(chars.next().map(|(_, next)| next));
                    continue;
                }
                _ => {}
            }
            self.comment.push(c);
        }
        self.rest = "";
    }

    fn bracket(&mut self) {
        let end = self.rest.find('>').unwrap_or(self.rest.len());
        let inner = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        // `<<a@b>>`: the last one is the address, unless the bracket stands within it.
        let inner = match inner.rsplit_once('<') {
            Some((_, last)) if last.contains('@') => last.to_owned(),
            _ => inner.replace('<', ""),
        };
        // `Name <shown@x> <a@b>`: the last one is what answers go to.
        if let Some(earlier) = self.angle.replace(inner) {
            self.name.push_str(&earlier);
        }
        if self.rest.starts_with('>') {
            self.rest = &self.rest[1..];
        }
    }

    fn end(&mut self, more_may_follow: bool) {
        let name = std::mem::take(&mut self.name);
        let bare = std::mem::take(&mut self.bare);
        let comment = std::mem::take(&mut self.comment);
        let Some(angle) = self.angle.take() else {
            self.end_without_bracket(&name, &bare, &comment, more_may_follow);
            return;
        };
        let name = match (name.trim(), comment.trim()) {
            ("", comment) => comment.to_owned(),
            (name, "") => name.to_owned(),
            // `Shop (R) <a@b>`: many programs show it as it stands.
            (name, comment) => format!("{name} ({comment})"),
        };
        let name = format!("{}{name}", std::mem::take(&mut self.carried));
        self.found.push(Address { name: displayed(&name), address: tidy(&angle) });
    }

    fn end_without_bracket(&mut self, name: &str, bare: &str, comment: &str, more_may_follow: bool) {
        let (name, bare) = (name.trim(), bare.trim());
        if name.is_empty() && self.carried.is_empty() && !comment.contains('@') {
            return;
        }
        if bare.starts_with('@') {
            // A local part in quotes.
            self.found.push(Address { name: displayed(comment.trim()), address: tidy(name) });
        } else if let Some(address) = bare.split_whitespace().rfind(|word| word.contains('@')) {
            let others = name.replace(address, " ");
            let others = if others.trim().is_empty() { comment.trim() } else { others.trim() };
            let shown = format!("{}{others}", std::mem::take(&mut self.carried));
            self.found.push(Address { name: displayed(&shown), address: tidy(address) });
        } else if more_may_follow && comment.is_empty() {
            self.carried.push_str(name);
            self.carried.push_str(", ");
        } else if comment.contains('@') {
            // `Name (<a@b>)`: no address by the book, and all that there is.
            let address = comment.split_whitespace().rfind(|word| word.contains('@')).unwrap_or_default();
            let address = tidy(address.trim_matches(['<', '>']));
            let shown = format!("{}{name}", std::mem::take(&mut self.carried));
            self.found.push(Address { name: displayed(&shown), address });
        } else {
            let shown = format!("{}{name}", std::mem::take(&mut self.carried));
            self.found.push(Address { name: displayed(&shown), address: String::new() });
        }
    }
}

fn displayed(name: &str) -> String {
    words::decode(name).trim().trim_end_matches(',').trim_end().to_owned()
}

/// Blanks and source routes gone, the domain in lower case.
fn tidy(address: &str) -> String {
    let address: String = address.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    // `@relay,@relay:local@domain` (RFC 5322 §4.4).
    let address = if address.starts_with('@') {
        address.split_once(':').map_or(&*address, |(_, last)| last)
    } else {
        &address
    };
    let address = address.strip_prefix("mailto:").unwrap_or(address);
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.trim_end_matches('.').to_lowercase()),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn addresses_are_found_in_whatever_stands_there() {
        for (raw, expected) in [
            (&b"a@B.Example"[..], &[("", "a@b.example")][..]),
            (
                b"Foo Bar <a@b.example>, c@d.example (Sea)",
                &[("Foo Bar", "a@b.example"), ("Sea", "c@d.example")],
            ),
            (b"\"Foo, \\\"Bar\\\"\" <a@b.example>", &[("Foo, \"Bar\"", "a@b.example")]),
            (b"Foo, Bar <a@b.example>", &[("Foo, Bar", "a@b.example")]),
            (b"support@shop.example <x@evil.test>", &[("support@shop.example", "x@evil.test")]),
            (b"\"<support@shop.example>\" <x@evil.test>", &[("<support@shop.example>", "x@evil.test")]),
            (b"Shop <support@shop.example> <x@evil.test>", &[("Shop  support@shop.example", "x@evil.test")]),
            (b"=?utf-8?Q?Foo,_Inc.?= <a@b.example>", &[("Foo, Inc.", "a@b.example")]),
            (b"\"=?ISO-2022-JP?B?GyRCJCo7SCQkGyhC?=\" <a@b.example>", &[("お使い", "a@b.example")]),
            (b"friends: a@b.example, c@d.example;", &[("", "a@b.example"), ("", "c@d.example")]),
            (b"undisclosed-recipients:;", &[]),
            (b"<@r.example,@s.example:a@b.example>", &[("", "a@b.example")]),
            (b"\"john doe\"@b.example", &[("", "johndoe@b.example")]),
            (b"\"Foo <a@b.example>", &[("Foo", "a@b.example")]),
            (b"<<a@b.example>>", &[("", "a@b.example")]),
            (b"<>", &[("", "")]),
            (b"Shop (R) Co <a@b.example>", &[("Shop  Co (R)", "a@b.example")]),
            (b"Shop!,(<a@b.example>)", &[("Shop!", "a@b.example")]),
            (b"Shop, <a@b.example.>, Shop,", &[("Shop", "a@b.example"), ("Shop", "")]),
            (b"Shop <abc@x(<9.evil.test>", &[("Shop", "abc@x(9.evil.test")]),
            (b"=?utf-8?Q?Shop_<a@b.example>?=", &[("Shop", "a@b.example")]),
            (b"Nobody", &[("Nobody", "")]),
            (b"\x83A\x83}\x83]\x83\x93 <a@b.example>", &[("アマゾン", "a@b.example")]),
            (b"\x1b$B%\"%^%>%s\x1b(B <a@b.example>", &[("アマゾン", "a@b.example")]),
            (b"", &[]),
        ] {
            let found = list(raw);
            let found: Vec<_> =
                found.iter().map(|found| (found.name.as_str(), found.address.as_str())).collect();
            assert_eq!(found, expected, "{}", raw.escape_ascii());
        }
        assert_eq!(list(&b"a@b.example,".repeat(5_000)).len(), 1_000);
    }
}

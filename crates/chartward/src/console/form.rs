//! `application/x-www-form-urlencoded`, as queries and forms carry it.

/// No form of ours has as many fields.
const PAIRS_MAX: usize = 256;

/// Names with their values, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Bytes that are no UTF-8 become U+FFFD; pairs past the 256th are not looked at.
    pub(super) fn parse(encoded: &str) -> Self {
        let pairs = encoded.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX);
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of that name, trimmed; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// Encoded again, with one value changed or added.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(key, _)| key != name);
        kept.map(|(key, value)| (key.as_str(), value.as_str()))
            .chain([(name, value)])
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect::<Vec<_>>()
            .join("&")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
                continue;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text as it may stand in a query.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        for (encoded, name, value) in [
            ("a=1&b=2", "b", "2"),
            ("name=%E5%B1%B1%E7%94%B0+%E5%A4%AA%E9%83%8E", "name", "山田 太郎"),
            ("a=%zz%4", "a", "%zz%4"),
            ("a=%ff", "a", "\u{fffd}"),
            ("a", "a", ""),
            ("&&a=1&a=2", "a", "1"),
            ("", "a", ""),
            ("a=%", "a", "%"),
        ] {
            assert_eq!(Form::parse(encoded).get(name), value, "{encoded}");
        }
        assert_eq!(Form::parse(&"a=1&".repeat(100_000)).0.len(), PAIRS_MAX);
        assert_eq!(decode(&encode("/incidents?page=2&x=あ")), "/incidents?page=2&x=あ");
    }
}

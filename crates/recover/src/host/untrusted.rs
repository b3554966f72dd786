//! What clients send and what a host's own files may hold after somebody was at them. Each of these takes any bytes and returns; the fuzz
//! targets call them, and so do the tests below.

use super::name::{ClientName, FileName, Kind};
use super::receipts::{Receipt, Stock};

/// A name of a client or of a file: what is taken is one plain component, and is shown as it came.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(client) = ClientName::parse(text) {
        assert_eq!(client.as_str(), text);
        assert!(!text.starts_with('.') && !text.contains(['/', '\\', '@', '%', '\0']));
    }
    for kind in Kind::FOLDERS {
        if let Some(file) = FileName::parse(kind, text) {
            assert_eq!(file.to_string(), format!("{}/{text}", kind.folder()));
            assert_eq!(file.place().1, text);
        }
    }
}

/// Lines of receipts: whatever they claim is counted.
pub fn receipts(bytes: &[u8]) {
    let mut stock = Stock::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(receipt) = serde_json::from_slice::<Receipt>(line) {
            stock.take(&receipt);
        }
    }
    assert!(stock.counts.values().sum::<u64>() == stock.files.len() as u64);
    assert!(!stock.files.is_empty() || stock.bytes == 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A line of a receipt, right or not quite.
    fn line() -> impl Strategy<Value = String> {
        let event =
            proptest::sample::select(vec!["received", "found", "set-aside", "put-back", "removed", "x"]);
        let kind = proptest::sample::select(vec!["config", "keys", "locks", "snapshots", "index", "data"]);
        let at = proptest::sample::select(vec![
            "2026-11-22T02:13:10Z",
            "-009999-01-02T01:59:59Z",
            "9999-12-30T22:00:00Z",
        ]);
        let size = prop_oneof![0u64..10_000, u64::MAX - 5000..=u64::MAX];
        (event, kind, at, size, 0u8..3, any::<Option<u64>>()).prop_map(
            |(event, kind, at, size, id, removal)| {
                let id = hex::encode([id; 32]);
                serde_json::json!({
                "at": at, "event": event, "kind": kind, "id": id, "size": size, "by": "x", "removal": removal,
            })
            .to_string()
            },
        )
    }

    proptest! {
        #[test]
        fn receipts_in_any_order_are_counted(lines in proptest::collection::vec(line(), 0..60)) {
            receipts(lines.join("\n").as_bytes());
        }

        #[test]
        fn a_name_is_plain_or_none(text in "[a-f0-9]{60,66}|[a-z0-9._-]{0,60}|\\PC{0,80}", bytes in any::<Vec<u8>>()) {
            name(text.as_bytes());
            name(&bytes);
            receipts(&bytes);
        }
    }
}

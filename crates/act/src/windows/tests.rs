use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn never() -> NeverTouch {
    let never: NeverTouch = serde_json::from_str(r#"{"networks": ["203.0.113.0/24"]}"#).unwrap();
    never.spared.add("a domain controller", ["192.0.2.5".parse().unwrap()]);
    never
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn block_of(texts: &[&str], never: &NeverTouch) -> Result<String, Error> {
    let addresses = addresses(texts);
    block(&Block { addresses: &addresses, lasts: Duration::from_secs(3600), now: now() }, never)
}

#[test]
fn a_block_names_whom_it_is_about_its_end_and_the_allow_list() {
    let text = block_of(&["198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7"], &never()).unwrap();
    assert!(text.starts_with("# NOT TESTED ON WINDOWS"), "{text}");
    assert!(text.contains("$Until = '2027-01-15T09:00:00Z'"), "{text}");
    assert!(text.contains("$Addresses = @(\n    '198.51.100.7',\n    '2001:db8::7'\n)"), "{text}");
    assert!(text.contains("    '192.0.2.5/32',\n    '203.0.113.0/24'\n"), "{text}");
    assert!(text.is_ascii());
    let registered = text.find("Register-ScheduledTask").unwrap();
    assert!(registered < text.find("New-NetFirewallRule").unwrap(), "the end comes before the block");
}

#[test]
fn nobody_who_is_never_touched_is_blocked_and_nothing_without_an_allow_list() {
    for address in ["203.0.113.9", "192.0.2.5", "127.0.0.1", "::ffff:203.0.113.9"] {
        assert!(
            matches!(block_of(&["198.51.100.7", address], &never()), Err(Error::NeverTouch { .. })),
            "{address}"
        );
    }
    assert!(matches!(block_of(&["198.51.100.7"], &NeverTouch::default()), Err(Error::NoAllowList)));
    assert!(matches!(block_of(&[], &never()), Err(Error::ScriptSize { .. })));
}

#[test]
fn names_stay_texts_in_a_log_off_and_accounts_are_left_as_they_are() {
    let accounts = ["nurse1", "o'neil'; calc; '", "看護"].map(str::to_owned);
    let text = logoff(&Logoff { accounts: &accounts, now: now() }).unwrap();
    assert!(text.starts_with("# NOT TESTED ON WINDOWS") && text.is_ascii(), "{text}");
    let expected =
        "$Accounts = @(\n    'nurse1',\n    'o''neil''; calc; ''',\n    (-join [char[]](30475,35703))\n)";
    assert!(text.contains(expected), "{text}");
    for word in ["Disable-", "net user", "Set-ADUser", "Set-LocalUser"] {
        assert!(!text.contains(word), "{word}");
    }
    let hidden = ["a\nb".to_owned()];
    assert!(matches!(logoff(&Logoff { accounts: &hidden, now: now() }), Err(Error::Unquotable { .. })));
}

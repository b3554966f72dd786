use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    TempDir::with_prefix("chartward-sealed-").unwrap()
}

fn everything_in(dir: &Path) -> Vec<u8> {
    fs::read_dir(dir).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn secrets_come_back_and_their_names_are_listed() {
    let dir = folder();
    let sealed = Sealed::open(dir.path(), None).unwrap();
    assert_eq!(sealed.names().unwrap(), [""; 0]);
    sealed.set("vault.passphrase", Secret::new("電子カルテ horse")).unwrap();
    sealed.set("smtp.password", Secret::new("old")).unwrap();
    sealed.set("smtp.password", Secret::new("new")).unwrap();
    let again = Sealed::open(dir.path(), None).unwrap();
    assert_eq!(again.names().unwrap(), ["smtp.password", "vault.passphrase"]);
    assert_eq!(again.get("smtp.password").unwrap().unwrap().text(), Some("new"));
    assert_eq!(again.get("vault.passphrase").unwrap().unwrap().text(), Some("電子カルテ horse"));
    assert!(again.remove("smtp.password").unwrap() && !again.remove("smtp.password").unwrap());
    assert_eq!(sealed.get("smtp.password").unwrap(), None, "seen by the other handle, too");
}

#[test]
fn neither_names_nor_values_lie_in_the_folder_nor_show_when_printed() {
    let dir = folder();
    let sealed = Sealed::open(dir.path(), None).unwrap();
    sealed.set("webhook.key", Secret::new("hunter2-hunter2")).unwrap();
    let bytes = everything_in(dir.path());
    assert!(!holds(&bytes, b"hunter2") && !holds(&bytes, b"webhook"));
    let printed = format!("{sealed:?} {:?}", sealed.get("webhook.key").unwrap());
    assert!(!printed.contains("hunter2") && !printed.contains(&hex::encode(**sealed.key)), "{printed}");
    for name in [FILE_NAME, KEY_NAME] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let dir = folder();
    let sealed = Sealed::open(dir.path(), None).unwrap();
    for name in ["", "A", "a/b", "../x", "ä", &"a".repeat(65)] {
        assert!(matches!(sealed.set(name, Secret::new("v")), Err(Error::Unfit(_))), "{name}");
    }
    assert!(matches!(sealed.set("a", Secret::new("")), Err(Error::Unfit(_))));
    assert!(matches!(sealed.set("a", Secret::new(vec![0; VALUE_MAX + 1])), Err(Error::Unfit(_))));
    sealed.set("a", Secret::new(vec![0; VALUE_MAX])).unwrap();
    assert_eq!(sealed.names().unwrap(), ["a"]);
}

#[test]
fn an_altered_or_cut_file_is_named_and_not_replaced() {
    let dir = folder();
    let path = dir.path().join(FILE_NAME);
    let sealed = Sealed::open(dir.path(), None).unwrap();
    sealed.set("a", Secret::new("value")).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(sealed.get("a"), Err(Error::Damaged(_))), "cut to {cut} bytes");
    }
    for place in 0..whole.len() {
        let mut altered = whole.clone();
        altered[place] ^= 1;
        fs::write(&path, &altered).unwrap();
        assert!(matches!(sealed.get("a"), Err(Error::Damaged(_) | Error::OtherKey(_))), "byte {place}");
        assert!(sealed.set("b", Secret::new("x")).is_err());
        assert_eq!(fs::read(&path).unwrap(), altered, "left as evidence");
    }
}

#[test]
fn a_lost_a_wrong_and_an_open_key_are_told_apart() {
    let (dir, other) = (folder(), folder());
    let key = dir.path().join(KEY_NAME);
    Sealed::open(dir.path(), None).unwrap().set("a", Secret::new("value")).unwrap();
    Sealed::open(other.path(), None).unwrap();
    let good = fs::read(&key).unwrap();

    fs::remove_file(&key).unwrap();
    assert!(
        matches!(Sealed::open(dir.path(), None), Err(Error::KeyMissing(_))),
        "no new key over old secrets"
    );
    fs::copy(other.path().join(KEY_NAME), &key).unwrap();
    assert!(matches!(Sealed::open(dir.path(), None), Err(Error::OtherKey(_))));
    fs::write(&key, "no key").unwrap();
    assert!(matches!(Sealed::open(dir.path(), None), Err(Error::KeyMalformed(_))));
    fs::write(&key, good).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Sealed::open(dir.path(), None), Err(Error::KeyOpenToOthers { mode: 0o640, .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Sealed::open(dir.path(), None).is_ok());
}

#[test]
fn a_credential_of_systemd_is_the_key_and_none_is_written() {
    let (dir, credentials) = (folder(), folder());
    for key in [vec![7_u8; 32], format!("{}\n", "07".repeat(32)).into_bytes()] {
        fs::write(credentials.path().join(CREDENTIAL), key).unwrap();
        let sealed = Sealed::open(dir.path(), Some(credentials.path())).unwrap();
        sealed.set("a", Secret::new("value")).unwrap();
    }
    assert!(!dir.path().join(KEY_NAME).exists());
    assert!(matches!(Sealed::open(dir.path(), None), Err(Error::KeyMissing(_))));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let dir = folder();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let dir = dir.path().to_owned();
            std::thread::spawn(move || {
                let sealed = Sealed::open(&dir, None).unwrap();
                for round in 0..4 {
                    sealed.set(&format!("s{number}-{round}"), Secret::new("v")).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(Sealed::open(dir.path(), None).unwrap().names().unwrap().len(), 32);
}

#[test]
fn a_planted_link_is_not_written_through() {
    let dir = folder();
    let sealed = Sealed::open(dir.path(), None).unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "untouched").unwrap();
    symlink(&target, dir.path().join("secrets.new")).unwrap();
    sealed.set("a", Secret::new("value")).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
}

#[test]
fn what_is_sealed_elsewhere_opens_for_its_purpose_only() {
    let dir = folder();
    let sealed = Sealed::open(dir.path(), None).unwrap();
    let text = sealed.seal("totp of tanaka", b"secret").unwrap();
    assert_eq!(sealed.unseal("totp of tanaka", &text).unwrap().as_slice(), b"secret");
    for (purpose, text) in
        [("totp of suzuki", text.as_str()), ("totp of tanaka", &text[2..]), ("totp of tanaka", "zz")]
    {
        assert_eq!(sealed.unseal(purpose, text), None);
    }
    assert_ne!(text, sealed.seal("totp of tanaka", b"secret").unwrap(), "a nonce of its own");
}

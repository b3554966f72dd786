use super::*;

const NOW: &str = "2026-06-01T09:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn entry(now: Timestamp) -> Entry {
    Entry {
        id: Store::new_id(now).unwrap(),
        at: now,
        verdict: MailVerdict::Phishing,
        score: 4.5,
        reasons: Vec::new(),
        envelope: Envelope {
            from: "a@b.example".into(),
            to: vec!["dr@hospital.example".into()],
            ..Envelope::default()
        },
        subject: "お知らせ".into(),
    }
}

fn store(dir: &Path) -> Store {
    Store::make(&dir.join("quarantine"), Keeping::default()).unwrap()
}

#[test]
fn what_is_kept_comes_back_byte_for_byte_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let message = b"Subject: x\r\n\r\n\0\xff\n{\"id\":1}\nno line end";
    let kept = entry(at(NOW));
    store.keep(&kept, message).unwrap();
    assert_eq!(store.read(&kept.id).unwrap(), (kept.clone(), message.to_vec()));
    let listed = store.list(10).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].entry, listed[0].bytes), (&kept, message.len() as u64));
    for (path, mode) in [(store.dir.clone(), 0o700), (store.dir.join(format!("{}.mail", kept.id)), 0o600)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
    let done = Done { at: at(NOW), by: "local".into(), released_to: vec!["dr@hospital.example".into()] };
    store.note(&kept.id, &done).unwrap();
    assert_eq!(store.kept(&kept.id).unwrap().done, [done]);
    store.delete(&kept.id).unwrap();
    assert!(matches!(store.delete(&kept.id), Err(Error::NoSuchMail { .. })));
    assert_eq!(store.list(10).unwrap(), []);
    assert_eq!(fs::read_dir(&store.dir).unwrap().count(), 2, "the secret and the folder of passes");
}

#[test]
fn ids_are_no_paths() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for id in [
        "",
        "secret",
        "../secret",
        "20260601-090000-0000000g",
        "20260601-090000-00000000/",
        "2026é601-090000-000000",
    ] {
        assert!(matches!(store.read(id), Err(Error::NoSuchMail { .. })), "{id}");
        assert!(store.note(id, &Done { at: at(NOW), by: String::new(), released_to: vec![] }).is_err());
        assert!(store.pass(id, b"").is_err());
    }
    assert!(is_id(&Store::new_id(at(NOW)).unwrap()));
}

#[test]
fn a_release_passes_once_with_its_own_body_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let id = Store::new_id(at(NOW)).unwrap();
    let message = b"Subject: x\r\n\r\nhello\r\n";
    let value = store.pass(&id, message).unwrap();
    assert_eq!(store.passes(&value, b"Subject: x\r\n\r\nother\r\n"), None, "another body");
    assert_eq!(store.passes(&value.replace(&id, "20260601-090000-00000000"), message), None, "another mail");
    for broken in ["", ".", "..", "a.b.c", &value[1..], &format!("{value}0"), &format!("{value}.x")] {
        assert_eq!(store.passes(broken, message), None, "{broken}");
    }
    // Servers on the way add fields and empty lines.
    let arrived = b"Received: x\r\nSubject: [y] x\r\n\r\nhello\r\n\r\n";
    assert_eq!(store.passes(&format!(" {value}\r\n"), arrived).as_deref(), Some(id.as_str()));
    assert_eq!(store.passes(&value, message), None, "a second time");
    let other = super::Store::make(&dir.path().join("other"), Keeping::default()).unwrap();
    assert_eq!(other.passes(&store.pass(&id, message).unwrap(), message), None, "another hospital");
    assert_eq!(store.recipient("Dr@Hospital.example "), store.recipient("dr@hospital.example"));
    assert_ne!(store.recipient("dr@hospital.example"), other.recipient("dr@hospital.example"));
}

#[test]
fn old_mails_go_and_a_flood_washes_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let keeping = Keeping { for_: SignedDuration::from_hours(72), bytes: 10_000, mails: 100 };
    let store = Store::make(dir.path(), keeping).unwrap();
    let keep = |when: &str, length: usize| {
        let entry = entry(at(when));
        store.keep(&entry, &vec![b'x'; length]).map(|gone| (entry.id, gone))
    };
    let (oldest, _) = keep("2026-05-28T09:00:00Z", 3_000).unwrap();
    let (old, _) = keep("2026-05-30T09:00:00Z", 3_000).unwrap();
    let (new, gone) = keep(NOW, 5_000).unwrap();
    assert_eq!(
        gone,
        [Expired { id: oldest.clone(), by_age: false }],
        "room is made by forgetting the oldest"
    );
    let (_, gone) = keep(NOW, 3_000).unwrap();
    assert_eq!(gone, [Expired { id: old, by_age: false }]);
    let full = keep("2026-06-01T10:00:00Z", 5_000);
    assert!(matches!(full, Err(Error::QuarantineFull { .. })), "today's are not forgotten: {full:?}");
    assert!(store.read(&new).is_ok());

    assert_eq!(store.expire(at("2026-06-03T09:00:00Z")).unwrap(), []);
    let gone = store.expire(at("2026-06-05T09:00:00Z")).unwrap();
    assert_eq!(gone.len(), 2);
    assert!(gone.iter().all(|gone| gone.by_age));
    assert_eq!(store.list(10).unwrap(), []);
}

#[test]
fn what_was_cut_short_is_no_mail_and_a_folder_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fs::write(store.dir.join(".part-20260601-090000-00000000.mail"), "half").unwrap();
    fs::write(store.dir.join("20260601-090000-00000001.mail"), "no JSON").unwrap();
    fs::write(store.dir.join("notes.txt"), "somebody's").unwrap();
    assert_eq!(store.list(10).unwrap(), []);
    fs::remove_dir_all(&store.dir).unwrap();
    let error = store.keep(&entry(at(NOW)), b"x").unwrap_err();
    assert!(error.to_string().contains("quarantine"), "{error}");
}

#[test]
fn two_do_not_release_the_same_mail_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let entry = entry(at(NOW));
    store.keep(&entry, b"x").unwrap();
    let held = store.hold(&entry.id).unwrap();
    assert!(store.hold(&entry.id).is_err());
    drop(held);
    assert!(store.hold(&entry.id).is_ok());
}

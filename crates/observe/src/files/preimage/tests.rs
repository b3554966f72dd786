use super::*;

#[test]
fn what_was_kept_outlives_the_change_and_its_room_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("store"), 2_000_000).unwrap();
    for len in [0, 400, 300_000] {
        let path = dir.path().join("record");
        let content: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        let kept = [store.keep(&file).unwrap().unwrap(), store.keep_packed(&file).unwrap().unwrap()];
        fs::write(&path, b"gone").unwrap();
        for kept in &kept {
            let mut read = Vec::new();
            kept.reader().read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
            assert_eq!(kept.sample().unwrap().len, len as u64);
        }
        assert_eq!(store.used(), 2 * len as u64);
        drop(kept);
        assert_eq!(store.used(), 0);
    }
}

#[test]
fn what_does_not_fit_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("store"), 1000).unwrap();
    let path = dir.path().join("record");
    fs::write(&path, vec![1; 1001]).unwrap();
    assert!(store.keep(&File::open(&path).unwrap()).unwrap().is_none());
    assert_eq!(store.used(), 0);
}

#[test]
fn the_store_is_closed_to_ordinary_users_whatever_it_was_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    fs::create_dir(&store).unwrap();
    fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    Store::open(&store, 1000).unwrap();
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o777, 0o700);
}

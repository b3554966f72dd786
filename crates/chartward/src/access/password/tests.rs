use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const CHEAP: Cost = Cost { kib: 64, passes: 1 };

#[test]
fn passwords_are_taken_or_refused() {
    for (typed, fits) in [
        ("correct horse", false),
        ("ten letters", false),
        ("ヤギが三匹、橋を渡る夜", false),
        ("ヤギが三匹、橋を渡る夜。", true),
        ("gravel-otter-lamp", true),
        ("Tr4mpolin & Fagott", true),
        ("password1234", false),
        ("P@ssw0rd!2026", false),
        ("パスワード1234567", false),
        ("ｐａｓｓｗｏｒｄ１２３４", false),
        ("hospital-admin-2026", false),
        ("aaaaaaaaaaaaaa", false),
        ("x7k2x7k2x7k2", false),
        ("qwertyuiop12", false),
        ("1qaz2wsx3edc", false),
        ("198004011985", false),
        ("0312-345-678-90", false),
        ("tanaka-20261122", false),
        ("yoshiko19800401", false),
        ("kita-clinic-2026", false),
        ("KITA clinic kita clinic", false),
        ("correct horse battery staple", false),
    ] {
        let taken = acceptable(typed, "yoshiko", "Kita Clinic");
        assert_eq!(taken.is_ok(), fits, "{typed}: {taken:?}");
    }
    assert!(acceptable(&"ば".repeat(400), "a", "b").is_err(), "longer than 1024 bytes");
}

#[test]
fn the_same_password_in_another_width_is_the_same() {
    let hasher = Hasher::new(CHEAP).unwrap();
    let stored = hasher.hash(&acceptable("gravel-otter-ガギグ", "a", "b").unwrap(), Lane::Known).unwrap();
    for (typed, expected) in [
        ("gravel-otter-ガギグ", true),
        ("ｇｒａｖｅｌ－ｏｔｔｅｒ－ｶﾞｷﾞｸﾞ", true),
        ("Gravel-otter-ガギグ", false),
        ("", false),
    ] {
        assert_eq!(hasher.compare(typed, Some(&stored)), expected, "{typed}");
    }
}

#[test]
fn a_hash_of_a_lower_cost_is_told() {
    let old = Hasher::new(CHEAP).unwrap();
    let new = Hasher::new(Cost { kib: 128, passes: 1 }).unwrap();
    let stored = old.hash("gravel-otter-lamp", Lane::Known).unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
    assert!(new.compare("gravel-otter-lamp", Some(&stored)));
    let stronger = new.stronger("gravel-otter-lamp", &stored).unwrap().unwrap();
    assert!(stronger.starts_with("$argon2id$v=19$m=128,"), "{stronger}");
    assert!(new.compare("gravel-otter-lamp", Some(&stronger)));
    assert_eq!(new.stronger("gravel-otter-lamp", &stronger).unwrap(), None);
    assert_eq!(old.stronger("gravel-otter-lamp", &stronger).unwrap(), None, "never weaker");
}

#[test]
fn nothing_matches_where_there_is_no_account() {
    let hasher = Hasher::new(CHEAP).unwrap();
    for stored in [None, Some(""), Some("not a hash"), Some("$argon2id$v=19$m=64,t=1,p=1$$")] {
        assert!(!hasher.compare("gravel-otter-lamp", stored));
    }
}

#[test]
fn the_default_cost_is_the_recommended_one() {
    let stored = Hasher::new(Cost::default()).unwrap().hash("gravel-otter-lamp", Lane::Known).unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
}

#[test]
fn a_flood_of_strangers_leaves_a_slot_to_those_who_are_known() {
    let slots = Arc::new(Slots::default());
    let _held = slots.wait(Lane::Stranger).unwrap();
    let refused = Arc::new(AtomicU32::new(0));
    let flood: Vec<_> = (0..40)
        .map(|_| {
            let (slots, refused) = (slots.clone(), refused.clone());
            std::thread::spawn(move || {
                if slots.wait(Lane::Stranger).is_err() {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while refused.load(Ordering::SeqCst) < 24 {
        std::thread::yield_now();
    }
    assert!(slots.wait(Lane::Known).is_ok(), "the second slot is free");
    drop(_held);
    for thread in flood {
        thread.join().unwrap();
    }
    assert_eq!(refused.load(Ordering::SeqCst), 24, "the queue of 16 was served, the rest refused at once");
    let busy = slots.busy.lock().unwrap();
    assert_eq!((busy.running, busy.strangers, busy.waiting_strangers), (0, 0, 0));
}

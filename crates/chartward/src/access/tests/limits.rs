//! Floods and lock-outs.

use super::*;

fn fails(door: &Door, name: &str, address: IpAddr, now: Timestamp) -> Why {
    why(door.access.log_in(name, OTHER, Some("123456"), address, now))
}

#[test]
fn a_flood_from_everywhere_slows_strangers_and_not_the_owner_at_the_usual_place() {
    let door = Door::new();
    let admin = door.admin();
    let door = door.reopened();
    for name in ["yoshiko", "nobody"] {
        let outcomes: Vec<Why> = (0..8).map(|n| fails(&door, name, elsewhere(n), at(60))).collect();
        assert_eq!(outcomes[..5], [Why::Credentials; 5], "{name}");
        assert_eq!(outcomes[5..], [Why::Limited; 3], "{name}: the same for no account");
    }
    for n in 0..200 {
        fails(&door, "yoshiko", elsewhere(100 + n), at(60 + i64::from(n)));
    }
    let now = at(300);
    let denied = door.log_in(&admin, elsewhere(7), now).unwrap_err();
    assert!(denied.retry_after.is_some_and(|wait| wait <= SignedDuration::from_mins(5)), "{denied:?}");
    assert!(door.log_in(&admin, desk(), now).is_ok(), "where she logged in before, restarted in between");
}

#[test]
fn a_flood_at_the_usual_place_does_not_lock_the_machine_itself() {
    let door = Door::new();
    let admin = door.admin();
    for n in 0..19 {
        fails(&door, "yoshiko", desk(), at(60 + n));
        fails(&door, "yoshiko", elsewhere(n as u32), at(60 + n));
    }
    let local = IpAddr::from([127, 0, 0, 1]);
    let now = at(78);
    assert_eq!(why(door.log_in(&admin, desk(), now)), Why::Limited);
    assert_eq!(why(door.log_in(&admin, elsewhere(1), now)), Why::Limited);
    assert!(door.log_in(&admin, local, now).is_ok());
    for n in 0..20 {
        fails(&door, "yoshiko", local, at(100 + n / 20));
    }
    assert_eq!(fails(&door, "yoshiko", local, at(101)), Why::Limited, "there the address has its tries");
}

#[test]
fn one_address_cannot_use_up_the_tries_of_another() {
    let door = Door::new();
    let admin = door.admin();
    let outcomes: Vec<Why> = (0..30).map(|n| fails(&door, &format!("n{n}"), elsewhere(1), at(60))).collect();
    assert_eq!(outcomes.iter().filter(|why| **why == Why::Limited).count(), 10);
    assert!(door.log_in(&admin, elsewhere(2), at(60)).is_ok());
}

#[test]
fn the_delay_of_an_account_outlives_a_restart_and_ends() {
    let door = Door::new();
    let admin = door.admin();
    for n in 0..10 {
        fails(&door, "yoshiko", elsewhere(n), at(60 + 100 * i64::from(n)));
    }
    let door = door.reopened();
    let now = at(970);
    assert_eq!(why(door.log_in(&admin, elsewhere(50), now)), Why::Limited);
    let account = &door.access.users(&Who::local(), now).unwrap()[0];
    assert_eq!(account.locked_until, Some(at(960 + 32)));
    assert!(door.log_in(&admin, elsewhere(50), at(993)).is_ok());
    assert_eq!(door.access.users(&Who::local(), now).unwrap()[0].locked_until, None);
}

#[test]
fn a_flood_of_refusals_is_counted_in_the_ledger_not_copied_into_it() {
    let door = Door::new();
    door.admin();
    door.audits.lock().unwrap().clear();
    for n in 0..1000 {
        fails(&door, "nobody", elsewhere(n), at(60));
    }
    assert_eq!(door.audited().len(), 60);
    fails(&door, "nobody", elsewhere(2000), at(130));
    let audited = door.audited();
    assert_eq!(audited.len(), 62);
    assert_eq!(audited[60].2, "940 more");
}

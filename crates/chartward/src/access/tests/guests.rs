//! The accounts as the downtime viewer uses them: the hub runs, or is gone.

use super::*;

fn guests(door: &Door) -> Guests {
    let folder = door.dir.path().join("charts");
    std::fs::create_dir_all(&folder).unwrap();
    Guests::open(door.dir.path(), &folder).unwrap().unwrap()
}

#[test]
fn accounts_that_may_read_charts_come_in_and_no_others() {
    let door = Door::new();
    let admin = door.admin();
    door.person(&admin, "hanako", Role::Clinician);
    door.person(&admin, "onlooker", Role::Viewer);
    let guests = guests(&door);
    let enter = |name: &str, password: &str, code: &str, seconds: i64| {
        let entered = guests.log_in(name, password, code, desk(), at(seconds));
        entered.map(|(name, role)| format!("{name} {}", role.name())).map_err(|denied| denied.why)
    };
    assert!(guests.has_readers());
    assert_eq!(enter("hanako", PASSWORD, "", 1), Ok("hanako clinician".into()));
    assert_eq!(enter("Hanako ", PASSWORD, "", 2), Ok("hanako clinician".into()));
    assert_eq!(enter("hanako", OTHER, "", 3), Err(Why::Credentials));
    assert_eq!(enter("nobody", PASSWORD, "", 4), Err(Why::Credentials));
    assert_eq!(enter("onlooker", PASSWORD, "", 5), Err(Why::Role));
    let code = |seconds| code_of(&admin.secret, at(seconds));
    assert_eq!(
        enter("yoshiko", PASSWORD, "", 90),
        Err(Why::Credentials),
        "an account with a second factor needs it"
    );
    assert_eq!(enter("yoshiko", PASSWORD, &code(90), 90), Ok("yoshiko admin".into()));
    assert_eq!(enter("yoshiko", PASSWORD, &code(90), 91), Err(Why::Credentials), "a code is used once");
    assert_eq!(
        enter("yoshiko", PASSWORD, &admin.recovery[0], 92),
        Err(Why::Credentials),
        "its use could not be noted"
    );
    door.access.disable(&admin.session.who(), "hanako", at(100)).unwrap();
    assert_eq!((guests.reader("hanako"), guests.reader("yoshiko")), (None, Some(Role::Admin)));
    assert_eq!(enter("hanako", PASSWORD, "", 101), Err(Why::Credentials));
}

#[test]
fn they_come_in_when_the_hub_and_its_database_are_gone() {
    let door = Door::new();
    let admin = door.admin();
    door.person(&admin, "hanako", Role::Clinician);
    assert!(guests(&door).has_readers());
    let copy = std::fs::read(door.dir.path().join("charts/accounts.sealed")).unwrap();
    assert!(!copy.windows(6).any(|part| part == b"hanako"));
    let Door { access, dir, audits } = door;
    drop(access);
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("state.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let folder = dir.path().join("charts");
    let guests = Guests::open(dir.path(), &folder).unwrap().unwrap();
    assert!(guests.log_in("hanako", PASSWORD, "", desk(), at(1)).is_ok());
    assert!(guests.log_in("hanako", OTHER, "", desk(), at(2)).is_err());
    let empty = TempDir::with_prefix("chartward-access-").unwrap();
    assert!(Guests::open(empty.path(), empty.path()).unwrap().is_none(), "no hub, no accounts");
    drop(audits);
}

#[test]
fn guessing_passwords_is_slowed_down() {
    let door = Door::new();
    let admin = door.admin();
    door.person(&admin, "hanako", Role::Clinician);
    let guests = guests(&door);
    assert!(guests.log_in("hanako", PASSWORD, "", elsewhere(2), at(0)).is_ok());
    let tries = (0..8).map(|_| guests.log_in("hanako", OTHER, "", elsewhere(1), at(1)).unwrap_err().why);
    assert!(tries.collect::<Vec<_>>().contains(&Why::Limited));
    assert!(
        guests.log_in("hanako", PASSWORD, "", elsewhere(2), at(1)).is_ok(),
        "not where she came in before"
    );
}

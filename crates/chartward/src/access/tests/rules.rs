//! Who gets in, for how long, and what they may do there.

use super::*;

#[test]
fn the_first_administrator_is_made_once_with_the_printed_code() {
    let door = Door::new();
    assert!(door.access.needs_set_up().unwrap());
    let old = door.access.set_up_code(at(0)).unwrap().unwrap();
    let code = door.access.set_up_code(at(0)).unwrap().unwrap();
    let try_it = |code: &str, password, now| {
        door.access.set_up(code, "Yoshiko", password, Lang::Ja, desk(), now).map(|in_| in_.session)
    };
    assert_eq!(why(try_it(old.code.text(), PASSWORD, at(1))), Why::Credentials, "the one before");
    assert_eq!(why(try_it("", PASSWORD, at(1))), Why::Credentials);
    assert_eq!(why(try_it(code.code.text(), PASSWORD, at(86_400))), Why::Credentials, "a day later");
    assert_eq!(why(try_it(code.code.text(), "short", at(1))), Why::Input);
    assert_eq!(why(try_it(code.code.text(), "kita-clinic-2026", at(1))), Why::Input);
    let typed = code.code.text().to_lowercase().replace('-', " ").replace('0', "o");
    let session = try_it(&typed, PASSWORD, at(2)).unwrap();
    assert_eq!(
        (session.user.as_str(), session.role, session.must_set_up_totp),
        ("yoshiko", Role::Admin, true)
    );
    assert_eq!(why(try_it(code.code.text(), PASSWORD, at(3))), Why::Credentials, "a second time");
    assert_eq!(door.access.set_up_code(at(3)).unwrap(), None);
    let refused = door.access.require(&session.who(), Permission::See, "", at(3));
    assert_eq!(why(refused), Why::TotpNeeded);
}

#[test]
fn a_code_that_was_guessed_at_too_often_is_void() {
    let door = Door::new();
    let code = door.access.set_up_code(at(0)).unwrap().unwrap();
    for number in 0..100 {
        let guess = door.access.set_up("0000", "m", PASSWORD, Lang::Ja, elsewhere(number), at(1));
        assert_eq!(why(guess), Why::Credentials);
    }
    let late = door.access.set_up(code.code.text(), "yoshiko", PASSWORD, Lang::Ja, desk(), at(2));
    assert_eq!(why(late), Why::Credentials);
    let code = door.access.set_up_code(at(3)).unwrap().unwrap();
    assert!(door.access.set_up(code.code.text(), "yoshiko", PASSWORD, Lang::Ja, desk(), at(3)).is_ok());
}

#[test]
fn a_log_in_needs_password_and_second_factor() {
    let door = Door::new();
    let admin = door.admin();
    let now = at(60);
    let code = code_of(&admin.secret, now);
    let stale = code_of(&admin.secret, at(-30));
    for (name, password, code) in [
        ("yoshiko", PASSWORD, None),
        ("yoshiko", PASSWORD, Some("")),
        ("yoshiko", PASSWORD, Some("000000")),
        ("yoshiko", PASSWORD, Some(stale.as_str())),
        ("yoshiko", OTHER, Some(code.as_str())),
        ("nobody", PASSWORD, Some(code.as_str())),
        ("", "", None),
    ] {
        let denied = door.access.log_in(name, password, code, desk(), now).unwrap_err();
        assert_eq!(denied, Denied::credentials(), "{name} {code:?}: the same words for all");
    }
    let door = door.reopened();
    let logged_in = door.access.log_in(" ＹＯＳＨＩＫＯ ", PASSWORD, Some(&code), desk(), now).unwrap();
    assert_eq!(logged_in.session.role, Role::Admin);
    let cookie = logged_in.set_cookie.text();
    assert!(
        cookie.starts_with("__Host-chartward=")
            && cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure")
    );
    assert_ne!(logged_in.cookie.text(), admin.cookie);
    assert!(logged_in.session.check_csrf(logged_in.session.csrf.text()).is_ok());
    assert_eq!(why(logged_in.session.check_csrf(admin.session.csrf.text())), Why::Csrf);
}

#[test]
fn a_refusal_takes_the_same_steps_whoever_it_is() {
    let door = Door::new();
    let admin = door.admin();
    door.person(&admin, "gone", Role::Viewer);
    door.access.disable(&admin.session.who(), "gone", at(0)).unwrap();
    let refused = |door: &Door| -> i64 {
        let count = "SELECT value FROM settings WHERE key = 'access.refused'";
        let text: String = door.access.0.state.read(|db| db.query_row(count, [], |row| row.get(0))).unwrap();
        text.parse().unwrap()
    };
    let mut before = None;
    for name in ["yoshiko", "gone", "nobody"] {
        let computed = door.access.0.hasher.computed();
        let denied = door.access.log_in(name, OTHER, Some("123456"), elsewhere(1), at(60)).unwrap_err();
        assert_eq!(denied, Denied::credentials());
        assert_eq!(door.access.0.hasher.computed() - computed, 1, "{name}: one computation");
        let count = refused(&door);
        assert_eq!(count - before.unwrap_or(count - 1), 1, "{name}: one write");
        before = Some(count);
    }
}

#[test]
fn a_session_ends_idle_in_the_end_and_when_the_clock_goes_back() {
    let door = Door::new();
    let admin = door.admin();
    assert!(!door.is_open(&admin.cookie, at(-120)), "set back before it was opened");
    let door = Door::new();
    let admin = door.admin();
    let mut last = 0;
    while last + 1790 < 12 * 3600 {
        last += 1790;
        assert!(door.is_open(&admin.cookie, at(last)), "used every half hour, at {last}");
    }
    assert!(!door.is_open(&admin.cookie, at(12 * 3600)), "twelve hours");
    let logged_in = door.log_in(&admin, desk(), at(43_300)).unwrap();
    assert!(door.is_open(logged_in.cookie.text(), at(43_300 + 1799)));
    let logged_in = door.log_in(&admin, desk(), at(50_000)).unwrap();
    assert!(!door.is_open(logged_in.cookie.text(), at(50_000 + 1800)), "half an hour idle");
    assert!(!door.is_open(logged_in.cookie.text(), at(50_001)), "over for good");
    assert!(!door.is_open("no cookie", at(0)));
}

#[test]
fn logging_out_ends_one_session_or_all() {
    let door = Door::new();
    let admin = door.admin();
    let second = door.log_in(&admin, elsewhere(1), at(60)).unwrap();
    door.access.log_out(&admin.session, desk(), at(61)).unwrap();
    assert!(!door.is_open(&admin.cookie, at(61)) && door.is_open(second.cookie.text(), at(61)));
    let third = door.log_in(&admin, desk(), at(120)).unwrap();
    door.access.log_out_everywhere(&third.session, desk(), at(121)).unwrap();
    assert!(!door.is_open(third.cookie.text(), at(121)) && !door.is_open(second.cookie.text(), at(121)));
}

#[test]
fn what_is_dangerous_needs_a_fresh_log_in_with_another_cookie() {
    let door = Door::new();
    let admin = door.admin();
    let later = at(600);
    assert!(door.access.require(&admin.session.who(), Permission::Arm, "block", at(599)).is_ok());
    for permission in [Permission::Arm, Permission::Users, Permission::Secrets, Permission::Tokens] {
        assert_eq!(why(door.access.require(&admin.session.who(), permission, "", later)), Why::NotFresh);
    }
    assert!(door.access.require(&admin.session.who(), Permission::Approve, "", later).is_ok());
    let code = code_of(&admin.secret, later);
    let wrong = door.access.log_in_again(&admin.session, PASSWORD, None, desk(), later);
    assert_eq!(why(wrong), Why::Credentials);
    let again = door.access.log_in_again(&admin.session, PASSWORD, Some(&code), desk(), later).unwrap();
    assert!(door.access.require(&again.session.who(), Permission::Arm, "block", at(1199)).is_ok());
    assert_eq!(again.session.expires_at, admin.session.expires_at, "the end stays");
    assert!(!door.is_open(&admin.cookie, later), "the old cookie is worth nothing");
}

#[test]
fn changes_of_an_account_end_its_sessions() {
    let door = Door::new();
    let admin = door.admin();
    let by = admin.session.who();
    let tanaka = door.person(&admin, "tanaka", Role::Viewer);
    door.access.set_role(&by, "tanaka", Role::Operator, at(1)).unwrap();
    assert!(!door.is_open(&tanaka.cookie, at(1)), "another role");
    let tanaka = door.log_in(&tanaka, desk(), at(2)).unwrap();
    assert!(tanaka.session.must_set_up_totp, "an operator needs a second factor");
    let changed = door.access.change_password(&tanaka.session, PASSWORD, OTHER, desk(), at(3)).unwrap();
    assert!(!door.is_open(tanaka.cookie.text(), at(3)) && door.is_open(changed.cookie.text(), at(3)));
    assert_eq!(changed.session.fresh_until, tanaka.session.fresh_until, "no fresher than before");
    assert_eq!(why(door.access.log_in("tanaka", PASSWORD, None, desk(), at(4))), Why::Credentials);
    door.access.disable(&by, "tanaka", at(5)).unwrap();
    assert!(!door.is_open(changed.cookie.text(), at(5)));
    assert_eq!(why(door.access.log_in("tanaka", OTHER, None, desk(), at(6))), Why::Credentials);
    door.access.enable(&by, "tanaka", at(7)).unwrap();
    let logged_in = door.access.log_in("tanaka", OTHER, None, desk(), at(8)).unwrap();
    let code = door.access.reset(&by, "tanaka", at(9)).unwrap();
    assert!(!door.is_open(logged_in.cookie.text(), at(9)));
    assert_eq!(why(door.access.log_in("tanaka", OTHER, None, desk(), at(10))), Why::Credentials);
    assert!(door.access.accept(code.code.text(), "tanaka", PASSWORD, desk(), at(11)).is_ok());
}

#[test]
fn a_lost_authenticator_is_replaced_with_a_recovery_code() {
    let door = Door::new();
    let admin = door.admin();
    let typed = admin.recovery[0].to_lowercase();
    let logged_in = door.access.log_in("yoshiko", PASSWORD, Some(&typed), desk(), at(60)).unwrap();
    assert_eq!(door.access.recovery_codes_left(&logged_in.session).unwrap(), 9);
    assert_eq!(why(door.access.begin_totp(&logged_in.session, at(660))), Why::NotFresh);
    let offer = door.access.begin_totp(&logged_in.session, at(61)).unwrap();
    let secret = offer.secret.text().replace(' ', "");
    assert!(offer.uri.text().contains(&secret) && offer.qr_svg.text().starts_with("<svg"));
    let confirm = |session: &Session, code: &str, now| {
        door.access.confirm_totp(session, &offer.ticket, code, desk(), now)
    };
    assert_eq!(why(confirm(&logged_in.session, "000000", at(90))), Why::Input);
    assert_eq!(
        why(confirm(&admin.session, &code_of(&secret, at(90)), at(90))),
        Why::Input,
        "another session's"
    );
    let (recovery, logged_in) = confirm(&logged_in.session, &code_of(&secret, at(90)), at(90)).unwrap();
    assert_eq!((recovery.0.len(), logged_in.session.has_totp), (10, true));
    assert!(!door.is_open(&admin.cookie, at(91)), "the other sessions ended");
    for old in [&admin.recovery[1], &code_of(&admin.secret, at(120))] {
        let refused = door.access.log_in("yoshiko", PASSWORD, Some(old), desk(), at(120));
        assert_eq!(why(refused), Why::Credentials, "of the lost one");
    }
}

#[test]
fn the_last_administrator_stays() {
    let door = Door::new();
    let admin = door.admin();
    let by = admin.session.who();
    door.access.add_user(&by, "invited", Role::Admin, Lang::Ja, at(0)).unwrap();
    let attempts = |who: &Who| {
        [
            door.access.disable(who, "yoshiko", at(1)).map_err(|denied| denied.why),
            door.access.set_role(who, "yoshiko", Role::Viewer, at(1)).map_err(|denied| denied.why),
        ]
    };
    assert_eq!(attempts(&by), [Err(Why::LastAdmin); 2], "who was only invited does not count");
    assert_eq!(attempts(&Who::local()), [Err(Why::LastAdmin); 2]);
    assert_eq!(why(door.access.reset(&by, "yoshiko", at(1))), Why::LastAdmin);
    assert!(door.is_open(&admin.cookie, at(1)));
    let tanaka = door.person(&admin, "tanaka", Role::Admin);
    door.access.set_role(&tanaka.session.who(), "yoshiko", Role::Viewer, at(2)).unwrap();
    assert_eq!(why(door.access.disable(&tanaka.session.who(), "tanaka", at(2))), Why::LastAdmin);
    let code = door.access.reset(&Who::local(), "tanaka", at(3)).unwrap();
    assert!(door.access.accept(code.code.text(), "tanaka", OTHER, desk(), at(3)).is_ok(), "at the machine");
}

#[test]
fn a_token_does_what_its_role_may_until_it_ends() {
    let door = Door::new();
    let admin = door.admin();
    let operator = door.person(&admin, "tanaka", Role::Operator);
    let by = operator.session.who();
    let day = SignedDuration::from_hours(24);
    let make = |name, role, lasts| door.access.make_token(&by, name, role, lasts, at(1));
    assert_eq!(why(make("up", Role::Admin, day)), Why::Role);
    assert_eq!(why(make("charts", Role::Clinician, day)), Why::Role);
    assert_eq!(why(make("", Role::Viewer, day)), Why::Input);
    assert_eq!(why(make("forever", Role::Viewer, day * 367)), Why::Input);
    let token = make("prometheus", Role::Operator, day).unwrap();
    let header = format!("Bearer {}", token.text.text());
    let who = door.access.bearer(&header, at(2)).unwrap().unwrap();
    assert_eq!((who.name.as_str(), who.role), ("token:1 prometheus", Role::Operator));
    assert!(door.access.require(&who, Permission::Metrics, "", at(2)).is_ok());
    assert_eq!(why(door.access.require(&who, Permission::Tokens, "", at(2))), Why::NotFresh, "never fresh");
    assert_eq!(door.access.tokens(&by).unwrap()[0].used_at, Some(at(2)));
    assert_eq!(door.access.bearer(&header, at(1 + 86_400)).unwrap(), None, "over");

    door.access.set_role(&admin.session.who(), "tanaka", Role::Viewer, at(3)).unwrap();
    assert_eq!(door.access.bearer(&header, at(4)).unwrap(), None, "its maker may less than it");
    door.access.set_role(&admin.session.who(), "tanaka", Role::Operator, at(5)).unwrap();
    assert!(door.access.bearer(&header, at(6)).unwrap().is_some());
    door.access.revoke_token(&admin.session.who(), 1, at(7)).unwrap();
    assert_eq!(door.access.bearer(&header, at(8)).unwrap(), None, "revoked");
    assert_eq!(why(door.access.revoke_token(&admin.session.who(), 1, at(9))), Why::Input);
}

#[test]
fn every_role_is_refused_what_it_may_not_do_and_that_is_recorded() {
    let door = Door::new();
    let admin = door.admin();
    let people = [("v", Role::Viewer), ("o", Role::Operator), ("c", Role::Clinician)]
        .map(|(name, role)| door.person(&admin, name, role));
    for person in people.iter().chain([&admin]) {
        for permission in Permission::ALL {
            door.audits.lock().unwrap().clear();
            let who = person.session.who();
            let allowed = door.access.require(&who, *permission, "x", at(1)).is_ok();
            assert_eq!(allowed, may(who.role, *permission), "{} {permission:?}", person.name);
            let refusal = (who.name.clone(), permission.id().to_owned(), "x".to_owned(), false);
            assert_eq!(door.audited().contains(&refusal), !allowed);
        }
        let by = person.session.who();
        assert_eq!(
            door.access.add_user(&by, "new", Role::Admin, Lang::Ja, at(1)).is_ok(),
            by.role == Role::Admin
        );
        assert_eq!(door.access.users(&by, at(1)).is_ok(), by.role == Role::Admin);
    }
}

#[test]
fn the_ledger_learns_who_and_never_what_was_typed() {
    let door = Door::new();
    let admin = door.admin();
    door.audits.lock().unwrap().clear();
    let _ = door.access.log_in("yoshiko", "wrong-password-1", None, desk(), at(60));
    let _ = door.access.log_in("gravel-otter-lamp", PASSWORD, None, desk(), at(60));
    door.log_in(&admin, desk(), at(60)).unwrap();
    door.access.log_out(&admin.session, desk(), at(61)).unwrap();
    let fact = |user: &str, what: &str, object: &str, allowed| {
        (user.to_owned(), what.to_owned(), object.to_owned(), allowed)
    };
    assert_eq!(
        door.audited(),
        [
            fact("yoshiko", "log_in", "", false),
            fact("-", "log_in", "", false),
            fact("yoshiko", "log_in", "password and one-time code", true),
            fact("yoshiko", "log_out", "", true),
        ]
    );
}

#[test]
fn a_cheap_hash_is_replaced_when_its_owner_logs_in() {
    let door = Door::new();
    let admin = door.admin();
    let state = door.access.0.state.clone();
    let settings = Settings { cost: Cost { kib: 128, passes: 1 }, ..door.access.0.settings.clone() };
    let access =
        Access::open(state.clone(), door.access.sealed().clone(), settings, Arc::new(|_: &Audit| {}))
            .unwrap();
    let before = state.user("yoshiko").unwrap().unwrap().password;
    assert!(before.contains("m=64,"));
    access.log_in("yoshiko", PASSWORD, Some(&code_of(&admin.secret, at(60))), desk(), at(60)).unwrap();
    assert!(state.user("yoshiko").unwrap().unwrap().password.contains("m=128,"));
    assert!(
        access.log_in("yoshiko", PASSWORD, Some(&code_of(&admin.secret, at(120))), desk(), at(120)).is_ok()
    );
}

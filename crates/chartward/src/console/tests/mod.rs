mod fixture;
mod logins;
mod mail;

use fixture::{Fixture, attacked, countermeasure, incident};
use jiff::Timestamp;
use schema::{Act, CountermeasureState};

use super::*;
use crate::access::{Role, Who};

fn has_curl() -> bool {
    testkit::tool("console", "curl").is_some()
}

#[test]
fn every_answer_carries_the_security_headers_and_other_hosts_are_refused() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    let page = fixture.curl(&[], "/login").to_lowercase();
    assert!(page.starts_with("http/1.1 303") && page.contains("location: /first-run"), "{page}");
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "strict-transport-security:",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-store",
        "frame-ancestors 'none'",
    ] {
        assert!(page.contains(header), "{header} in {page}");
    }
    for (args, path, status) in [
        (&["-H", "Host: evil.example"][..], "/login", "421"),
        (&["-H", "Host: evil.example"], "/live", "421"),
        (&[], "/healthz", "200"),
        (&[], "/live", "401"),
        (&[], "/metrics", "401"),
        (&[], "/api/v1/status", "401"),
        (&["-H", "Authorization: Bearer cw_nonsense"], "/api/v1/status", "401"),
        (&[], "/nowhere", "404"),
        (&["-X", "DELETE"], "/login", "404"),
        (&[], "/incidents/1", "303"),
        (&["-d", "to=closed"], "/incidents/1/mark", "401"),
        (&["-H", "Origin: https://evil.example", "-d", "name=a"], "/login", "403"),
    ] {
        let answer = fixture.curl(args, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    let long = fixture.dir.path().join("long");
    std::fs::write(&long, vec![b'a'; 70 * 1024]).unwrap();
    let answer = fixture.curl(&["--data-binary", &format!("@{}", long.display())], "/login");
    assert!(answer.contains("413"), "{answer}");
}

#[test]
fn a_token_does_what_its_role_includes_and_the_ledger_says_so() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    attacked(&fixture);
    let now = Timestamp::now();
    let token = |role: Role| {
        let made = fixture.access.make_token(
            &Who::local(),
            role.name(),
            role,
            jiff::SignedDuration::from_hours(1),
            now,
        );
        format!("Authorization: Bearer {}", made.unwrap().text.text())
    };
    let (viewer, operator) = (token(Role::Viewer), token(Role::Operator));
    for (who, method, path, status, holds) in [
        (&viewer, "GET", "/api/v1/status", "200", "\"rpo_seconds\":2580.0"),
        (&viewer, "GET", "/api/v1/incidents?status=open", "200", "\"id\":1"),
        (&viewer, "GET", "/api/v1/incidents?status=closed", "200", "{\"incidents\":[]}"),
        (&viewer, "GET", "/api/v1/incidents/7", "404", "error"),
        (&viewer, "POST", "/api/v1/countermeasures/1/approve", "403", "権限"),
        (&viewer, "GET", "/metrics", "200", "chartward_incidents{status=\"open\"} 1"),
        (&operator, "POST", "/api/v1/countermeasures/1/approve", "200", "\"state\":\"applied\""),
        (&operator, "POST", "/api/v1/countermeasures/1/undo", "200", "\"state\":\"undone\""),
        (&operator, "POST", "/api/v1/jobs/unknown/run", "409", "その処理はありません"),
        (&operator, "GET", "/api/openapi.json", "200", "\"openapi\":\"3.1.0\""),
        // A token is no log-in: pages do not take it.
        (&operator, "GET", "/incidents/1", "303", "login"),
    ] {
        let answer = fixture.curl(&["-X", method, "-H", who], path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(holds),
            "{method} {path}: {answer}"
        );
    }
    let ledger = std::fs::read_to_string(fixture.dir.path().join(prove::ledger::FILE_NAME)).unwrap();
    for what in [
        "\"what\":\"act.approve\",\"object\":\"/api/v1/countermeasures/1/approve\",\"allowed\":true",
        "\"what\":\"act.approve\",\"object\":\"/api/v1/countermeasures/1/approve\",\"allowed\":false",
        "/api/v1/incidents/7",
    ] {
        assert!(ledger.contains(what), "{what} in {ledger}");
    }
}

#[test]
fn the_openapi_document_in_the_repository_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = format!("{:#}\n", api::document());
    if std::env::var_os("CHARTWARD_WRITE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made, "run the test with CHARTWARD_WRITE_DOCS=1");
}

#[test]
fn every_page_has_a_title_in_both_languages_and_every_form_needs_an_account_or_a_secret() {
    for route in pages::all() {
        assert!(!route.title.0.is_empty() && !route.title.1.is_empty(), "{}", route.path);
        if route.verb == route::Verb::Post && route.needs == route::Needs::Nothing {
            assert!(["/login", "/first-run", "/invited"].contains(&route.path), "{}", route.path);
        }
    }
}

#[test]
fn an_incident_that_a_sensor_saw_leads_to_what_left_the_network() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    attacked(&fixture);
    let viewer = session(&fixture);
    for (path, holds) in [
        ("/incidents/1", "/incidents/1/network"),
        ("/incidents/1/network", "chartward sensor evidence --from "),
        ("/incidents/1/network", "The sensor kept no flows on this machine."),
    ] {
        let answer = fixture.curl(&["-b", &viewer], path);
        assert!(answer.contains(holds), "{path}: {answer}");
    }
}

/// A session's cookie as curl sends it, for a viewer, who needs no second factor.
fn session(fixture: &Fixture) -> String {
    let made =
        fixture.access.add_user(&Who::local(), "viewer", Role::Viewer, schema::Lang::En, Timestamp::now());
    let (code, password) = (made.unwrap().code, "violin under seven bridges");
    let address = [127, 0, 0, 1].into();
    let entered = fixture.access.accept(code.text(), "viewer", password, address, Timestamp::now()).unwrap();
    entered.set_cookie.text().split(';').next().unwrap().to_owned()
}

/// Not timed, unless figures are asked for: `CHARTWARD_CONSOLE_FIGURES=1`.
#[test]
fn pages_stay_quick_with_ten_thousand_incidents_and_a_million_findings() {
    if !has_curl() || std::env::var_os("CHARTWARD_CONSOLE_FIGURES").is_none() {
        return;
    }
    let fixture = Fixture::new();
    attacked(&fixture);
    let now = Timestamp::now();
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    fixture
        .state
        .write(|tx| {
            for id in 2..=10_000 {
                tx.put_incident(&incident(id, now - jiff::SignedDuration::from_mins(id as i64)))?;
                tx.put_countermeasure(&countermeasure(
                    id + 2,
                    id,
                    Act::LockVault,
                    CountermeasureState::Expired,
                    now,
                ))?;
            }
            tx.add_daily(
                &(0..1_000)
                    .map(|n| prove::state::Daily {
                        day,
                        class_uid: 2004,
                        watcher: "files".into(),
                        detector: format!("test.n{n}"),
                        severity_id: 3,
                        lines: 1_000,
                    })
                    .collect::<Vec<_>>(),
            )
        })
        .unwrap();
    let viewer = session(&fixture);
    for path in ["/", "/incidents", "/incidents/1", "/approvals", "/protected", "/watchers", "/ledger", "/"] {
        let args = [
            "-o",
            "/dev/null",
            "-w",
            "%{time_starttransfer} %{time_pretransfer} %{http_code}\\n",
            "-b",
            &viewer,
        ];
        let mut times: Vec<f64> = (0..200)
            .map(|_| {
                let told = fixture.curl(&args, path);
                let parts: Vec<f64> = told.split_whitespace().map(|part| part.parse().unwrap()).collect();
                assert_eq!(parts[2], 200.0, "{path}");
                (parts[0] - parts[1]) * 1_000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{path}: median {:.1} ms, p99 {:.1} ms", times[100], times[197]);
    }
}

//! What must be caught whatever its charset and form, and the list mail that looks like it and must not.

use std::fs;

use serde_json::Value;

use crate::mail_made::{Charset, HOSTS, LIST_SENDER, SUBJECTS, WAYS, from_list, lure};
use crate::support::Site;

fn judged(site: &Site, args: &[&str]) -> Vec<Value> {
    let run = site.bare([&["scan", "mail", "--json"], args].concat());
    run.lines.into_iter().filter(|line| line.get("verdict").is_some()).collect()
}

fn has(mail: &Value, reason: &str) -> bool {
    mail["reasons"].as_array().unwrap().iter().any(|it| it["id"] == reason)
}

/// Every subject, host, charset and form, from a sender of the same host and from one that has nothing to do with it.
#[test]
fn every_reported_lure_is_phishing_in_every_charset_and_form() {
    let site = Site::new();
    let folder = site.path().join("lures");
    fs::create_dir(&folder).unwrap();
    let mut names = Vec::new();
    for (number, subject) in SUBJECTS.into_iter().enumerate() {
        for host in HOSTS {
            for way in WAYS {
                for from in [format!("info@{host}"), "no-reply@mail-77.example".to_owned()] {
                    let name = format!("{number} {host} {way:?} {}", &from[..4]);
                    fs::write(folder.join(format!("{name}.eml")), lure(subject, host, &from, way)).unwrap();
                    names.push(name);
                }
            }
        }
    }
    assert_eq!(names.len(), 112);
    let mails = judged(&site, &[folder.to_str().unwrap()]);
    assert_eq!(mails.len(), names.len());
    for mail in &mails {
        assert_eq!(mail["verdict"], "phishing", "{mail:#}");
        for reason in ["brand.impersonation", "brand.display-name", "brand.link-lookalike"] {
            assert!(has(mail, reason), "{reason}: {mail:#}");
        }
        let same = mail["path"].as_str().unwrap().ends_with("info.eml");
        assert_eq!(has(mail, "brand.sender-lookalike"), same, "{mail:#}");
    }
}

/// The look-alike alone, with no word of the brand beside it, is told too.
#[test]
fn a_look_alike_host_is_named_where_nothing_else_is_said() {
    let site = Site::new();
    let folder = site.path().join("bare");
    fs::create_dir(&folder).unwrap();
    for (number, host) in HOSTS.iter().enumerate() {
        let mail = format!("From: A <a@sender.example>\r\nSubject: photo\r\n\r\nSee https://{host}/x\r\n");
        fs::write(folder.join(format!("{number}.eml")), mail).unwrap();
    }
    let mails = judged(&site, &[folder.to_str().unwrap()]);
    assert_eq!(mails.len(), HOSTS.len());
    for (mail, host) in mails.iter().zip(HOSTS) {
        assert!(has(mail, "brand.link-lookalike"), "{host}: {mail:#}");
    }
}

#[test]
fn a_list_mail_about_ransomware_is_clean_with_and_without_what_a_server_says() {
    let site = Site::new();
    for charset in [Charset::Iso2022Jp, Charset::Utf8] {
        let results = format!(
            "Return-Path: <{LIST_SENDER}>\r\nAuthentication-Results: mx.hospital.invalid; spf=pass smtp.mailfrom=ml.univ.example;\r\n \
             dkim=fail header.d=univ.example; dmarc=fail header.from=univ.example\r\n"
        );
        let path = site.path().join(format!("{charset:?}.eml"));
        fs::write(&path, [results.into_bytes(), from_list(charset)].concat()).unwrap();
        let path = path.to_str().unwrap();
        for trust in [&[path][..], &["--trust-authserv-id", "mx.hospital.invalid", path]] {
            let mails = judged(&site, trust);
            assert_eq!(mails[0]["verdict"], "clean", "{trust:?}: {:#}", mails[0]);
            assert!(!has(&mails[0], "auth.dkim-fail"), "a list breaks signatures: {:#}", mails[0]);
        }
    }
}

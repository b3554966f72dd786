use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::AuthenticationResults;
use mail_auth::arc::ArcSealer;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use testkit::dns::{Names, Record};

use super::*;

const MAIL: &str = "From: Clinic <info@clinic.example>\r\nTo: ward@hospital.example\r\nSubject: rota\r\n\
                    Date: Mon, 1 Jun 2026 09:00:00 +0900\r\nMessage-ID: <1@clinic.example>\r\n\r\nThe rota of June.\r\n";

/// A key, and what its domain publishes of it.
struct Key {
    der: Vec<u8>,
    record: String,
}

impl Key {
    fn fresh() -> Self {
        let der = Ed25519Key::generate_pkcs8().unwrap();
        let public = Ed25519Key::from_pkcs8_der(&der).unwrap().public_key();
        Self { der, record: format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(public)) }
    }

    fn private(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.der).unwrap()
    }
}

fn signed(key: &Key, domain: &str, message: &str) -> String {
    let signer =
        DkimSigner::from_key(key.private()).domain(domain).selector("s").headers(["From", "To", "Subject"]);
    format!("{}{message}", signer.sign(message.as_bytes()).unwrap().to_header())
}

fn txt(name: &str, text: &str) -> (String, Record) {
    (name.to_owned(), Record::Txt(text.to_owned()))
}

fn names(key_record: &str) -> Names {
    Names::start(vec![
        txt("clinic.example", "v=spf1 ip4:192.0.2.10 -all"),
        txt("soft.example", "v=spf1 ~all"),
        txt("broken.example", "v=spf1 nonsense:%%% -all"),
        txt("_dmarc.clinic.example", "v=DMARC1; p=reject"),
        txt("s._domainkey.clinic.example", key_record),
        txt("list.example", "v=spf1 ip4:192.0.2.20 -all"),
        txt("s._domainkey.list.example", key_record),
        ("silent.example".to_owned(), Record::Silent),
        ("_dmarc.silent.example".to_owned(), Record::Silent),
        ("mx.clinic.example".to_owned(), Record::A([192, 0, 2, 10].into())),
    ])
}

fn authenticator(names: &Names) -> Authenticator {
    Authenticator::new(Dns::Server(names.at), "mx.hospital.example", Duration::from_secs(20)).unwrap()
}

fn origin(client: [u8; 4], mail_from: &str) -> Origin<'_> {
    Origin { client: client.into(), helo: "mx.clinic.example", mail_from }
}

fn domain(result: AuthResult, domain: &str) -> Option<(AuthResult, String)> {
    Some((result, domain.to_owned()))
}

#[test]
fn a_mail_is_what_its_domain_says_it_is() {
    let key = Key::fresh();
    let names = names(&key.record);
    let authenticator = authenticator(&names);
    let mail = signed(&key, "clinic.example", MAIL);

    let own = authenticator.check(&origin([192, 0, 2, 10], "info@clinic.example"), mail.as_bytes());
    assert_eq!(own.spf, domain(AuthResult::Pass, "clinic.example"));
    assert_eq!(own.dkim, [(AuthResult::Pass, "clinic.example".to_owned())]);
    assert_eq!(own.dmarc, domain(AuthResult::Pass, "clinic.example"));
    assert_eq!((own.arc, own.by.as_str()), (None, "here"));

    // Somebody else with its name.
    let forged = authenticator.check(&origin([198, 51, 100, 7], "info@clinic.example"), MAIL.as_bytes());
    assert_eq!(forged.spf, domain(AuthResult::Fail, "clinic.example"));
    assert_eq!(forged.dkim, []);
    assert_eq!(forged.dmarc, domain(AuthResult::Fail, "clinic.example"));

    // The same mail again asks nobody: what was answered is remembered.
    let asked = names.asked();
    authenticator.check(&origin([192, 0, 2, 10], "info@clinic.example"), mail.as_bytes());
    assert_eq!(names.asked(), asked);
}

#[test]
fn spf_speaks_for_the_envelope() {
    let names = names("");
    let authenticator = authenticator(&names);
    for (mail_from, expected, about) in [
        ("a@soft.example", AuthResult::SoftFail, "soft.example"),
        ("a@broken.example", AuthResult::PermError, "broken.example"),
        ("a@absent.example", AuthResult::None, "absent.example"),
        // A bounce has the machine's own name for a sender.
        ("", AuthResult::None, "mx.clinic.example"),
    ] {
        let found = authenticator.check(&origin([192, 0, 2, 10], mail_from), MAIL.as_bytes());
        assert_eq!(found.spf, domain(expected, about), "{mail_from}");
    }
}

#[test]
fn a_list_that_changes_the_body_breaks_the_signature_and_seals_what_it_saw() {
    let key = Key::fresh();
    let names = names(&key.record);
    let authenticator = authenticator(&names);
    let mail = signed(&key, "clinic.example", MAIL);
    let at_list =
        mail.replace("Subject: rota", "Subject: [ward 12] rota").replace("June.", "June.\r\n-- \r\nlist");
    let at_list = format!("List-Id: <ward.list.example>\r\n{at_list}");

    let plain = authenticator.check(&origin([192, 0, 2, 20], "bounce@list.example"), at_list.as_bytes());
    assert_eq!(plain.spf, domain(AuthResult::Pass, "list.example"));
    assert_eq!(plain.dkim, [(AuthResult::Fail, "clinic.example".to_owned())]);
    assert_eq!(plain.dmarc, domain(AuthResult::Fail, "clinic.example"), "raw: the judge knows lists");

    let sealed = sealed(&authenticator, &key, &at_list);
    let sealed = authenticator.check(&origin([192, 0, 2, 20], "bounce@list.example"), sealed.as_bytes());
    assert_eq!(sealed.arc, Some(AuthResult::Pass));
    assert_eq!(sealed.dkim, [(AuthResult::Fail, "clinic.example".to_owned())]);
}

/// As the list passes it on, with a seal of its own.
fn sealed(authenticator: &Authenticator, key: &Key, mail: &str) -> String {
    let parsed = AuthenticatedMessage::parse(mail.as_bytes()).unwrap();
    let arc = authenticator.runtime.block_on(authenticator.names.verify_arc(&parsed));
    let results = AuthenticationResults::new("list.example");
    let sealer =
        ArcSealer::from_key(key.private()).domain("list.example").selector("s").headers(["From", "Subject"]);
    format!("{}{mail}", sealer.seal(&parsed, &results, &arc).unwrap().to_header())
}

#[test]
fn silence_is_a_temporary_error_and_takes_no_longer_than_it_may() {
    let names = names("");
    let within = Duration::from_millis(300);
    let authenticator = Authenticator::new(Dns::Server(names.at), "mx.hospital.example", within).unwrap();
    let mail = MAIL.replace("clinic.example", "silent.example");
    let mail = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; d=silent.example; s=s; h=from; bh=aaaa; b=aaaa\r\n{mail}"
    );
    let begun = std::time::Instant::now();
    let found = authenticator.check(&origin([192, 0, 2, 10], "a@silent.example"), mail.as_bytes());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(found.spf, domain(AuthResult::TempError, "silent.example"));
    assert_eq!(found.dmarc, domain(AuthResult::TempError, "silent.example"));
}

#[test]
fn nobody_makes_us_hash_a_body_a_thousand_times() {
    let names = names("");
    let line =
        "DKIM-Signature: v=1; a=ed25519-sha256; d=clinic.example; s=s; h=from; l=1; bh=aaaa; b=aaaa\r\n";
    let mail = format!("{}{MAIL}", line.repeat(1_000));
    let found = authenticator(&names).check(&origin([192, 0, 2, 10], "info@clinic.example"), mail.as_bytes());
    assert_eq!(found.dkim, [(AuthResult::PermError, String::new())]);
    assert_eq!(found.spf, domain(AuthResult::Pass, "clinic.example"));
}

#[test]
fn what_is_no_mail_is_no_trouble() {
    let names = names("");
    let authenticator = authenticator(&names);
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"\xff\xfe\0\0",
        b"From: \r\n\r\n",
        b"DKIM-Signature: ;;;\r\nFrom: a@b\r\n\r\nx",
    ] {
        let found = authenticator.check(&origin([192, 0, 2, 10], "info@clinic.example"), bytes);
        assert_eq!(found.spf, domain(AuthResult::Pass, "clinic.example"), "{bytes:?}");
    }
}

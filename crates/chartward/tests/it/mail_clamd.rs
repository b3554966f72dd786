//! A real clamd beside the judge: with `scan mail`, behind the gateway, and dying under it.

use std::fs;

use testkit::clamd::{Daemon, eicar, test_files, test_program};

use crate::mail_gateway::{Gateway, has_tools};
use crate::mail_made::carrying;
use crate::support::Site;

const FROM: &str = "tanaka@vendor.example";
const CLIENT: &str = "192.0.2.30";

/// What only a signature knows: text files, and archives that are not unpacked here.
fn infected(test: &str) -> Option<Vec<(&'static str, Vec<u8>)>> {
    test_program(test)?;
    let mut files = vec![("eicar.txt", eicar().into_bytes())];
    for name in ["clam.zip", "clam.cab", "clam.7z", "clam.tar.gz", "clam.ole.doc", "clam.pdf", "clam.exe.rtf"]
    {
        files.extend(fs::read(test_files().join(name)).ok().map(|bytes| (name, bytes)));
    }
    Some(files)
}

fn daemon(test: &str) -> Option<Daemon> {
    let (text, program) = (eicar(), test_program(test)?);
    Daemon::start(test, &[("Test.Eicar", text.as_bytes()), ("Test.Clam", &program)])
}

#[test]
fn a_scan_says_what_clamd_calls_an_attachment() {
    let test = "a_scan_says_what_clamd_calls_an_attachment";
    let Some((daemon, files)) = daemon(test).zip(infected(test)) else { return };
    let site = Site::new();
    let folder = site.path().join("mails");
    fs::create_dir(&folder).unwrap();
    for (name, file) in &files {
        fs::write(folder.join(format!("{name}.eml")), carrying(name, name, file)).unwrap();
    }
    fs::write(folder.join("letter.eml"), carrying("letter", "letter.txt", "拝啓".as_bytes())).unwrap();
    let socket = daemon.socket();
    for endpoint in [socket.to_str().unwrap().to_owned(), format!("127.0.0.1:{}", daemon.port)] {
        let run = site.bare(["scan", "mail", "--json", "--clamd", &endpoint, folder.to_str().unwrap()]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        let mails: Vec<_> = run.lines.iter().filter(|line| line.get("verdict").is_some()).collect();
        assert_eq!(mails.len(), files.len() + 1);
        for mail in mails {
            let is_letter = mail["path"].as_str().unwrap().ends_with("letter.eml");
            let expected = if is_letter { "clean" } else { "malicious" };
            assert_eq!(mail["verdict"], expected, "{mail:#}");
            let signature =
                mail["reasons"].as_array().unwrap().iter().find(|it| it["id"] == "clamd.signature");
            assert_eq!(signature.is_none(), is_letter, "{mail:#}");
            assert!(signature.is_none_or(|it| it["evidence"].to_string().contains("Test.")), "{mail:#}");
        }
    }
}

#[test]
fn a_scan_goes_on_without_a_clamd_that_died_and_says_so() {
    let test = "a_scan_goes_on_without_a_clamd_that_died_and_says_so";
    let Some(mut daemon) = daemon(test) else { return };
    let site = Site::new();
    let mail = site.path().join("mail.eml");
    fs::write(&mail, carrying("a", "a.txt", eicar().as_bytes())).unwrap();
    daemon.kill();
    let socket = daemon.socket();
    let run =
        site.bare(["scan", "mail", "--json", "--clamd", socket.to_str().unwrap(), mail.to_str().unwrap()]);
    assert_eq!(run.code, 2, "before anything is judged: {}", run.stderr);
    assert!(run.stderr.contains("clamav-daemon"), "{}", run.stderr);
}

#[test]
fn the_gateway_holds_back_what_clamd_knows() {
    let test = "the_gateway_holds_back_what_clamd_knows";
    if !has_tools(test) {
        return;
    }
    let Some((daemon, files)) = daemon(test).zip(infected(test)) else { return };
    let mut gateway = Gateway::new();
    let socket = daemon.socket();
    gateway.serve(&["--dns", "off", "--policy", "malicious=quarantine", "--clamd", socket.to_str().unwrap()]);
    for (name, file) in &files {
        assert!(gateway.send(FROM, CLIENT, &carrying(name, name, file)).taken);
    }
    assert!(gateway.send(FROM, CLIENT, &carrying("letter", "letter.txt", b"Dear Sirs")).taken);
    assert_eq!(gateway.delivered().len(), 1, "the letter");
    let held = gateway.held();
    assert_eq!(held.len(), files.len());
    assert!(held.iter().all(|mail| mail["reasons"].to_string().contains("clamd.signature")), "{held:#?}");
    let findings = gateway.lines(|line| line["detector"] == "malware.mail");
    assert_eq!(findings.len(), files.len());
    // Hashes of what it carries, for whoever looks for the same file elsewhere.
    assert!(
        findings.iter().all(|it| it["mail"]["attachments"][0].as_str().is_some_and(|sha| sha.len() == 64))
    );
}

/// Killed, and hanging in the middle of a mail: each mail is delivered, held back, or still with its sender.
#[test]
fn a_clamd_that_dies_under_the_gateway_loses_no_mail() {
    let test = "a_clamd_that_dies_under_the_gateway_loses_no_mail";
    if !has_tools(test) {
        return;
    }
    let Some(mut daemon) = daemon(test) else { return };
    let mut gateway = Gateway::new();
    let socket = daemon.socket();
    let socket = socket.to_str().unwrap();
    let words = ["--dns", "off", "--policy", "quarantine", "--clamd", socket, "--on-failure"];
    let letter = |name: &str| carrying(name, "letter.txt", b"Dear Sirs");

    gateway.serve(&[&words[..], &["tempfail"]].concat());
    assert!(gateway.send(FROM, CLIENT, &letter("one")).taken);
    daemon.kill();
    let sent = gateway.send(FROM, CLIENT, &letter("two"));
    assert!(!sent.taken && sent.said.contains("451"), "{}", sent.said);
    // What is known to be bad by itself is held back all the same.
    let page = carrying("three", "invoice.pdf.exe", &fs::read(test_files().join("clam.exe")).unwrap());
    assert!(gateway.send(FROM, CLIENT, &page).taken);
    assert_eq!((gateway.delivered().len(), gateway.held().len()), (1, 1));
    assert!(!gateway.lines(|line| line["type"] == "trouble").is_empty(), "the hub learns it");
    // It is back: nothing has to be started anew.
    daemon.begin();
    assert!(gateway.send(FROM, CLIENT, &letter("two")).taken);
    assert_eq!(gateway.delivered().len(), 2);

    gateway.serve(&[&words[..], &["accept"]].concat());
    std::thread::scope(|scope| {
        daemon.pause(true);
        let sending = scope.spawn(|| gateway.send(FROM, CLIENT, &letter("four")));
        // It has the connection, for the kernel took it, and says nothing; then it dies.
        std::thread::sleep(std::time::Duration::from_millis(500));
        daemon.kill();
        assert!(sending.join().unwrap().taken);
    });
    let delivered = gateway.delivered();
    assert_eq!(delivered.len(), 3);
    let marked = delivered.iter().find(|mail| mail.contains("The body of four.")).unwrap();
    assert!(
        marked.contains("X-Chartward-Verdict: unreadable\n") && marked.contains("gateway.broke"),
        "{marked}"
    );
}

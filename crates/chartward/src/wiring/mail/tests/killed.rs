//! A gateway that is killed while mails are in flight loses none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::gateway::{Gateway, Killable, has_postfix, mail};

const SENDERS: usize = 4;
const ROUNDS: u64 = 10;

#[test]
fn whoever_was_told_that_a_mail_was_taken_finds_it_here() {
    if !has_postfix("whoever_was_told_that_a_mail_was_taken_finds_it_here") {
        return;
    }
    let gateway = Gateway::down("tempfail");
    let mut killable = Killable::start(&gateway);
    let next = AtomicUsize::new(0);
    let ended = AtomicUsize::new(0);
    let taken: Vec<String> = thread::scope(|scope| {
        let send = || {
            let mut taken = Vec::new();
            while ended.load(Ordering::Relaxed) == 0 {
                let number = next.fetch_add(1, Ordering::Relaxed);
                // Some that are held back, some that go on.
                let word = if number.is_multiple_of(3) {
                    format!("hello-{number}")
                } else {
                    format!("phish-{number}")
                };
                let padded =
                    [mail(&word), b"padding to take some time on the way\r\n".repeat(2_000)].concat();
                if gateway.send(&padded).is_ok() {
                    taken.push(word);
                }
            }
            taken
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        for round in 0..ROUNDS {
            // Moments that have nothing to do with the mails'.
            thread::sleep(Duration::from_millis(60 + round * 37 % 190));
            killable.kill();
            killable = Killable::start(&gateway);
        }
        ended.store(1, Ordering::Relaxed);
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    assert!(taken.len() > 10, "mails went through between the kills: {}", taken.len());
    let kept = gateway.store().list(100_000).unwrap();
    gateway.postfix.settled();
    let mails: Vec<String> =
        gateway.postfix.mails().iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect();
    for word in &taken {
        let is_kept = kept.iter().any(|it| it.entry.subject == *word);
        let is_delivered = mails.iter().any(|mail| mail.contains(&format!("The body of {word}.")));
        assert!(is_kept || is_delivered, "{word} was taken and is nowhere");
        assert!(is_kept || word.starts_with("hello"), "{word} went past the gateway");
    }
    // Each one that is here is whole.
    for it in kept.iter().take(20) {
        let (_, message) = gateway.store().read(&it.entry.id).unwrap();
        assert!(message.ends_with(b"on the way\r\n"), "{}", it.entry.id);
    }
}

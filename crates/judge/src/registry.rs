use schema::Attack;

use crate::{gate, logins, mail, network, removal, share, sigma, tamper};

/// What a detector says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// `family.name`; also the folder of its fixtures, with an underscore for the dot.
    pub id: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// The same in Japanese.
    pub title_ja: &'static str,
    /// The techniques that its findings name; of a family of Sigma rules, those that make a rule one of it.
    pub attacks: fn() -> Vec<Attack>,
    /// Makes a fresh one.
    pub make: Detector,
}

/// The sorts of detectors, by what they are given.
#[derive(Debug, Clone, Copy)]
pub enum Detector {
    /// Asked before an open may pass: one [`schema::GateInput`] at a time.
    Gate(fn() -> gate::Gate),
    /// Given looks at a share: one [`schema::ShareLook`] at a time.
    Share(fn() -> share::Share),
    /// Given removals of files: one [`schema::Removal`] at a time.
    Removal(fn() -> removal::Bursts),
    /// Given what the guard could not do: one [`schema::Lapse`] at a time.
    Lapses(fn() -> tamper::Lapses),
    /// Given mails: one [`mail::Given`] at a time.
    Mail(fn() -> Result<mail::MailJudge, mail::MailError>),
    /// Given what was seen on the network: one of [`network::Detectors`], which all work together.
    Network(fn(&network::Rules) -> network::Detectors),
    /// Given logons as logs tell of them: one [`schema::AuthEvent`] at a time, and all of them work together.
    Logins(fn(&logins::Rules) -> logins::Detectors),
    /// Given records of logs: one [`schema::LogRecord`] at a time. The rules come as text, and each speaks as one of the families.
    Sigma(LoadRules),
}

/// See [`sigma::Engine::load`].
type LoadRules = fn(Vec<(String, String)>, &sigma::Filter) -> (sigma::Engine, Vec<sigma::NotLoaded>);

/// Every detector.
pub const REGISTRY: &[Entry] = &[
    gate::ENTRY,
    gate::DATABASE,
    logins::contract::ENTRY,
    logins::exposure::account::ENTRY,
    logins::exposure::nla::ENTRY,
    logins::exposure::service::ENTRY,
    logins::first_seen::ENTRY,
    logins::guess::account::ENTRY,
    logins::guess::host::ENTRY,
    logins::guess::hosts::ENTRY,
    logins::guess::many_sources::ENTRY,
    logins::guess::slow::ENTRY,
    logins::guess::source::ENTRY,
    logins::guess::spray::ENTRY,
    logins::guess::stale::ENTRY,
    logins::guess::success::ENTRY,
    logins::hours::ENTRY,
    logins::outside::ENTRY,
    logins::service_account::ENTRY,
    mail::MALWARE,
    mail::PHISHING,
    network::beacon::ENTRY,
    network::bruteforce::kerberos::ENTRY,
    network::bruteforce::ldap_ntlm::ENTRY,
    network::bruteforce::rdp::ENTRY,
    network::bruteforce::smb::ENTRY,
    network::bruteforce::ssh::ENTRY,
    network::contract::deviation::ENTRY,
    network::contract::hospital_protocol::ENTRY,
    network::contract::remote_tool::ENTRY,
    network::encryption::ENTRY,
    network::eol::ENTRY,
    network::exfil::ENTRY,
    network::exposure::ENTRY,
    network::lateral::account_query::ENTRY,
    network::lateral::dcsync::ENTRY,
    network::lateral::remote_exec::ENTRY,
    network::lateral::zerologon::ENTRY,
    network::mirror::ENTRY,
    network::names::MALWARE,
    network::names::PHISHING,
    network::scan::fanout::ENTRY,
    network::scan::flood::ENTRY,
    network::scan::icmp::ENTRY,
    network::scan::trw::ENTRY,
    removal::ENTRY,
    share::ENTRY,
    share::TAMPER,
    sigma::family::BACKUP,
    sigma::family::BEACON,
    sigma::family::BRUTEFORCE,
    sigma::family::CONTRACT,
    sigma::family::ENCRYPTION,
    sigma::family::EXFIL,
    sigma::family::EXPOSURE,
    sigma::family::LATERAL,
    sigma::family::MALWARE,
    sigma::family::PHISHING,
    sigma::family::SCAN,
    sigma::family::TAMPER,
    tamper::ENTRY,
];

/// The detector with this id.
pub fn entry(id: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read fixtures")]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use jiff::{SignedDuration, Timestamp};
    use schema::{GateInput, Lapse, Removal, ShareLook, Verdict};

    use super::*;

    /// A fixture's line: a mail as it came, in 7 bits or UTF-8, as the server `mx.hospital.example` handed it over.
    #[derive(serde::Deserialize)]
    struct MailLine {
        mail: String,
    }

    /// The first line of a network fixture, where the rules are not the default.
    #[derive(serde::Deserialize)]
    struct RulesLine {
        rules: network::Rules,
    }

    /// The same for logons.
    #[derive(serde::Deserialize)]
    struct LoginRulesLine {
        rules: logins::Rules,
    }

    /// The first line of a fixture for Sigma, where the rules are not our own: their texts.
    #[derive(serde::Deserialize)]
    struct SigmaRulesLine {
        rules: Vec<String>,
    }

    fn judge_raw(judge: &mail::MailJudge, raw: &[u8]) -> schema::MailJudgement {
        let message = decode::mail::read(raw, &decode::mail::Limits::default());
        let trusted = mail::Trusted::new(["mx.hospital.example".to_owned()]);
        let known = mail::trusted_authentication(&message, &trusted);
        let limits = decode::attachment::Limits::default();
        let looks: Vec<_> = message
            .parts
            .iter()
            .map(|part| decode::attachment::look(&part.name, &part.bytes, &limits, &[]))
            .collect();
        judge.judge(&mail::Given {
            message: &message,
            authentication: known.as_ref(),
            looks: &looks,
            signatures: &[],
        })
    }

    #[test]
    fn every_single_mail_of_the_fixtures_is_judged_rightly() {
        let judge = mail::MailJudge::builtin().unwrap();
        for entry in [&mail::PHISHING, &mail::MALWARE] {
            for (side, expected) in [("attack", true), ("benign", false)] {
                for fixture in fixtures(entry, side) {
                    for (line, json) in fs::read_to_string(&fixture).unwrap().lines().enumerate() {
                        let raw: MailLine = serde_json::from_str(json).unwrap();
                        let judged = judge_raw(&judge, raw.mail.as_bytes());
                        let said = mail::detector(judged.verdict).is_some_and(|said| said.id == entry.id);
                        assert_eq!(said, expected, "{}:{} {judged:#?}", fixture.display(), line + 1);
                    }
                }
            }
        }
    }

    fn fixtures(entry: &Entry, side: &str) -> Vec<PathBuf> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(entry.id.replace('.', "_"))
            .join(side);
        assert!(
            dir.join("README.md").is_file(),
            "{} has no README.md that says where it came from",
            dir.display()
        );
        let mut files: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} holds no fixture", dir.display());
        files
    }

    /// Whether the detector says something to one of the fixture's lines.
    fn speaks(entry: &Entry, fixture: &Path) -> bool {
        let text = fs::read_to_string(fixture).unwrap();
        let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
        let place = |line: usize| format!("{}:{line}", fixture.display());
        match entry.make {
            Detector::Gate(make) => {
                let mut gate = make();
                lines.iter().any(|&(line, json)| {
                    let input: GateInput =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(line as i64 * 10);
                    matches!(gate.decide(&input, now), Verdict::Stop(_))
                })
            }
            Detector::Removal(make) => {
                let mut bursts = make();
                let at = |line: usize| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(line as i64 * 10);
                lines.iter().any(|&(line, json)| {
                    let removal: Removal =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    bursts.take(&removal, at(line));
                    !bursts.due(at(line)).is_empty()
                }) || !bursts.due(at(lines.len()) + SignedDuration::from_secs(2)).is_empty()
            }
            Detector::Lapses(make) => {
                let mut lapses = make();
                lines.iter().any(|&(line, json)| {
                    let lapse: Lapse =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    lapses.weigh(lapse).is_some()
                })
            }
            Detector::Mail(make) => {
                let judge = make().unwrap();
                lines.iter().any(|&(line, json)| {
                    let raw: MailLine =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    let verdict = judge_raw(&judge, raw.mail.as_bytes()).verdict;
                    mail::detector(verdict).is_some_and(|said| said.id == entry.id)
                })
            }
            Detector::Network(make) => {
                let rules = text.lines().next().and_then(|line| serde_json::from_str::<RulesLine>(line).ok());
                let skipped = usize::from(rules.is_some());
                let mut detectors = make(&rules.map(|line| line.rules).unwrap_or_default());
                let mut said = Vec::new();
                for &(line, json) in &lines[skipped..] {
                    let event: schema::NetEvent =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    detectors.step(&[event], 0, &mut said);
                }
                said.iter().any(|finding| finding.detector == entry.id)
            }
            Detector::Logins(make) => {
                let rules =
                    text.lines().next().and_then(|line| serde_json::from_str::<LoginRulesLine>(line).ok());
                let skipped = usize::from(rules.is_some());
                let mut detectors = make(&rules.map(|line| line.rules).unwrap_or_default());
                let mut said = Vec::new();
                for &(line, json) in &lines[skipped..] {
                    let event: logins::scenes::Logon =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    detectors.step(&event.event(), 0, &mut said);
                }
                said.iter().any(|finding| finding.detector == entry.id)
            }
            Detector::Sigma(load) => {
                let rules =
                    text.lines().next().and_then(|line| serde_json::from_str::<SigmaRulesLine>(line).ok());
                let skipped = usize::from(rules.is_some());
                let rules = rules.map_or_else(
                    || sigma::own_rules(false),
                    |line| line.rules.into_iter().map(|text| (place(0), text)).collect(),
                );
                let (mut engine, not_loaded) = load(rules, &sigma::Filter::default());
                assert_eq!(not_loaded, []);
                let mut hits = Vec::new();
                for &(line, json) in &lines[skipped..] {
                    let read: sigma::scene::Line =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    engine.step(&read.record(line as u64), i64::MAX / 2, &mut hits);
                }
                hits.iter().any(|hit| hit.finding().detector == entry.id)
            }
            Detector::Share(make) => {
                let mut share = make();
                lines.iter().any(|&(line, json)| {
                    let look: ShareLook =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(line as i64 * 30);
                    share.look(&look, now).is_some_and(|said| said.detector == entry.id)
                })
            }
        }
    }

    #[test]
    fn every_detector_finds_its_attacks_and_leaves_the_benign_alone() {
        for entry in REGISTRY {
            for fixture in fixtures(entry, "attack") {
                assert!(speaks(entry, &fixture), "{} misses {}", entry.id, fixture.display());
            }
            for fixture in fixtures(entry, "benign") {
                assert!(!speaks(entry, &fixture), "{} alarms at {}", entry.id, fixture.display());
            }
        }
    }

    #[test]
    fn ids_are_unique_and_have_a_family() {
        let mut ids: Vec<_> = REGISTRY.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), REGISTRY.len());
        assert!(ids.iter().all(|id| id.split_once('.').is_some()));
    }
}

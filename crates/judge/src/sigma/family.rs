//! The detectors that rules speak as: a rule has the family that its techniques and tactics name.

use schema::{Attack, Tactic};

use super::engine::Engine;
use super::finding::{attack, of_attack, tactic};
use super::rule::RuleInfo;
use crate::{Detector, Entry};

/// Guessed passwords.
pub(crate) const BRUTEFORCE: Entry = Entry {
    id: "bruteforce.sigma",
    title: "Logs: a Sigma rule tells of guessed passwords",
    title_ja: "ログ：パスワードの推測を示すSigmaルールに一致",
    attacks: || leading_to(&BRUTEFORCE),
    make: Detector::Sigma(Engine::load),
};

/// Backups and ways of recovery.
pub(crate) const BACKUP: Entry = Entry {
    id: "backup.sigma",
    title: "Logs: a Sigma rule tells of backups or ways of recovery being taken away",
    title_ja: "ログ：バックアップや復旧手段の破壊を示すSigmaルールに一致",
    attacks: || leading_to(&BACKUP),
    make: Detector::Sigma(Engine::load),
};

/// Encryption, and destruction of other kinds.
pub(crate) const ENCRYPTION: Entry = Entry {
    id: "encryption.sigma",
    title: "Logs: a Sigma rule tells of data or systems being encrypted or destroyed",
    title_ja: "ログ：データやシステムの暗号化・破壊を示すSigmaルールに一致",
    attacks: || leading_to(&ENCRYPTION),
    make: Detector::Sigma(Engine::load),
};

/// Phishing.
pub(crate) const PHISHING: Entry = Entry {
    id: "phishing.sigma",
    title: "Logs: a Sigma rule tells of phishing",
    title_ja: "ログ：フィッシングを示すSigmaルールに一致",
    attacks: || leading_to(&PHISHING),
    make: Detector::Sigma(Engine::load),
};

/// Ways in.
pub(crate) const EXPOSURE: Entry = Entry {
    id: "exposure.sigma",
    title: "Logs: a Sigma rule tells of somebody coming in from outside",
    title_ja: "ログ：外部からの侵入を示すSigmaルールに一致",
    attacks: || leading_to(&EXPOSURE),
    make: Detector::Sigma(Engine::load),
};

/// Protection, and traces.
pub(crate) const TAMPER: Entry = Entry {
    id: "tamper.sigma",
    title: "Logs: a Sigma rule tells of protection being turned off or traces being removed",
    title_ja: "ログ：防御の無効化や痕跡の消去を示すSigmaルールに一致",
    attacks: || leading_to(&TAMPER),
    make: Detector::Sigma(Engine::load),
};

/// Command and control.
pub(crate) const BEACON: Entry = Entry {
    id: "beacon.sigma",
    title: "Logs: a Sigma rule tells of command and control",
    title_ja: "ログ：外部からの指令の通信（C2）を示すSigmaルールに一致",
    attacks: || leading_to(&BEACON),
    make: Detector::Sigma(Engine::load),
};

/// Remote access software, which contractors bring.
pub(crate) const CONTRACT: Entry = Entry {
    id: "contract.sigma",
    title: "Logs: a Sigma rule tells of remote access software",
    title_ja: "ログ：リモートアクセスツールの使用を示すSigmaルールに一致",
    attacks: || leading_to(&CONTRACT),
    make: Detector::Sigma(Engine::load),
};

/// Moves from machine to machine, and credentials for them.
pub(crate) const LATERAL: Entry = Entry {
    id: "lateral.sigma",
    title: "Logs: a Sigma rule tells of lateral movement or stolen credentials",
    title_ja: "ログ：横展開や認証情報の窃取を示すSigmaルールに一致",
    attacks: || leading_to(&LATERAL),
    make: Detector::Sigma(Engine::load),
};

/// Data on its way out.
pub(crate) const EXFIL: Entry = Entry {
    id: "exfil.sigma",
    title: "Logs: a Sigma rule tells of data being collected or carried off",
    title_ja: "ログ：データの収集や持ち出しを示すSigmaルールに一致",
    attacks: || leading_to(&EXFIL),
    make: Detector::Sigma(Engine::load),
};

/// Looking around.
pub(crate) const SCAN: Entry = Entry {
    id: "scan.sigma",
    title: "Logs: a Sigma rule tells of reconnaissance or discovery",
    title_ja: "ログ：偵察や探索を示すSigmaルールに一致",
    attacks: || leading_to(&SCAN),
    make: Detector::Sigma(Engine::load),
};

/// What no row of the tables is for: execution, persistence, privileges, or no tag at all.
pub(crate) const MALWARE: Entry = Entry {
    id: "malware.sigma",
    title: "Logs: a Sigma rule of no other family speaks, such as of execution or persistence",
    title_ja: "ログ：他の分類に当てはまらない（実行、永続化など）Sigmaルールに一致",
    attacks: || leading_to(&MALWARE),
    make: Detector::Sigma(Engine::load),
};

/// Detector by technique; the first row that fits a tag decides.
pub(super) const BY_TECHNIQUE: &[(&str, &Entry)] = &[
    ("T1110", &BRUTEFORCE),
    ("T1490", &BACKUP),
    ("T1486", &ENCRYPTION),
    ("T1485", &ENCRYPTION),
    ("T1561", &ENCRYPTION),
    ("T1566", &PHISHING),
    ("T1133", &EXPOSURE),
    ("T1190", &EXPOSURE),
    ("T1562", &TAMPER),
    ("T1070", &TAMPER),
    ("T1489", &TAMPER),
    ("T1572", &BEACON),
    ("T1219", &CONTRACT),
];

/// Detector by tactic, where no technique decides; the first row that fits.
const BY_TACTIC: &[(Tactic, &Entry)] = &[
    (Tactic::LateralMovement, &LATERAL),
    (Tactic::CredentialAccess, &LATERAL),
    (Tactic::Impact, &ENCRYPTION),
    (Tactic::Exfiltration, &EXFIL),
    (Tactic::Collection, &EXFIL),
    (Tactic::CommandAndControl, &BEACON),
    (Tactic::DefenseEvasion, &TAMPER),
    (Tactic::InitialAccess, &EXPOSURE),
    (Tactic::Discovery, &SCAN),
    (Tactic::Reconnaissance, &SCAN),
];

/// The detector that a rule speaks as.
pub fn detector(rule: &RuleInfo) -> &'static Entry {
    let technique = |(technique, _): &&(&str, &Entry)| {
        of_attack(rule).any(|tag| tag.split('.').next().is_some_and(|id| id.eq_ignore_ascii_case(technique)))
    };
    if let Some((_, detector)) = BY_TECHNIQUE.iter().find(technique) {
        return detector;
    }
    let tactics: Vec<Tactic> = of_attack(rule).filter_map(tactic).collect();
    let found = BY_TACTIC.iter().find(|(tactic, _)| tactics.contains(tactic));
    found.map_or(&MALWARE, |(_, detector)| detector)
}

/// The techniques that make a rule one of this family; none where tactics alone do. A finding names those of its rule.
fn leading_to(entry: &Entry) -> Vec<Attack> {
    let rows = BY_TECHNIQUE.iter().filter(|(_, detector)| detector.id == entry.id);
    rows.map(|(technique, _)| attack(technique, None)).collect()
}

//! ATT&CK entries of strangers, and the tactic that a technique mostly serves when they do not say.

use schema::{Attack, Tactic};
use serde_json::Value;

use super::{ATTACKS_MAX, text};

/// OCSF `attacks[]`: `technique` or `sub_technique`, and `tactic` or `tactics[]`; one entry for each tactic.
/// Entries without a well-formed technique id or a known tactic are left out.
pub(super) fn ocsf(lists: &[&Value]) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let list = lists.iter().find_map(|list| list.as_array().filter(|list| !list.is_empty()));
    for attack in list.into_iter().flatten().take(ATTACKS_MAX) {
        let sub = &attack["sub_technique"];
        let technique = if sub["uid"].is_string() { sub } else { &attack["technique"] };
        let (uid, name) = (text::of(&technique["uid"]), text::of(&technique["name"]));
        let said: Vec<_> =
            attack["tactics"].as_array().into_iter().flatten().chain([&attack["tactic"]]).collect();
        let tactics = said.iter().filter_map(|said| tactic(&said["uid"], &said["name"]));
        add(&mut attacks, &uid, &name, tactics.take(Tactic::ALL.len()).collect());
    }
    attacks
}

/// Adds a technique once for each of its tactics, while there is room.
pub(super) fn add(attacks: &mut Vec<Attack>, uid: &str, name: &str, mut tactics: Vec<Tactic>) {
    if !is_id(uid) {
        return;
    }
    let known = known(uid);
    if tactics.is_empty() {
        tactics.extend(known.map(|(_, tactic)| tactic));
    }
    let name = if name.is_empty() { known.map_or(uid, |(name, _)| name) } else { name };
    for tactic in tactics {
        let attack = Attack { technique: uid.to_owned(), name: name.to_owned(), tactic };
        let is_new = !attacks.iter().any(|a| a.technique == attack.technique && a.tactic == tactic);
        if is_new && attacks.len() < ATTACKS_MAX {
            attacks.push(attack);
        }
    }
}

/// The tactic with that id or that name, whatever stands between the words of the name.
pub(super) fn tactic(uid: &Value, name: &Value) -> Option<Tactic> {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).take(64).collect()
    };
    uid.as_str().and_then(Tactic::from_id).or_else(|| {
        let name = letters(name.as_str()?);
        Tactic::ALL.into_iter().find(|tactic| letters(tactic.name(schema::Lang::En)) == name)
    })
}

/// `T1234` or `T1234.567`.
fn is_id(uid: &str) -> bool {
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = uid.strip_prefix('T') else { return false };
    match number.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(number, 4),
    }
}

/// The name of a technique (of its parent, for one below another) and the tactic that it mostly serves.
pub fn technique(uid: &str) -> Option<(&'static str, Tactic)> {
    known(uid)
}

fn known(uid: &str) -> Option<(&'static str, Tactic)> {
    let technique = uid.get(..5)?;
    KNOWN.iter().find(|(id, ..)| *id == technique).map(|(_, name, tactic)| (*name, *tactic))
}

/// Techniques that scanners and rule sets name most, with the first tactic of theirs that fits what is seen from outside.
const KNOWN: &[(&str, &str, Tactic)] = &[
    ("T1595", "Active Scanning", Tactic::Reconnaissance),
    ("T1598", "Phishing for Information", Tactic::Reconnaissance),
    ("T1078", "Valid Accounts", Tactic::InitialAccess),
    ("T1133", "External Remote Services", Tactic::InitialAccess),
    ("T1189", "Drive-by Compromise", Tactic::InitialAccess),
    ("T1190", "Exploit Public-Facing Application", Tactic::InitialAccess),
    ("T1199", "Trusted Relationship", Tactic::InitialAccess),
    ("T1566", "Phishing", Tactic::InitialAccess),
    ("T1047", "Windows Management Instrumentation", Tactic::Execution),
    ("T1053", "Scheduled Task/Job", Tactic::Execution),
    ("T1059", "Command and Scripting Interpreter", Tactic::Execution),
    ("T1204", "User Execution", Tactic::Execution),
    ("T1569", "System Services", Tactic::Execution),
    ("T1136", "Create Account", Tactic::Persistence),
    ("T1505", "Server Software Component", Tactic::Persistence),
    ("T1543", "Create or Modify System Process", Tactic::Persistence),
    ("T1547", "Boot or Logon Autostart Execution", Tactic::Persistence),
    ("T1055", "Process Injection", Tactic::PrivilegeEscalation),
    ("T1068", "Exploitation for Privilege Escalation", Tactic::PrivilegeEscalation),
    ("T1548", "Abuse Elevation Control Mechanism", Tactic::PrivilegeEscalation),
    ("T1027", "Obfuscated Files or Information", Tactic::DefenseEvasion),
    ("T1070", "Indicator Removal", Tactic::DefenseEvasion),
    ("T1112", "Modify Registry", Tactic::DefenseEvasion),
    ("T1218", "System Binary Proxy Execution", Tactic::DefenseEvasion),
    ("T1562", "Impair Defenses", Tactic::DefenseEvasion),
    ("T1003", "OS Credential Dumping", Tactic::CredentialAccess),
    ("T1110", "Brute Force", Tactic::CredentialAccess),
    ("T1557", "Adversary-in-the-Middle", Tactic::CredentialAccess),
    ("T1558", "Steal or Forge Kerberos Tickets", Tactic::CredentialAccess),
    ("T1018", "Remote System Discovery", Tactic::Discovery),
    ("T1046", "Network Service Discovery", Tactic::Discovery),
    ("T1082", "System Information Discovery", Tactic::Discovery),
    ("T1083", "File and Directory Discovery", Tactic::Discovery),
    ("T1087", "Account Discovery", Tactic::Discovery),
    ("T1135", "Network Share Discovery", Tactic::Discovery),
    ("T1021", "Remote Services", Tactic::LateralMovement),
    ("T1210", "Exploitation of Remote Services", Tactic::LateralMovement),
    ("T1550", "Use Alternate Authentication Material", Tactic::LateralMovement),
    ("T1570", "Lateral Tool Transfer", Tactic::LateralMovement),
    ("T1005", "Data from Local System", Tactic::Collection),
    ("T1039", "Data from Network Shared Drive", Tactic::Collection),
    ("T1114", "Email Collection", Tactic::Collection),
    ("T1560", "Archive Collected Data", Tactic::Collection),
    ("T1071", "Application Layer Protocol", Tactic::CommandAndControl),
    ("T1090", "Proxy", Tactic::CommandAndControl),
    ("T1095", "Non-Application Layer Protocol", Tactic::CommandAndControl),
    ("T1105", "Ingress Tool Transfer", Tactic::CommandAndControl),
    ("T1219", "Remote Access Software", Tactic::CommandAndControl),
    ("T1571", "Non-Standard Port", Tactic::CommandAndControl),
    ("T1572", "Protocol Tunneling", Tactic::CommandAndControl),
    ("T1573", "Encrypted Channel", Tactic::CommandAndControl),
    ("T1041", "Exfiltration Over C2 Channel", Tactic::Exfiltration),
    ("T1048", "Exfiltration Over Alternative Protocol", Tactic::Exfiltration),
    ("T1567", "Exfiltration Over Web Service", Tactic::Exfiltration),
    ("T1485", "Data Destruction", Tactic::Impact),
    ("T1486", "Data Encrypted for Impact", Tactic::Impact),
    ("T1489", "Service Stop", Tactic::Impact),
    ("T1490", "Inhibit System Recovery", Tactic::Impact),
    ("T1491", "Defacement", Tactic::Impact),
    ("T1498", "Network Denial of Service", Tactic::Impact),
    ("T1499", "Endpoint Denial of Service", Tactic::Impact),
    ("T1561", "Disk Wipe", Tactic::Impact),
];

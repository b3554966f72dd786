//! A hit as a finding: the detector's family by the rule's tactics, the author always, and no value that a user may have typed.

use jiff::Timestamp;
use schema::{Attack, Finding, FindingClass, SubjectRole, Tactic};

use super::correlation::fnv;
use super::family::detector;
use super::hit::SigmaHit;
use super::rule::RuleInfo;
use crate::Entry;

/// Fields whose values name programs, codes or machines and may stand in a finding. What users typed or files are called may not: paths of
/// an EMR contain patients' numbers.
const TELLING: &[&str] = &[
    "EventID",
    "Channel",
    "Provider_Name",
    "OriginalFileName",
    "GrantedAccess",
    "ServiceName",
    "LogonType",
    "IpAddress",
    "Status",
    "SubStatus",
    "AuthenticationPackageName",
    "LogonProcessName",
    "Product",
    "Company",
    "QueryName",
    "DestinationHostname",
    "DestinationIp",
    "DestinationPort",
    "TargetSid",
    "protocol",
    "outcome",
    "account",
    "source",
    "host",
];

/// Fields with the path of a program, of which the program's name may stand in a finding.
const PROGRAMS: &[&str] =
    &["Image", "ParentImage", "SourceImage", "TargetImage", "ImageLoaded", "ProcessName"];

/// What a rule's tags say of ATT&CK, in whatever case they are written.
pub(super) fn of_attack(rule: &RuleInfo) -> impl Iterator<Item = &str> {
    const OF: &str = "attack.";
    rule.tags.iter().filter_map(|tag| {
        let (start, rest) = tag.split_at_checked(OF.len())?;
        start.eq_ignore_ascii_case(OF).then_some(rest)
    })
}

/// Sigma's name of a tactic; the words are joined by a hyphen or, in older rules, an underscore. MITRE has split defense evasion since.
pub(super) fn tactic(tag: &str) -> Option<Tactic> {
    let joined = |byte: u8| if matches!(byte, b' ' | b'_') { b'-' } else { byte.to_ascii_lowercase() };
    let is = |name: &str| tag.len() == name.len() && tag.bytes().map(joined).eq(name.bytes().map(joined));
    if is("stealth") || is("defense-impairment") {
        return Some(Tactic::DefenseEvasion);
    }
    Tactic::ALL.into_iter().find(|tactic| is(tactic.name(schema::Lang::En)))
}

/// The techniques that a rule's tags name, each with the rule's first tactic.
pub fn attacks(rule: &RuleInfo) -> Vec<Attack> {
    const ATTACKS_MAX: usize = 16;
    let said = of_attack(rule).find_map(tactic);
    let is_id = |tag: &&str| {
        tag.strip_prefix(['t', 'T']).is_some_and(|number| {
            number.starts_with(|char: char| char.is_ascii_digit())
                && number.len() <= 8
                && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
    };
    of_attack(rule).filter(is_id).take(ATTACKS_MAX).map(|tag| attack(&tag.to_uppercase(), said)).collect()
}

/// A technique by its id, with the tactic that is said, else the one that it mostly serves.
pub(super) fn attack(technique: &str, said: Option<Tactic>) -> Attack {
    let known = decode::ocsf::technique(technique);
    let name = known.map_or(technique, |(name, _)| name);
    let tactic = said.or(known.map(|(_, tactic)| tactic)).unwrap_or(Tactic::Execution);
    Attack { technique: technique.to_owned(), name: name.to_owned(), tactic }
}

impl SigmaHit {
    /// The detector that its rule speaks as.
    pub fn detector(&self) -> &'static Entry {
        detector(&self.rule)
    }

    /// As a finding. Its title is the rule's as written; the values that matched stand in the hit, not here, where a user may have typed
    /// them.
    pub fn finding(&self) -> Finding {
        let rule = &self.rule;
        let title_ja =
            rule.title_ja.clone().unwrap_or_else(|| format!("Sigmaルール「{}」に一致しました", rule.title));
        let (mut reasons, mut reasons_ja) = (Vec::new(), Vec::new());
        let mut say = |en: String, ja: String| {
            reasons.push(en);
            reasons_ja.push(ja);
        };
        let by = rule.author.as_deref().unwrap_or("unknown");
        let id = rule.id.as_deref().unwrap_or("-");
        let licence = rule.licence.as_deref().unwrap_or("as its collection says (SigmaHQ: DRL 1.1)");
        let licence_ja = rule.licence.as_deref().unwrap_or("配布元の定めによる（SigmaHQはDRL 1.1）");
        say(
            format!("Sigma rule {id} by {by}; licence: {licence}"),
            format!("Sigmaルール{id}（作者：{by}、ライセンス：{licence_ja}）"),
        );
        if let Some(together) = &self.together {
            let (measured, seconds) = (together.measured, (together.last - together.first) / 1_000_000);
            say(
                format!("Measured {measured} within {seconds} s"),
                format!("{seconds}秒間の計測値：{measured}"),
            );
        }
        let [en, ja] = self.told_fields();
        if !en.is_empty() {
            say(format!("Matched: {en}"), format!("一致した項目：{ja}"));
        }
        if self.together.is_none() {
            let place = match self.event_id {
                Some(id) => format!("{} {id}", self.channel),
                None => self.channel.clone(),
            };
            say(
                format!("Record {} of {place} on {}", self.number, self.host),
                format!("{}の{place}、記録番号{}", self.host, self.number),
            );
        }
        let actor = self.subjects.iter().find(|subject| subject.role == SubjectRole::Actor);
        Finding {
            time: Timestamp::from_microsecond(self.at).unwrap_or(Timestamp::UNIX_EPOCH),
            class: FindingClass::Detection,
            detector: self.detector().id.to_owned(),
            title: rule.title.clone(),
            title_ja,
            severity_id: rule.level,
            attacks: attacks(rule),
            actor: actor.map(|subject| named(&subject.entity)).unwrap_or_default(),
            reasons,
            reasons_ja,
            uid: self.uid(),
            subjects: self.subjects.clone(),
        }
    }

    /// The same for the same rule, record and machine, whoever reads it and how often.
    fn uid(&self) -> String {
        let what = format!(
            "{} {} {} {} {:?}",
            self.rule.id.as_deref().unwrap_or(&self.rule.title),
            self.host,
            self.number,
            self.at,
            self.together.map(|_| &self.fields),
        );
        format!("sigma-{:016x}", fnv(what.as_bytes()))
    }

    fn told_fields(&self) -> [String; 2] {
        let told: Vec<String> = self
            .fields
            .iter()
            .map(|(name, value)| match name.as_str() {
                name if TELLING.contains(&name) => format!("{name}={value}"),
                name if PROGRAMS.contains(&name) => {
                    format!("{name}=…\\{}", value.rsplit(['\\', '/']).next().unwrap_or_default())
                }
                name => name.to_owned(),
            })
            .collect();
        [told.join(", "), told.join("、")]
    }
}

fn named(entity: &schema::Entity) -> String {
    use schema::Entity;
    match entity {
        Entity::Host { name } | Entity::Account { name } | Entity::Store { name } => name.clone(),
        Entity::Address { address } => address.to_string(),
        Entity::Process { pid, .. } => pid.to_string(),
        Entity::Cgroup { path } => path.clone(),
    }
}

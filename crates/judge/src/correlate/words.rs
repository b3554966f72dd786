//! An incident in one sentence that a nurse or the officer on duty understands, in both languages.

use schema::{Entity, Lang, Tactic};

use super::case::{Case, Kind, Told};
use super::join::is_public;

/// English and Japanese.
pub(super) fn title(case: &Case) -> (String, String) {
    match &case.kind {
        Kind::Scans => scans(case),
        Kind::Signs(detector) => (
            format!("Minor signs, reported by {detector}"),
            format!("軽微な兆候があります（{detector} による）"),
        ),
        Kind::Weak(detector) => {
            let (en, ja) = victims(case);
            (
                format!("Weak spots of {en}, reported by {detector}"),
                format!("{ja} に弱点があります（{detector} による）"),
            )
        }
        Kind::Attack => attack(case),
    }
}

/// What people call it.
pub(super) fn name(entity: &Entity, lang: Lang) -> String {
    match entity {
        Entity::Host { name } | Entity::Account { name } | Entity::Store { name } => name.clone(),
        Entity::Address { address } => address.to_string(),
        Entity::Process { pid, .. } => lang.pick(format!("process {pid}"), format!("プロセス {pid}")),
        Entity::Cgroup { path } => path.clone(),
    }
}

fn scans(case: &Case) -> (String, String) {
    let is_actor = |(entity, part): &(&Entity, &super::case::Part)| {
        part.actor > 0 && matches!(entity, Entity::Address { .. })
    };
    let addresses = case.parts.iter().filter(is_actor).count();
    let n = grouped(addresses);
    let (en, ja) = victims(case);
    match addresses {
        1 => (
            format!("Scans of {en} from one address outside"),
            format!("外部の1個のアドレスから {ja} が探索されています"),
        ),
        _ if case.parts_more => (
            format!("Scans of {en} from more than {n} addresses outside"),
            format!("外部の{n}個を超えるアドレスから {ja} が探索されています"),
        ),
        _ => (
            format!("Scans of {en} from {n} addresses outside"),
            format!("外部の{n}個のアドレスから {ja} が探索されています"),
        ),
    }
}

fn attack(case: &Case) -> (String, String) {
    let told = || case.chapters.values().filter(|told| told.chapter.tactic.is_some());
    // The last tactic says what is at stake; of its techniques the one that takes the records away.
    let is_worst = |told: &&Told| (told.chapter.tactic, technique(told) == "T1486", told.chapter.findings);
    let Some(main) = told().max_by_key(is_worst) else {
        let first = case.chapters.values().min_by_key(|told| told.chapter.first_at);
        return first
            .map_or_else(Default::default, |told| (told.chapter.en.clone(), told.chapter.ja.clone()));
    };
    let (en, ja) = main_clause(case, main);
    let way_in = told().filter(|told| told.chapter.tactic < main.chapter.tactic).filter_map(after_clause);
    match way_in.min_by_key(|(rank, ..)| *rank) {
        Some((_, after_en, after_ja)) => (format!("{en}, after {after_en}"), format!("{after_ja}の後、{ja}")),
        None => (en, ja),
    }
}

fn main_clause(case: &Case, main: &Told) -> (String, String) {
    use Tactic as T;
    let (en, ja) = match main.chapter.tactic {
        Some(T::CommandAndControl | T::Exfiltration) => inside(case),
        _ => struck(case, main),
    };
    let has_store = case.parts.keys().any(|entity| matches!(entity, Entity::Store { .. }));
    let (what_en, what_ja) = if has_store { ("Records", "診療記録") } else { ("Files", "ファイル") };
    match (main.chapter.tactic.unwrap_or(T::Impact), technique(main)) {
        (T::Impact, "T1486") => (
            format!("{what_en} on {en} are being encrypted"),
            format!("{ja} の{what_ja}が暗号化されています"),
        ),
        (T::Impact, "T1490") => {
            (format!("Backups of {en} are being removed"), format!("{ja} のバックアップが消されています"))
        }
        (T::Impact, "T1489") => {
            (format!("Services of {en} are being stopped"), format!("{ja} のサービスが止められています"))
        }
        (T::Impact, _) => (
            format!("{what_en} or services of {en} are being destroyed"),
            format!("{ja} の{what_ja}またはサービスが破壊されています"),
        ),
        (T::Exfiltration, _) => {
            (format!("Data of {en} is being sent out"), format!("{ja} のデータが外部へ送られています"))
        }
        (T::CommandAndControl, _) => {
            (format!("{en} is being controlled from outside"), format!("{ja} が外部から操作されています"))
        }
        (T::Collection, _) => {
            (format!("Data of {en} is being gathered"), format!("{ja} のデータが集められています"))
        }
        (T::LateralMovement, _) => {
            (format!("Somebody has moved on to {en}"), format!("何者かが {ja} に入り込んでいます"))
        }
        (T::Discovery, _) => (
            format!("Somebody is looking around inside, at {en}"),
            format!("何者かが内部で {ja} を探索しています"),
        ),
        (T::CredentialAccess, technique) if technique.starts_with("T1110") => {
            (format!("Passwords for {en} are being guessed"), format!("{ja} のパスワードが試されています"))
        }
        (T::CredentialAccess, _) => {
            (format!("Passwords of {en} are being stolen"), format!("{ja} のパスワードが盗まれています"))
        }
        (T::DefenseEvasion, _) => (
            format!("Protection of {en} is being switched off or evaded"),
            format!("{ja} の防御が無効化または回避されています"),
        ),
        (T::PrivilegeEscalation, _) => (
            format!("Somebody is taking higher rights on {en}"),
            format!("何者かが {ja} で上位の権限を得ています"),
        ),
        (T::Persistence, _) => (
            format!("Somebody is making a way back into {en}"),
            format!("何者かが {ja} に再侵入の手段を作っています"),
        ),
        (T::Execution, _) => {
            (format!("Unwanted programs run on {en}"), format!("{ja} で不審なプログラムが動いています"))
        }
        (T::InitialAccess, technique) if technique.starts_with("T1566") => {
            (format!("Deceptive mail has come to {en}"), format!("{ja} に不審なメールが届いています"))
        }
        (T::InitialAccess, _) => (
            format!("Somebody is getting into {en} from outside"),
            format!("何者かが外部から {ja} に侵入しています"),
        ),
        (T::ResourceDevelopment | T::Reconnaissance, _) => {
            (format!("{en} is being scanned"), format!("{ja} が探索されています"))
        }
    }
}

/// How it came to that: what tells most first, in words that follow "after".
fn after_clause(told: &Told) -> Option<(u8, String, String)> {
    let technique = technique(told);
    let (rank, en, ja) = match told.chapter.tactic? {
        Tactic::InitialAccess if technique.starts_with("T1566") => (0, "a deceptive mail", "不審なメール"),
        Tactic::InitialAccess if matches!(technique.get(..5), Some("T1078" | "T1133")) => {
            (0, "logins", "ログイン")
        }
        Tactic::InitialAccess => (0, "a break-in", "侵入"),
        Tactic::LateralMovement => (1, "logins", "ログイン"),
        Tactic::CredentialAccess if technique.starts_with("T1110") => {
            (2, "password guessing", "パスワード試行")
        }
        Tactic::CommandAndControl => (3, "remote control", "遠隔操作"),
        Tactic::Reconnaissance => (4, "scans", "探索"),
        _ => return None,
    };
    Some(match whence(told) {
        Some((from_en, from_ja)) => (rank, format!("{en} from {from_en}"), format!("{from_ja} からの{ja}")),
        None => (rank, en.to_owned(), ja.to_owned()),
    })
}

/// The address that it came from, or how many.
fn whence(told: &Told) -> Option<(String, String)> {
    let actors = &told.actors.named;
    let addresses = || actors.iter().filter(|actor| matches!(actor, Entity::Address { .. }));
    let n = addresses().count();
    let machine =
        || actors.iter().find(|actor| matches!(actor, Entity::Host { .. } | Entity::Account { .. }));
    match (n, told.actors.more) {
        (1.., true) => Some(("many addresses".into(), "多数のアドレス".into())),
        (2.., false) => Some((format!("{n} addresses"), format!("{n}個のアドレス"))),
        _ => addresses().next().or_else(machine).map(|actor| (name(actor, Lang::En), name(actor, Lang::Ja))),
    }
}

/// Sorts of victims: machines by name, else by address, else stores, else accounts.
const SORTS: [fn(&Entity) -> bool; 4] = [
    |entity| matches!(entity, Entity::Host { .. }),
    |entity| matches!(entity, Entity::Address { .. }),
    |entity| matches!(entity, Entity::Store { .. }),
    |entity| matches!(entity, Entity::Account { .. }),
];

/// Those to whom the deeds of one chapter were done.
fn struck(case: &Case, told: &Told) -> (String, String) {
    for is_sort in SORTS {
        let targets = || told.targets.named.iter().filter(|entity| is_sort(entity));
        let times = |entity: &Entity| case.parts.get(entity).map_or(0, |part| part.target);
        let Some(most) = targets().max_by(|a, b| times(a).cmp(&times(b)).then(b.cmp(a))) else { continue };
        if !told.targets.more {
            return and_more(most, targets().count());
        }
        let (en, ja) = (name(most, Lang::En), name(most, Lang::Ja));
        return (format!("{en} and others"), format!("{ja} ほか"));
    }
    victims(case)
}

/// Those who suffer anything of it.
fn victims(case: &Case) -> (String, String) {
    for is_sort in SORTS {
        let targets = || case.parts.iter().filter(|(entity, part)| part.target > 0 && is_sort(entity));
        if let Some((most, _)) = targets().max_by(|(a, x), (b, y)| x.target.cmp(&y.target).then(b.cmp(a))) {
            return and_more(most, targets().count());
        }
    }
    inside(case)
}

/// The machine of ours that is named most.
fn inside(case: &Case) -> (String, String) {
    let is_ours = |entity: &Entity| match entity {
        Entity::Host { .. } => true,
        Entity::Address { address } => !is_public(*address),
        _ => false,
    };
    let all = || case.parts.iter().filter(|(entity, _)| is_ours(entity));
    let hosts = all().filter(|(entity, _)| matches!(entity, Entity::Host { .. })).count();
    let most = all().max_by(|(a, x), (b, y)| {
        let rank = |entity: &Entity| matches!(entity, Entity::Host { .. });
        (rank(a), x.actor + x.target).cmp(&(rank(b), y.actor + y.target)).then(b.cmp(a))
    });
    match most {
        Some((entity, _)) => and_more(entity, hosts.max(1)),
        None => ("the hospital".into(), "院内".into()),
    }
}

fn and_more(entity: &Entity, count: usize) -> (String, String) {
    let (en, ja) = (name(entity, Lang::En), name(entity, Lang::Ja));
    match count {
        0 | 1 => (en, ja),
        _ => {
            let more = grouped(count - 1);
            (format!("{en} and {more} more"), format!("{ja} ほか{more}件"))
        }
    }
}

fn technique(told: &Told) -> &str {
    told.chapter.attack.as_ref().map_or("", |attack| attack.technique.as_str())
}

/// With a comma before every three digits.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

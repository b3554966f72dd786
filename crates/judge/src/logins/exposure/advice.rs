//! What to close first.

use schema::{AuthProtocol, Lang, Severity};
use serde::{Deserialize, Serialize};

use super::service::severity;
use super::{Door, name_of};
use crate::logins::rules::Rules;

/// One line of advice: a door, how bad it is, why, and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The door.
    pub door: Door,
    /// How bad it is.
    pub severity: Severity,
    /// Why, in English and Japanese.
    pub why: [String; 2],
    /// What to do, in English and Japanese.
    pub todo: [String; 2],
}

/// All doors that should be looked at, what to close first in front.
pub(in crate::logins) fn advice(doors: &[&Door], rules: &Rules) -> Vec<Advice> {
    let mut all: Vec<Advice> = doors.iter().filter_map(|door| of(door, rules)).collect();
    all.sort_by(|a, b| {
        let rank = |advice: &Advice| {
            (advice.severity, advice.door.outside.succeeded > 0, advice.door.outside.total())
        };
        rank(b)
            .cmp(&rank(a))
            .then_with(|| (&a.door.host, a.door.protocol).cmp(&(&b.door.host, b.door.protocol)))
    });
    all
}

fn of(door: &Door, rules: &Rules) -> Option<Advice> {
    let is_open = door.outside.total() > 0;
    let base = severity(door.protocol);
    let (en, ja) = (name_of(door.protocol, Lang::En), name_of(door.protocol, Lang::Ja));
    let door_only = door.clone();
    let admins = door.outside.accounts.iter().filter(|account| rules.is_privileged(account)).count();
    let side = &door.outside;
    if is_open && let Some(severity) = base {
        let is_used = side.succeeded > 0;
        let severity = if is_used && severity == Severity::High { Severity::Critical } else { severity };
        let why = [
            format!(
                "{en} answers {} addresses outside: {} log-ons, {} refusals",
                side.sources.len(),
                side.succeeded,
                side.failed
            ),
            format!(
                "{ja}が外部の{}か所に応答（成功{}回、失敗{}回）",
                side.sources.len(),
                side.succeeded,
                side.failed
            ),
        ];
        let todo = match (is_used, door.nla) {
            (true, _) => [
                "Find out who gets in by it, give them a VPN with a second factor, then close it at the firewall".to_owned(),
                "利用者を確認して二要素認証のある VPN に移したうえで、ファイアウォールで閉じてください".to_owned(),
            ],
            (false, Some(false)) => [
                "Close it at the firewall today; nobody gets in by it. Switch NLA on".to_owned(),
                "利用者がいないため、今日のうちにファイアウォールで閉じてください。NLA も有効にしてください".to_owned(),
            ],
            (false, _) => [
                "Close it at the firewall today; nobody gets in by it".to_owned(),
                "利用者がいないため、今日のうちにファイアウォールで閉じてください".to_owned(),
            ],
        };
        return Some(Advice { door: door_only, severity, why, todo });
    }
    if is_open && admins > 0 {
        let why = [
            format!("{en}: {admins} administrators' accounts are used from outside"),
            format!("{ja}：管理者のアカウント{admins}件が外部から使われています"),
        ];
        let todo = [
            "Use personal accounts with a second factor from outside".to_owned(),
            "外部からは二要素認証のある個人のアカウントを使ってください".to_owned(),
        ];
        return Some(Advice { door: door_only, severity: Severity::Medium, why, todo });
    }
    if door.protocol == AuthProtocol::Rdp && door.nla == Some(false) {
        let why = [format!("{en} without network level authentication"), format!("{ja}の NLA が無効です")];
        let todo = ["Switch NLA on".to_owned(), "NLA を有効にしてください".to_owned()];
        return Some(Advice { door: door_only, severity: Severity::Low, why, todo });
    }
    None
}

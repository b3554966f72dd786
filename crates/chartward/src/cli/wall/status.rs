//! `chartward wall status`: what is in force, what it has seen, and how it differs from what was declared.

use std::process::ExitCode;

use act::wall::gate::{Counted, Drift, Loaded, Standing};
use act::wall::policy::{differences, rule_words};
use act::wall::{InForce, Wall};
use jiff::Timestamp;
use schema::Lang;
use serde_json::json;

use super::Desk;
use crate::output::{Output, printable};

/// Status 0: in force as declared; 1: something differs, or is on trial.
pub(super) fn status(desk: &Desk) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let standing = desk.site.gate.standing(now)?;
    let loaded = desk.site.gate.loaded()?;
    let drift = standing.drift(loaded.as_ref());
    let bans = Wall::new(desk.site.bans.clone()).in_force().unwrap_or_default();
    let declared = desk.config.wall.has_policy().then_some(&desk.site.policy);
    let current = standing.current.as_ref().map(|kept| &kept.policy);
    let changes = differences(current, declared, desk.lang).len();
    let rules = rules(&standing, loaded.as_ref(), desk.lang);
    desk.output.line(&json!({
        "type": "status",
        "number": standing.current.as_ref().map(|kept| kept.number),
        "since": standing.current.as_ref().map(|kept| kept.at),
        "trial_until": standing.trial.as_ref().map(|trial| trial.until),
        "rolled_back_at": standing.rolled_back_at,
        "can_undo": standing.before.is_some() || standing.trial.is_some(),
        "drift": drift,
        "differs_from_configuration": changes,
        "bans": bans.len(),
    }))?;
    for (name, words, counted) in &rules {
        desk.output.line(&json!({
            "type": "rule", "rule": name, "words": words, "packets": counted.packets, "bytes": counted.bytes,
        }))?;
    }
    for ban in &bans {
        desk.output.line(&json!({
            "type": "ban", "barrier": ban.barrier, "address": ban.address,
            "seconds_left": ban.remaining.map(|left| left.as_secs()),
        }))?;
    }
    if desk.output == Output::People {
        say(desk, &standing, drift, changes);
        for (_, words, counted) in &rules {
            desk.output.say(format!("{:>10}  {}", counted.packets, printable(words)));
        }
        for ban in &bans {
            desk.output.say(of_ban(ban, desk.lang));
        }
    }
    let is_as_declared = drift.is_none() && changes == 0 && standing.trial.is_none();
    Ok(ExitCode::from(u8::from(!is_as_declared)))
}

/// Every rule of the policy in force, with what it has seen.
fn rules(standing: &Standing, loaded: Option<&Loaded>, lang: Lang) -> Vec<(String, String, Counted)> {
    let Some(kept) = &standing.current else { return vec![] };
    let counted = |name: &str| {
        let key = (kept.number, name.to_owned());
        loaded.and_then(|loaded| loaded.counters.get(&key)).copied().unwrap_or_default()
    };
    let named = rule_words(&kept.policy, lang).into_iter();
    named.map(|(name, words)| (name.clone(), words, counted(&name))).collect()
}

fn say(desk: &Desk, standing: &Standing, drift: Option<Drift>, changes: usize) {
    let lang = desk.lang;
    let mut lines = Vec::new();
    match &standing.current {
        Some(kept) => lines.push(lang.pick(
            format!("Policy {} is in force, loaded at {}.", kept.number, kept.at),
            format!("第 {} 版の規則が有効です({} に読み込み)。", kept.number, kept.at),
        )),
        None => lines.push(lang.pick("No policy is in force.", "有効な規則はありません。").to_owned()),
    }
    if let Some(trial) = &standing.trial {
        lines.push(lang.pick(
            format!("It is on trial until {}; `chartward wall confirm` keeps it.", trial.until),
            format!("{} まで試行中です。残すには `chartward wall confirm` を実行してください。", trial.until),
        ));
    }
    if let Some(at) = standing.rolled_back_at {
        lines.push(lang.pick(
            format!("A trial that nobody confirmed ended at {at}; what was before is in force."),
            format!("{at} に、確定されなかった試行が終わり、前の状態に戻りました。"),
        ));
    }
    match drift {
        None => {}
        Some(Drift::Gone) => lines.push(
            lang.pick(
                "The packet filter does not hold it: after a reboot or a flush. Run `chartward wall load`.",
                "パケットフィルターに規則がありません(再起動または消去)。`chartward wall load` を実行してください。",
            )
            .to_owned(),
        ),
        Some(Drift::Changed) => lines.push(
            lang.pick(
                "Somebody changed it in the packet filter. Run `chartward wall load`.",
                "パケットフィルターの規則が何者かに変更されています。`chartward wall load` を実行してください。",
            )
            .to_owned(),
        ),
    }
    if changes > 0 {
        lines.push(lang.pick(
            format!(
                "The configuration says something else ({changes} differences). See `chartward wall plan`."
            ),
            format!("設定と {changes} 箇所が異なります。`chartward wall plan` で確かめてください。"),
        ));
    }
    for line in lines {
        desk.output.say(line);
    }
}

fn of_ban(ban: &InForce, lang: Lang) -> String {
    use act::wall::Barrier;
    let what = match ban.barrier {
        Barrier::Ban => lang.pick("blocked", "遮断"),
        Barrier::Isolate => lang.pick("isolated", "隔離"),
        Barrier::Egress => lang.pick("may not begin connections", "発信の遮断"),
    };
    let left = match ban.remaining {
        Some(left) => lang.pick(format!("{} s left", left.as_secs()), format!("残り {} 秒", left.as_secs())),
        None => lang.pick("until it is undone", "取り消すまで").to_owned(),
    };
    format!("{}: {what} ({left})", ban.address)
}

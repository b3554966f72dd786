//! Playbooks: what can never happen, and what can be misused.

use std::collections::HashSet;

use ipnet::IpNet;
use toml::de::DeValue;

use super::{Findings, Gravity, Node, Words};
use crate::config::nearest::nearest;
use crate::config::value;

/// Acts that stop somebody from working.
const DISRUPTIVE: [&str; 5] = ["block_address", "block_egress", "isolate_host", "freeze", "freeze_cgroup"];

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let channels: Vec<_> =
        file.tables("notify").iter().filter_map(|node| Some(node.text("name")?.text)).collect();
    let classes: HashSet<_> = file.tables("watch").iter().filter_map(class).collect();
    let spared = spared(file);
    for playbook in file.tables("playbook") {
        let acts = acts(&playbook);
        names(&playbook, &channels, &classes, found);
        told(&playbook, acts.contains(&"notify"), found);
        trusted(&playbook, &acts, found);
        pointless(file, &playbook, &acts, &spared, found);
    }
}

fn class<'t>(watch: &Node<'t, '_>) -> Option<&'t str> {
    if watch.get("guard").is_some() {
        return Some("guard");
    }
    if watch.get("share").is_some() {
        return Some("share");
    }
    if watch.get("mail").is_some() {
        return Some("mail");
    }
    watch.get("exec")?;
    Some(watch.text("class").map_or("external", |class| class.text))
}

/// Names of a playbook's acts, whether written as a name or as a table.
fn acts<'t>(playbook: &Node<'t, '_>) -> Vec<&'t str> {
    let array = playbook.get("acts").and_then(|value| value.get_ref().as_array());
    let name = |value: &'t toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::Table(table) => table.get("act").and_then(|act| act.get_ref().as_str()),
        other => other.as_str(),
    };
    array.into_iter().flat_map(|array| array.iter()).filter_map(name).collect()
}

fn names(playbook: &Node<'_, '_>, channels: &[&str], classes: &HashSet<&str>, found: &mut Findings<'_>) {
    for channel in playbook.texts("channels") {
        if channels.contains(&channel.text) {
            continue;
        }
        let what = Words::new(
            format!("there is no [[notify]] named \"{}\"", channel.text),
            format!("\"{}\" という名前の [[notify]] がありません", channel.text),
        );
        let remedy = match nearest(channel.text, channels.iter().copied()) {
            Some(meant) => {
                Words::new(format!("write \"{meant}\""), format!("\"{meant}\" の誤りではありませんか"))
            }
            None => Words::new(
                format!("add [[notify]] with name = \"{}\", or remove it here", channel.text),
                format!("name = \"{}\" の [[notify]] を書き足すか、ここから消してください", channel.text),
            ),
        };
        channel.add(found, Gravity::Error, what, remedy);
    }
    for class in playbook.texts("watchers").iter().filter(|class| !classes.contains(class.text)) {
        let what = Words::new(
            format!("no [[watch]] is of the class {}: this never causes anything", class.text),
            format!("{} の [[watch]] がないため、この指定で何かが起きることはありません", class.text),
        );
        let remedy = Words::new(
            "add such a [[watch]], or remove the class here",
            "その [[watch]] を書き足すか、ここから消してください",
        );
        class.add(found, Gravity::Warning, what, remedy);
    }
}

fn told(playbook: &Node<'_, '_>, notifies: bool, found: &mut Findings<'_>) {
    let named = !playbook.texts("channels").is_empty();
    let (what, remedy) = match (notifies, named) {
        (true, false) => (
            Words::new("`notify` has nobody to tell", "notify の知らせる先がありません"),
            Words::new(
                "add channels = [\"NAME\"], a name of [[notify]]",
                "channels = [\"名前\"] に [[notify]] の名前を書いてください",
            ),
        ),
        (false, true) => (
            Words::new(
                "`channels` is used by the act `notify` only",
                "channels は対処 notify でだけ使われます",
            ),
            Words::new(
                "add \"notify\" to acts, or remove channels",
                "acts に \"notify\" を加えるか、channels を消してください",
            ),
        ),
        _ => return,
    };
    let gravity = if notifies { Gravity::Error } else { Gravity::Warning };
    playbook.add(found, gravity, what, remedy);
}

/// What an attacker can make a watcher say must not stop the hospital without a person's consent.
fn trusted(playbook: &Node<'_, '_>, acts: &[&str], found: &mut Findings<'_>) {
    let alone = playbook.text("approval").filter(|approval| approval.text == "none");
    let (Some(approval), Some(act)) = (alone, acts.iter().find(|act| DISRUPTIVE.contains(act))) else {
        return;
    };
    for class in playbook.texts("watchers") {
        let (en, ja) = match class.text {
            "sensor" => ("a forged source address", "偽の送信元アドレス"),
            "logs" => ("a forged log line", "偽のログ行"),
            "mail" => ("a forged mail", "偽のメール"),
            "external" => ("another program", "外部のプログラム"),
            _ => continue,
        };
        let what = Words::new(
            format!("{en} is enough for {act} without anybody's consent (class {})", class.text),
            format!("{ja}だけで、誰の承認もなく {act} が行われます(種類 {})", class.text),
        );
        let remedy = Words::new(
            "write approval = \"person\", or name on [never_touch] whom the hospital cannot do without",
            "approval = \"person\" にするか、止まると困るものを [never_touch] に書いてください",
        );
        approval.add(found, Gravity::Warning, what, remedy);
    }
}

fn spared(file: &Node<'_, '_>) -> Vec<IpNet> {
    let never = file.table("never_touch");
    let texts = never.iter().flat_map(|never| never.texts("addresses"));
    texts.filter_map(|at| value::network(at.text).ok()).map(|network| network.0).collect()
}

/// The never-touch list wins over everything, also over what somebody meant to be safe with.
fn pointless(
    file: &Node<'_, '_>,
    playbook: &Node<'_, '_>,
    acts: &[&str],
    spared: &[IpNet],
    found: &mut Findings<'_>,
) {
    let at = playbook.text("name");
    let Some(at) = at else { return };
    let everything = spared.iter().find(|network| network.prefix_len() == 0);
    let act = acts.iter().find(|act| ["block_address", "block_egress", "isolate_host"].contains(act));
    if let (Some(all), Some(act)) = (everything, act) {
        let what = Words::new(
            format!("{act} never happens: [never_touch] names {all}, which is everybody"),
            format!("[never_touch] が {all}(すべて)を指定しているため、{act} は行われません"),
        );
        return at.add(
            found,
            Gravity::Warning,
            what,
            Words::new(
                "name only those that must not be touched",
                "対象にしてはならないものだけを書いてください",
            ),
        );
    }
    if !acts.contains(&"isolate_host") {
        return;
    }
    let never = file.table("never_touch");
    let hosts: Vec<_> = never.iter().flat_map(|never| never.texts("hosts")).map(|at| at.text).collect();
    for protect in file.tables("protect") {
        let address = protect.text("address").and_then(|at| at.text.parse().ok());
        let by_address =
            address.is_some_and(|address: std::net::IpAddr| spared.iter().any(|net| net.contains(&address)));
        let by_name = protect.text("host").is_some_and(|host| hosts.contains(&host.text));
        let Some(name) = protect.text("name").filter(|_| by_address || by_name) else { continue };
        let what = Words::new(
            format!("the host of \"{}\" is never isolated: [never_touch] names it", name.text),
            format!("\"{}\" の機械は [never_touch] にあるため、隔離されません", name.text),
        );
        let remedy = Words::new(
            "take it off [never_touch] if it should be isolated when it encrypts its own store",
            "自らの記録を暗号化し始めたときに隔離したいなら、[never_touch] から外してください",
        );
        at.add(found, Gravity::Warning, what, remedy);
    }
}

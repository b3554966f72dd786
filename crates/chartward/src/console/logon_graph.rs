//! The graph of logons as SVG: drawn here so that it is there without a script, on paper and in a report.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::logins::story::{Edge, Line, Node, Picture, Place};
use maud::{Markup, html};
use schema::{Lang, Micros};

const NAME_MAX: usize = 22;
const FAILED: &str = "#b45309";
const SUCCEEDED: &str = "#2563eb";
const MARKED: &str = "#b91c1c";

/// A picture of it. Colours and sizes are attributes, so that it can stand alone.
pub(crate) fn svg(picture: &Picture, zone: &TimeZone, lang: Lang) -> Markup {
    let drawing = picture.draw();
    let legend = drawing.height + 8;
    let (width, height) = (drawing.width.max(560), drawing.height + 48);
    let label = lang.pick(
        format!("{} accounts and machines, {} ways between them", picture.nodes.len(), picture.edges.len()),
        format!("アカウントと機械 {}、その間の経路 {}", picture.nodes.len(), picture.edges.len()),
    );
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label=(label)
            font-family="sans-serif" font-size="13" {
            rect x="0" y="0" width=(width) height=(height) fill="#ffffff" {}
            @for (edge, line) in picture.edges.iter().zip(&drawing.lines) { (way(edge, line, zone, lang)) }
            @for ((node, _), place) in picture.nodes.iter().zip(&drawing.boxes) { (shown(node, place, lang)) }
            (key(legend, picture.left_out, lang))
        }
    }
}

fn way(edge: &Edge, line: &Line, zone: &TimeZone, lang: Lang) -> Markup {
    let colour = match edge {
        Edge { marked: true, .. } => MARKED,
        Edge { succeeded: 1.., .. } => SUCCEEDED,
        _ => FAILED,
    };
    let [one, two] = line.bends;
    let path = format!(
        "M{} {} C{} {} {} {} {} {}",
        line.from.0, line.from.1, one.0, one.1, two.0, two.1, line.to.0, line.to.1
    );
    let accounts: Vec<&str> = edge.accounts.iter().map(|account| &**account).collect();
    let words = format!(
        "{} → {}{}{}: {} {}, {} {} ({} – {})",
        edge.from.name(),
        edge.to.name(),
        if accounts.is_empty() { "" } else { " / " },
        accounts.join(", "),
        edge.succeeded,
        lang.pick("log-ons", "回成功"),
        edge.failed,
        lang.pick("refusals or connections", "回失敗・接続"),
        local(edge.first, zone),
        local(edge.last, zone),
    );
    let is_machines = matches!((&edge.from, &edge.to), (Node::Machine(_), Node::Machine(_)));
    let who = accounts.first().filter(|_| is_machines);
    let count = match (edge.succeeded, edge.failed) {
        (0, failed) => format!("✕{failed}"),
        (succeeded, 0) => format!("✓{succeeded}"),
        (succeeded, failed) => format!("✓{succeeded} ✕{failed}"),
    };
    html! {
        g {
            title { (words) }
            path d=(path) fill="none" stroke=(colour) stroke-width=(if edge.marked { "2.5" } else { "1.5" })
                stroke-dasharray=[(edge.succeeded == 0).then_some("5 4")] {}
            circle cx=(line.to.0) cy=(line.to.1) r="3.5" fill=(colour) {}
            text x=(line.label.0) y=(line.label.1) fill=(colour) text-anchor="middle" font-size="11" stroke="#ffffff" stroke-width="3" paint-order="stroke" {
                @if let Some(who) = who { (short(who)) " " }
                (count)
            }
        }
    }
}

fn shown(node: &Node, place: &Place, lang: Lang) -> Markup {
    let (fill, kind, round) = match node {
        Node::Account(_) => ("#ecfdf5", lang.pick("account", "アカウント"), place.height / 2),
        Node::Machine(_) => ("#eff6ff", lang.pick("machine", "機械"), 4),
    };
    html! {
        g {
            title { (kind) ": " (node.name()) }
            rect x=(place.x) y=(place.y) width=(place.width) height=(place.height) rx=(round) fill=(fill) stroke="#475569" {}
            text x=(place.x + place.width / 2) y=(place.y + place.height / 2 + 5) text-anchor="middle" fill="#0f172a" { (short(node.name())) }
        }
    }
}

fn key(y: u32, left_out: usize, lang: Lang) -> Markup {
    let entry = |x: u32, colour: &str, dashed: bool, words: &str| {
        html! {
            line x1=(x) x2=(x + 26) y1=(y + 12) y2=(y + 12) stroke=(colour) stroke-width="2" stroke-dasharray=[dashed.then_some("5 4")] {}
            text x=(x + 32) y=(y + 16) fill="#334155" font-size="12" { (words) }
        }
    };
    html! {
        (entry(16, SUCCEEDED, false, lang.pick("got in", "ログイン成功")))
        (entry(146, FAILED, true, lang.pick("refused only", "失敗・接続のみ")))
        (entry(286, MARKED, false, lang.pick("the way that was asked for", "調べた侵入経路")))
        @if left_out > 0 {
            text x="16" y=(y + 34) fill="#334155" font-size="12" {
                (lang.pick(format!("{left_out} more are not drawn"), format!("ほか {left_out} 件は省略しました")))
            }
        }
    }
}

/// A name that fits its box; the whole one is its title.
fn short(name: &str) -> String {
    let mut letters = name.chars();
    let start: String = letters.by_ref().take(NAME_MAX).collect();
    if letters.next().is_none() { start } else { format!("{start}…") }
}

fn local(at: Micros, zone: &TimeZone) -> String {
    let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).strftime("%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use judge::logins::Rules;
    use judge::logins::story::{Graph, Start, walk};
    use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};

    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::default();
        for (hour, account, from, host) in [
            (1, "administrator", "10.9.0.4", "menu01"),
            (2, "<script>alert(1)</script>", "203.0.113.7", "menu01"),
            (3, "a-very-long-name-of-an-account-indeed", "10.1.1.5", "emr01"),
        ] {
            let event = AuthEvent {
                at: hour * 3_600_000_000,
                host,
                protocol: AuthProtocol::Rdp,
                outcome: AuthOutcome::Success,
                reason: AuthReason::None,
                account: Some(account),
                domain: None,
                source: from.parse().ok(),
                workstation: None,
                logon_type: Some(10),
                session: None,
            };
            graph.take(&event, &Rules::default());
        }
        graph
    }

    #[test]
    fn the_picture_stands_alone_has_no_script_and_speaks_both_languages() {
        let graph = graph();
        let picture = Picture::overview(&graph, 40);
        let drawn = svg(&picture, &TimeZone::UTC, Lang::En).into_string();
        assert!(drawn.starts_with("<svg xmlns=") && !drawn.contains("<script") && !drawn.contains("style="));
        assert!(drawn.contains("got in") && drawn.contains("a-very-long-name-of-an…"));
        assert!(svg(&picture, &TimeZone::UTC, Lang::Ja).into_string().contains("ログイン成功"));
        assert_eq!(drawn, svg(&Picture::overview(&graph, 40), &TimeZone::UTC, Lang::En).into_string());
    }

    #[test]
    fn a_way_is_marked_and_names_its_accounts() {
        let start = Start { node: Node::Machine("10.9.0.4".into()), since: 0 };
        let picture = Picture::way(&walk(&graph(), &[start]), 40);
        let drawn = svg(&picture, &TimeZone::UTC, Lang::En).into_string();
        assert!(drawn.contains(MARKED) && drawn.contains("administrator ✓1"), "{drawn}");
    }
}

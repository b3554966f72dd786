//! One incident: what happened, what is known and not known, what was done, what can be done now.

use jiff::Timestamp;
use maud::{Markup, html};
use prove::state::CountermeasureFilter;
use schema::{
    Chapter, Countermeasure, CountermeasureState, Finding, Incident, IncidentId, IncidentStatus, Lang, Moment,
};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::{self, Command};
use crate::wiring::sensor::evidence::{incident as evidence, text};

const INCIDENT: Both = ("Incident", "インシデント");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/incidents/{id}", INCIDENT, Needs::May(Permission::See), show).audited(),
    Route::page("/incidents/{id}/mark", INCIDENT, Needs::May(Permission::MarkIncident), ask_mark),
    Route::form("/incidents/{id}/mark", INCIDENT, Needs::May(Permission::MarkIncident), mark),
    Route::page(
        "/incidents/{id}/network",
        ("What left the network", "外部へ出た通信"),
        Needs::May(Permission::See),
        network,
    )
    .audited(),
    Route::page("/incidents/{id}/report", ("Report", "報告書"), Needs::May(Permission::Report), report)
        .audited(),
];

const MOMENTS_MAX: u32 = 1_000;
const COUNTERMEASURES_MAX: u32 = 100;

/// What the page is made from.
struct View {
    incident: Incident,
    moments: Vec<Moment>,
    countermeasures: Vec<Countermeasure>,
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let incident = find(visit)?;
    let state = &visit.console.hub.state;
    let filter = CountermeasureFilter { incident: Some(incident.id), ..CountermeasureFilter::default() };
    let view = View {
        moments: state.moments(incident.id, MOMENTS_MAX)?,
        countermeasures: state.countermeasures(&filter, COUNTERMEASURES_MAX, None)?,
        incident,
    };
    let title = visit.lang.pick(&view.incident.title, &view.incident.title_ja);
    Ok(Reply::html(layout::frame(visit, &format!("{} {title}", view.incident.id), page(visit, &view))))
}

fn find(visit: &Visit<'_>) -> Result<Incident, Trouble> {
    visit.console.hub.state.incident(IncidentId(visit.id("id")?))?.ok_or(Trouble::NotFound)
}

fn page(visit: &Visit<'_>, view: &View) -> Markup {
    let (lang, incident) = (visit.lang, &view.incident);
    let waits = view
        .countermeasures
        .iter()
        .find(|it| it.state == CountermeasureState::Proposed && visit.now < it.deadline);
    html! {
        p.soft { a href="/incidents" { (lang.pick("Incidents", "インシデント一覧")) } " / " (incident.id) }
        h1 { (lang.pick(&incident.title, &incident.title_ja)) }
        p { (parts::severity(incident.severity_id, lang)) " " (parts::incident_status(incident.status, lang)) }
        (next(visit, incident, waits))
        dl.facts {
            dt { (lang.pick("First seen", "最初の検知")) } dd { (visit.time(incident.first_at)) }
            dt { (lang.pick("Last seen", "最新の検知")) } dd { (visit.time(incident.last_at)) }
            dt { (lang.pick("Findings", "検知数")) } dd { (words::count(incident.findings)) }
            dt { (lang.pick("Seen by", "検知した監視")) } dd { @for (name, class) in &incident.watchers { (name) " – " (visit.pick(words::class(*class))) br; } }
        }
        section aria-labelledby="countermeasures" {
            h2 #countermeasures { (lang.pick("What is done against it", "対処")) }
            @if view.countermeasures.is_empty() { p { (lang.pick("Nothing was proposed.", "提案された対処はありません。")) } }
            @for it in &view.countermeasures { (parts::countermeasure(visit, it, 3)) }
        }
        (story(visit, incident))
        (timeline(visit, view))
        (subjects(visit, incident))
        section aria-labelledby="unknown" {
            h2 #unknown { (lang.pick("What we do not know", "まだ分かっていないこと")) }
            @if incident.unknowns.is_empty() { p { (lang.pick("No question is noted. That does not mean that none is left.", "記録された不明点はありません。ただし、不明点がないことを意味するものではありません。")) } }
            ul { @for unknown in &incident.unknowns { li { (lang.pick(&unknown.en, &unknown.ja)) } } }
        }
        (samples(visit, incident))
        @if evidence::question(incident, visit.now).is_some() {
            section aria-labelledby="network" {
                h2 #network { (lang.pick("What left the network", "外部へ出た通信")) }
                p { a.button.second href={ "/incidents/" (incident.id.0) "/network" } { (lang.pick("Ask the sensor's memory", "センサーの記録を調べる")) } }
            }
        }
        (closing(visit, view))
    }
}

fn next(visit: &Visit<'_>, incident: &Incident, waits: Option<&Countermeasure>) -> Markup {
    let lang = visit.lang;
    html! {
        p.next {
            strong { (lang.pick("Next: ", "次にすること：")) }
            @match (waits, incident.status) {
                (Some(it), _) => {
                    a href={ "#countermeasure-" (it.id.0) } { (lang.pick("decide on: ", "次の対処を承認するか判断する：")) (words::act(&it.act, lang)) }
                    (lang.pick(" (", "（")) (words::from_now(it.deadline, visit.now, lang)) (lang.pick(")", "）"))
                }
                (None, IncidentStatus::Open) => { (lang.pick("call the people who work at the machines named below, then read on.", "下に記載された端末の利用者に連絡し、続きをご確認ください。")) }
                (None, IncidentStatus::Contained) => { (lang.pick("check that the records are whole, then close the incident.", "記録に欠損がないことを確認してから、インシデントを終了してください。")) }
                (None, _) => { (lang.pick("nothing. It is closed.", "対応は不要です（終了済み）。")) }
            }
        }
    }
}

fn story(visit: &Visit<'_>, incident: &Incident) -> Markup {
    let lang = visit.lang;
    html! {
        section aria-labelledby="story" {
            h2 #story { (lang.pick("What happened, in the order of an attack", "何が起きたか（攻撃の段階順）")) }
            (strip(visit, &incident.story))
            ol.story {
                @for chapter in &incident.story {
                    li.card {
                        h3 { (tactic(chapter, lang)) }
                        p { (lang.pick(&chapter.en, &chapter.ja)) }
                        p.soft {
                            @if let Some(attack) = &chapter.attack { (lang.pick("Technique ", "攻撃手法 ")) (attack.technique) " " span lang="en" { (attack.name) } " · " }
                            (lang.pick(format!("{} findings", words::count(chapter.findings)), format!("検知{}件", words::count(chapter.findings)))) " · "
                            (visit.time(chapter.first_at)) @if chapter.last_at > chapter.first_at { " – " (visit.time(chapter.last_at)) }
                        }
                    }
                }
            }
        }
    }
}

fn tactic(chapter: &Chapter, lang: Lang) -> &'static str {
    chapter.tactic.map_or(lang.pick("Other signs", "その他の兆候"), |tactic| tactic.name(lang))
}

/// When each part went on, as bars over time. The list below says the same in words.
fn strip(visit: &Visit<'_>, story: &[Chapter]) -> Markup {
    const ROW: usize = 26;
    let span = story.iter().map(|it| it.first_at).min().zip(story.iter().map(|it| it.last_at).max());
    let Some((from, to)) = span.filter(|_| story.len() > 1) else { return html! {} };
    let seconds = (to.as_millisecond() - from.as_millisecond()).max(1) as f64;
    let x = |at: Timestamp| 200.0 + (at.as_millisecond() - from.as_millisecond()) as f64 / seconds * 500.0;
    let height = story.len() * ROW + 24;
    let clock = |at: Timestamp| {
        at.to_zoned(visit.console.settings.zone.clone()).strftime("%m-%d %H:%M:%S").to_string()
    };
    html! {
        svg.plot viewBox={ "0 0 720 " (height) } role="img" aria-label=(visit.pick(("When each part went on; the list below says the same", "各段階の時間帯（下の一覧と同じ内容です）"))) {
            @for (row, chapter) in story.iter().enumerate() {
                text x="192" y=(row * ROW + 17) text-anchor="end" { (tactic(chapter, visit.lang)) }
                line.grid x1="200" x2="700" y1=(row * ROW + 13) y2=(row * ROW + 13) {}
                rect.bar.impact[chapter.tactic == Some(schema::Tactic::Impact)] x=(format!("{:.1}", x(chapter.first_at))) y=(row * ROW + 6) height="14"
                    width=(format!("{:.1}", (x(chapter.last_at) - x(chapter.first_at)).max(5.0))) rx="2" {}
            }
            text x="200" y=(height - 4) { (clock(from)) }
            text x="700" y=(height - 4) text-anchor="end" { (clock(to)) }
        }
    }
}

/// What was found and what was done, in the order of time.
fn timeline(visit: &Visit<'_>, view: &View) -> Markup {
    let lang = visit.lang;
    let found = view
        .incident
        .story
        .iter()
        .map(|it| (it.first_at, "found", lang.pick("found", "検知"), lang.pick(&it.en, &it.ja)));
    let done = view
        .moments
        .iter()
        .map(|it| (it.at, "person", visit.pick(words::stage(it.stage)), lang.pick(&it.en, &it.ja)));
    let mut all: Vec<_> = found.chain(done).collect();
    all.sort_by_key(|(at, ..)| *at);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { (lang.pick("Minute by minute", "時系列")) }
            ol.timeline {
                @for (at, class, word, what) in all { li.(class) { p { (visit.time(at)) " " strong { (word) } } p { (what) } } }
            }
        }
    }
}

fn subjects(visit: &Visit<'_>, incident: &Incident) -> Markup {
    let lang = visit.lang;
    let heads = [
        lang.pick("Who or what", "名称"),
        lang.pick("Kind", "種類"),
        lang.pick("Part", "役割"),
        lang.pick("Findings", "検知数"),
    ];
    let rows: Vec<Markup> = incident.subjects.iter().map(|(subject, count)| {
        let (kind, name) = words::entity(&subject.entity, lang);
        html! { th scope="row" { (name) } td { (kind) } td { (visit.pick(words::role_in_incident(subject.role))) } td.number { (words::count(*count)) } }
    }).collect();
    html! {
        section aria-labelledby="subjects" {
            h2 #subjects { (lang.pick("Who and what is in it", "関係する端末・アカウント")) }
            (parts::table(lang.pick("Named in the findings, most named first", "検知結果に現れたもの（多い順）"), &heads, &rows))
        }
    }
}

fn samples(visit: &Visit<'_>, incident: &Incident) -> Markup {
    let lang = visit.lang;
    let sample = |finding: &Finding| {
        let reasons = lang.pick(&finding.reasons, &finding.reasons_ja);
        html! {
            li {
                p { strong { (lang.pick(&finding.title, &finding.title_ja)) } " " span.soft { (visit.time(finding.time)) " · " code { (finding.detector) } } }
                ul { @for reason in reasons { li { (reason) } } }
            }
        }
    };
    html! {
        section aria-labelledby="samples" {
            h2 #samples { (lang.pick("Why we think so", "判断の根拠")) }
            details #samples-list {
                summary { (lang.pick(format!("{} findings that say most", incident.samples.len()), format!("代表的な検知結果{}件", incident.samples.len()))) }
                ul { @for finding in &incident.samples { (sample(finding)) } }
            }
        }
    }
}

fn closing(visit: &Visit<'_>, view: &View) -> Markup {
    let (lang, id) = (visit.lang, view.incident.id.0);
    let is_going_on = matches!(view.incident.status, IncidentStatus::Open | IncidentStatus::Contained);
    html! {
        section aria-labelledby="closing" {
            h2 #closing { (lang.pick("Report and end", "報告書と終了")) }
            @if visit.may(Permission::Report) {
                p { a.button.second href={ "/incidents/" (id) "/report?lang=" (lang.tag()) } { (lang.pick("Open the report", "報告書を開く")) } }
            }
            @if visit.may(Permission::MarkIncident) {
                div.actions {
                    @if is_going_on {
                        a.button.second href={ "/incidents/" (id) "/mark?to=closed" } { (lang.pick("Close it…", "終了にする…")) }
                        a.button.second href={ "/incidents/" (id) "/mark?to=false_alarm" } { (lang.pick("It was a false alarm…", "誤検知とする…")) }
                    } @else { a.button.second href={ "/incidents/" (id) "/mark?to=open" } { (lang.pick("Open it again…", "再び進行中にする…")) } }
                }
            }
        }
    }
}

fn wanted(text: &str) -> Result<IncidentStatus, Trouble> {
    match text {
        "open" => Ok(IncidentStatus::Open),
        "closed" => Ok(IncidentStatus::Closed),
        "false_alarm" => Ok(IncidentStatus::FalseAlarm),
        _ => Err(Trouble::Bad("There is no such status.", "その状態はありません。")),
    }
}

fn ask_mark(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let incident = find(visit)?;
    let to = visit.query.get("to");
    let (lead, submit): (Both, Both) = match wanted(to)? {
        IncidentStatus::Closed => (
            (
                "The incident ends. Countermeasures that are in force stay so until they are taken back. New findings of the same kind begin a new incident.",
                "インシデントを終了します。有効な対処は、取り消すまで続きます。同じ種類の検知があれば、新しいインシデントになります。",
            ),
            ("Close it", "終了にする"),
        ),
        IncidentStatus::FalseAlarm => (
            (
                "You say that this was no attack. That is written into the ledger with your name. Countermeasures that are in force stay so until they are taken back.",
                "攻撃ではなかったと判断します。この判断はお名前とともに台帳へ記録されます。有効な対処は、取り消すまで続きます。",
            ),
            ("It was a false alarm", "誤検知とする"),
        ),
        _ => (
            ("The incident counts as going on again.", "インシデントを再び進行中に戻します。"),
            ("Open it again", "再び進行中にする"),
        ),
    };
    let content = html! {
        (layout::opening(visit.pick(submit), visit.pick(lead), None, visit.lang))
        p { (incident.id) " " (visit.lang.pick(&incident.title, &incident.title_ja)) }
        form method="post" action={ "/incidents/" (incident.id.0) "/mark" } {
            (visit.csrf())
            input type="hidden" name="to" value=(to);
            div.actions {
                button type="submit" { (visit.pick(submit)) }
                a.button.second href={ "/incidents/" (incident.id.0) } { (visit.pick(("Cancel", "キャンセル"))) }
            }
        }
    };
    Ok(visit.show(content))
}

fn mark(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let id = IncidentId(visit.id("id")?);
    let status = wanted(visit.form.get("to"))?;
    visit.console.hub.ask(Command::Mark { id, status }, visit.by())?;
    Ok(Reply::see(format!("/incidents/{}", id.0)))
}

/// The report as it stands now: a page that needs nothing but its own style.
fn report(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let console = visit.console;
    let head = console.ledger.head().map_err(|error| Trouble::Broken(error.into()))?;
    let (id, zone) = (find(visit)?.id, console.settings.zone.clone());
    let page = hub::report::page(&console.hub.state, &console.settings.state_dir, id, head, zone, visit.lang)
        .map_err(Trouble::Broken)?;
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox";
    Ok(Reply::text("text/html; charset=utf-8", page.into_bytes()).with("content-security-policy", policy))
}

/// What the sensor remembers of that time, with what it rests on.
fn network(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (incident, lang) = (find(visit)?, visit.lang);
    let question = evidence::question(&incident, visit.now).ok_or(Trouble::NotFound)?;
    let command = evidence::command(&question);
    let settings = &visit.console.settings;
    let found = evidence::look(&settings.state_dir, question).map_err(Trouble::Broken)?;
    let title = lang.pick("What left the network", "外部へ出た通信");
    let none = lang
        .pick("The sensor kept no flows on this machine.", "この機械にはセンサーの通信記録がありません。");
    let content = html! {
        p.soft { a href={ "/incidents/" (incident.id.0) } { (incident.id) } " / " (title) }
        h1 { (title) }
        p { (lang.pick("From a day before the first finding to a day after the last one, or now. The same on the command line: ", "最初の検知の1日前から最後の検知の1日後（または現在）までの範囲です。コマンドでも確認できます：")) code { (command) } }
        @match found {
            Some(found) => { pre { (text(&found, lang, &settings.zone)) } }
            None => { p { (none) } }
        }
    };
    Ok(Reply::html(layout::frame(visit, title, content)))
}

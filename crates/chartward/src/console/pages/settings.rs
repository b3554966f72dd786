//! What Chartward may do by itself, what it never touches, whom it tells.

use std::collections::BTreeMap;

use maud::{Markup, html};
use prove::state::{Arming, QueuedNotice};
use schema::{ActKind, WatcherClass};

use crate::access::Permission;
use crate::console::icon::{self, Tone};
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::Command;

const SETTINGS: Both = ("Settings", "設定");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/settings", SETTINGS, Needs::May(Permission::See), show).in_nav(),
    Route::page("/settings/arm", ("Arm", "自動対処の設定"), Needs::May(Permission::Arm), ask_arm),
    Route::form("/settings/arm", ("Arm", "自動対処の設定"), Needs::May(Permission::Arm), arm),
];

const NOTICES_LOOKED_AT: u32 = 500;

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let state = &visit.console.hub.state;
    let (armed, notices) = (state.armed()?, state.notices(None, NOTICES_LOOKED_AT)?);
    let lead = match armed.len() {
        0 => lang.pick(
            "Chartward only observes: it proposes and a person decides.".to_owned(),
            "現在は観察のみの設定です。対処は提案だけを行い、実施は人が判断します。".to_owned(),
        ),
        n => lang.pick(
            format!("{n} actions are armed: those Chartward may take by itself."),
            format!("{n}件の自動対処が有効です。該当する対処は自動で実施されることがあります。"),
        ),
    };
    let shows = &visit.console.settings.shows;
    Ok(visit.show(html! {
        (layout::opening(visit.pick(SETTINGS), &lead, None, lang))
        section aria-labelledby="arming" {
            h2 #arming { (lang.pick("What may be done, caused by what", "自動対処：どの監視が、何をしてよいか")) }
            p { (lang.pick(
                "Each watcher can be fooled in its own way; so each action is armed for each class by itself. What is not armed is written down and not done.",
                "監視の種類ごとに誤検知の起こり方が異なるため、対処は種類ごとに有効にします。有効でない対処は、記録だけを行い実施しません。")) }
            (matrix(visit, &armed))
        }
        section aria-labelledby="never" {
            h2 #never { (lang.pick("Never touched", "対処の対象外リスト")) }
            p { (lang.pick("Whatever happens, nothing is done to these. They stand in the configuration.", "どのような場合でも、以下には対処を実施しません（設定ファイルに記載）。")) }
            @if shows.never_touch.is_empty() { p { (icon::WARN) " " (lang.pick("The list is empty. Put the EMR's servers and medical devices on it.", "リストが空です。電子カルテのサーバーや医療機器を登録してください。")) } }
            ul { @for name in &shows.never_touch { li { code { (name) } } } }
        }
        section aria-labelledby="channels" {
            h2 #channels { (lang.pick("Who is told, and whether notices arrive", "通知先と、最後に届いた記録")) }
            (channels(visit, &notices))
        }
        @if visit.may(Permission::Secrets) {
            section aria-labelledby="secrets" {
                h2 #secrets { (lang.pick("Secrets", "秘密情報")) }
                p { (lang.pick("Only their names are shown. Set one with: ", "名前だけを表示します。設定するコマンド：")) code { "chartward secret set NAME" } }
                ul { @for name in visit.console.access.sealed().names().map_err(|cause| Trouble::Broken(cause.into()))? { li { code { (name) } } } }
            }
        }
        @if visit.may(Permission::Users) || visit.may(Permission::Tokens) {
            p { a.button.second href="/people" { (lang.pick("Accounts and tokens", "アカウントとAPIトークン")) } }
        }
    }))
}

fn matrix(visit: &Visit<'_>, armed: &[Arming]) -> Markup {
    let class_name = |class: WatcherClass| visit.pick(words::class(class));
    let mut heads = vec![visit.pick(("Action", "対処"))];
    heads.extend(WatcherClass::ALL.map(class_name));
    let cell = |kind: ActKind, class: WatcherClass| {
        let is_armed = armed.iter().any(|it| it.kind == kind && it.class == class);
        let (sign, word) = if is_armed {
            ((icon::CHECK, Tone::Warn), ("armed", "有効"))
        } else {
            ((icon::DASH, Tone::Calm), ("observe only", "観察のみ"))
        };
        html! {
            td {
                (parts::badge(sign, visit.pick(word)))
                @if visit.may(Permission::Arm) {
                    br;
                    a href={ "/settings/arm?kind=" (kind.id()) "&class=" (class.id()) "&armed=" (if is_armed { "no" } else { "yes" }) } {
                        (visit.pick(if is_armed { ("Disarm…", "無効にする…") } else { ("Arm…", "有効にする…") }))
                        span.hidden { " " (visit.pick(words::act_kind(kind))) " – " (class_name(class)) }
                    }
                }
            }
        }
    };
    let rows: Vec<Markup> = ActKind::ALL
        .into_iter()
        .map(|kind| {
            html! {
                th scope="row" { (visit.pick(words::act_kind(kind))) }
                @for class in WatcherClass::ALL { (cell(kind, class)) }
            }
        })
        .collect();
    parts::table(visit.pick(("Actions by class of watcher", "監視の種類ごとの自動対処")), &heads, &rows)
}

fn channels(visit: &Visit<'_>, notices: &[QueuedNotice]) -> Markup {
    let lang = visit.lang;
    let mut newest: BTreeMap<&str, &QueuedNotice> = BTreeMap::new();
    for notice in notices {
        newest.entry(&notice.channel).or_insert(notice);
    }
    let heads = [
        lang.pick("Channel", "通知先"),
        lang.pick("Kind", "種類"),
        lang.pick("Last notice", "最後の通知"),
        lang.pick("Answer of the receiver", "受信側の応答"),
    ];
    let rows: Vec<Markup> = visit.console.settings.shows.channels.iter().map(|(name, kind)| html! {
        th scope="row" { (name) } td { (kind) }
        @match newest.get(name.as_str()) {
            Some(notice) => {
                td {
                    @match (notice.delivered_at, notice.next_try_at) {
                        (Some(at), _) => { (parts::badge((icon::CHECK, Tone::Good), lang.pick("delivered", "到達"))) " " (visit.time(at)) }
                        (None, Some(at)) => { (parts::badge((icon::CLOCK, Tone::Warn), lang.pick("being tried", "再送待ち"))) " " (visit.time(at)) }
                        (None, None) => { (parts::badge((icon::CROSS, Tone::Bad), lang.pick("given up", "送信断念"))) " " (visit.time(notice.created_at)) }
                    }
                }
                td { span.mono { (notice.proof) } }
            }
            None => { td { (lang.pick("none yet", "まだありません")) } td { "–" } }
        }
    }).collect();
    if rows.is_empty() {
        return html! { p { (icon::WARN) " " (lang.pick("No channel is configured: nobody is told.", "通知先が設定されていません。誰にも通知されません。")) } };
    }
    parts::table(lang.pick("Channels with their last delivery", "通知先と最後の到達記録"), &heads, &rows)
}

const NO_SUCH: Trouble =
    Trouble::Bad("There is no such action or class of watcher.", "その対処または監視の種類はありません。");

fn ask_arm(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let kind = ActKind::from_id(visit.query.get("kind")).ok_or(NO_SUCH)?;
    let class = WatcherClass::from_id(visit.query.get("class")).ok_or(NO_SUCH)?;
    let armed = visit.query.get("armed") == "yes";
    let title = format!("{} – {}", visit.pick(words::act_kind(kind)), visit.pick(words::class(class)));
    let lead = visit.pick(if armed {
        ("From now on Chartward may do this by itself, or propose it, when this class of watcher sees an attack. What it does:",
         "以後、この監視が攻撃を検知したとき、次の対処を自動で実施または提案します。実施内容：")
    } else {
        ("From now on this is only written down and not done.", "以後、この対処は記録だけを行い、実施しません。")
    });
    Ok(visit.show(html! {
        (layout::opening(&title, lead, None, visit.lang))
        @if armed { p { (visit.pick(words::consequence(kind))) } }
        form method="post" action="/settings/arm" {
            (visit.csrf())
            input type="hidden" name="kind" value=(kind.id());
            input type="hidden" name="class" value=(class.id());
            input type="hidden" name="armed" value=(if armed { "yes" } else { "no" });
            div.actions {
                button #confirm type="submit" { (visit.pick(if armed { ("Arm it", "有効にする") } else { ("Disarm it", "無効にする") })) }
                a.button.second href="/settings" { (visit.pick(("Cancel", "キャンセル"))) }
            }
        }
    }))
}

fn arm(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let kind = ActKind::from_id(visit.form.get("kind")).ok_or(NO_SUCH)?;
    let class = WatcherClass::from_id(visit.form.get("class")).ok_or(NO_SUCH)?;
    let armed = visit.form.get("armed") == "yes";
    visit.console.hub.ask(Command::Arm { kind, class, armed }, visit.by())?;
    Ok(Reply::see("/settings#arming"))
}

//! The quarantine of the mail gateway: what was held back and why, and the two things that may be done with it.

use maud::{Markup, html};
use observe::mail::quarantine::{Kept, Store};
use observe::mail::reinject::Way;
use schema::{MailReason, MailVerdict};

use crate::access::Permission;
use crate::console::icon::{self, Icon, Tone};
use crate::console::layout;
use crate::console::parts::{self, Field};
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::wiring::mail::release::{self, Wish};

const MAIL: Both = ("Mail", "メール");
const NEEDS: Needs = Needs::May(Permission::Mail);

pub(super) const ROUTES: &[Route] = &[
    Route::page("/mail", MAIL, NEEDS, list).in_nav(),
    Route::page("/mail/{id}", ("A mail that was held back", "隔離されたメール"), NEEDS, show).audited(),
    Route::form("/mail/{id}/release", ("Release a mail", "メールの解放"), NEEDS, give),
    Route::form("/mail/{id}/delete", ("Delete a mail", "メールの削除"), NEEDS, delete),
];

const SHOWN_MAX: usize = 200;
/// Of a mail to thousands only so many are named.
const RECIPIENTS_SHOWN: usize = 20;

fn store(visit: &Visit<'_>) -> Result<Option<Store>, Trouble> {
    Ok(release::open(&release::folder(&visit.console.settings.state_dir))?)
}

fn list(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let kept = match store(visit)? {
        Some(store) => store.list(SHOWN_MAX).map_err(anyhow::Error::from)?,
        None => Vec::new(),
    };
    let waiting = kept.iter().filter(|it| it.done.is_empty()).count();
    let lead = match waiting {
        0 => lang.pick("No mail waits in quarantine.".to_owned(), "隔離中のメールはありません。".to_owned()),
        n => lang.pick(
            format!("{n} mails are held back. Their recipients have not seen them."),
            format!("{n}件のメールを隔離しています。宛先には届いていません。"),
        ),
    };
    let title = visit.pick(("Mails that were held back", "隔離したメール"));
    let heads = [
        visit.pick(("Came", "受信")),
        visit.pick(("Verdict", "判定")),
        visit.pick(("From", "差出人")),
        visit.pick(("To", "宛先")),
        visit.pick(("Subject", "件名")),
        visit.pick(("Why", "理由")),
        visit.pick(("State", "状態")),
    ];
    let rows: Vec<Markup> = kept.iter().map(|it| row(visit, it)).collect();
    Ok(visit.show(html! {
        (layout::opening(visit.pick(MAIL), &lead, None, lang))
        p { a href="/mail/policy" { (lang.pick("How mail is weighed here", "メール判定の調整")) } }
        p { a href="/mail/training" { (lang.pick("Mails to learn from: a notice for the staff", "職員向け：不審メールのお知らせ")) } }
        @if !kept.is_empty() { (parts::table(title, &heads, &rows)) }
        @if kept.len() == SHOWN_MAX {
            p.soft { (lang.pick("Older ones: ", "これより古いもの：")) code { "chartward mail quarantine list" } }
        }
    }))
}

fn row(visit: &Visit<'_>, it: &Kept) -> Markup {
    let envelope = &it.entry.envelope;
    html! {
        th scope="row" { a href={ "/mail/" (it.entry.id) } { (visit.time(it.entry.at)) } }
        td { (verdict(visit, it.entry.verdict)) }
        td { (sender(&envelope.from)) }
        td { (recipients(&envelope.to, 2)) }
        td { (it.entry.subject) }
        td { @for reason in it.entry.reasons.iter().take(2) { p { (visit.lang.pick(&reason.text, &reason.text_ja)) } } }
        td { (state(visit, it)) }
    }
}

fn verdict(visit: &Visit<'_>, verdict: MailVerdict) -> Markup {
    let (sign, word): ((Icon, Tone), Both) = match verdict {
        MailVerdict::Malicious => ((icon::CROSS, Tone::Bad), ("dangerous file", "危険なファイル")),
        MailVerdict::Phishing => ((icon::WARN, Tone::Bad), ("phishing", "フィッシング")),
        MailVerdict::Suspicious => ((icon::WARN, Tone::Warn), ("suspicious", "要注意")),
        MailVerdict::Unreadable => ((icon::WARN, Tone::Warn), ("unreadable", "検査不能")),
        MailVerdict::Clean => ((icon::CHECK, Tone::Good), ("clean", "問題なし")),
    };
    parts::badge(sign, visit.pick(word))
}

/// An address as text: nobody shall click on it.
fn sender(address: &str) -> Markup {
    html! { code { @if address.is_empty() { "<>" } @else { (address) } } }
}

fn recipients(to: &[String], shown: usize) -> Markup {
    html! {
        @for address in to.iter().take(shown) { code { (address) } " " }
        @if to.len() > shown { "+" (words::count((to.len() - shown) as u64)) }
    }
}

fn state(visit: &Visit<'_>, it: &Kept) -> Markup {
    match it.done.last() {
        Some(done) => html! {
            (parts::badge((icon::CHECK, Tone::Calm), visit.pick(("released", "解放済み"))))
            " " (visit.time(done.at)) " " (done.by)
        },
        None => parts::badge((icon::CLOCK, Tone::Warn), visit.pick(("held back", "隔離中"))),
    }
}

fn find(visit: &Visit<'_>) -> Result<(Store, Kept), Trouble> {
    let store = store(visit)?.ok_or(Trouble::NotFound)?;
    let kept = store.kept(visit.param("id")).map_err(trouble)?;
    Ok((store, kept))
}

fn trouble(error: observe::Error) -> Trouble {
    match error {
        observe::Error::NoSuchMail { .. } => Trouble::NotFound,
        other => Trouble::Broken(other.into()),
    }
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (_, it) = find(visit)?;
    let (lang, entry) = (visit.lang, &it.entry);
    let lead = visit.pick((
        "Nobody has received this mail. Release it only if you know its sender and have asked by another way, such as the telephone.",
        "このメールは届いていません。差出人に電話など別の方法で確認できたときだけ、解放してください。",
    ));
    Ok(visit.show(html! {
        (layout::opening(visit.pick(visit.route.title), lead, None, lang))
        p { (verdict(visit, entry.verdict)) " " (state(visit, &it)) }
        dl.facts {
            dt { (lang.pick("Came", "受信")) } dd { (visit.time(entry.at)) }
            dt { (lang.pick("From", "差出人")) } dd { (sender(&entry.envelope.from)) }
            dt { (lang.pick("To", "宛先")) } dd { (recipients(&entry.envelope.to, RECIPIENTS_SHOWN)) }
            dt { (lang.pick("Subject", "件名")) } dd { (entry.subject) }
            dt { (lang.pick("Brought by", "送信元")) }
            dd { @if let Some(client) = entry.envelope.client { code { (client) } } " " (entry.envelope.client_name) }
            dt { (lang.pick("Length", "長さ")) } dd { (words::count(it.bytes)) " B" }
            dt { (lang.pick("Number", "番号")) } dd { code { (entry.id) } }
        }
        section aria-labelledby="why" {
            h2 #why { (lang.pick("Why it was held back", "隔離した理由")) }
            ul { @for it in &entry.reasons { (reason(visit, it)) } }
        }
        section aria-labelledby="release" {
            h2 #release { (lang.pick("Release", "解放")) }
            form method="post" action={ (visit.path) "/release" } {
                (visit.csrf())
                @if !it.done.is_empty() { input type="hidden" name="again" value="yes"; }
                (to_field(visit))
                button type="submit" { (lang.pick("Deliver it", "配送する")) }
            }
            p.soft { (lang.pick("A copy stays here until it is too old.", "写しは、保管期間が過ぎるまでここに残ります。")) }
        }
        section aria-labelledby="delete" {
            h2 #delete { (lang.pick("Delete", "削除")) }
            p { (lang.pick("It is gone for good, and nobody receives it.", "完全に削除され、誰にも届きません。")) }
            (parts::button(visit, &format!("{}/delete", visit.path), "second", lang.pick("Delete it", "削除する")))
        }
    }))
}

fn to_field(visit: &Visit<'_>) -> Markup {
    let field = Field {
        name: "to",
        label: visit.pick(("Only to this address", "このアドレスだけに届ける")),
        hint: visit.pick(("Empty: to all its recipients.", "空欄なら、すべての宛先に届けます。")),
        kind: "text",
        autocomplete: "off",
        optional: true,
        ..Field::default()
    };
    field.show()
}

fn reason(visit: &Visit<'_>, it: &MailReason) -> Markup {
    html! {
        li {
            (visit.lang.pick(&it.text, &it.text_ja))
            @for evidence in &it.evidence { " " code { (evidence) } }
        }
    }
}

fn give(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (store, it) = find(visit)?;
    let to = visit.form.get("to");
    if !to.is_empty()
        && (!to.contains('@') || to.contains(|char: char| char.is_whitespace() || char.is_control()))
    {
        return Err(Trouble::Bad("This is no mail address.", "メールアドレスの形になっていません。"));
    }
    let to: Vec<String> = Some(to.to_owned()).filter(|to| !to.is_empty()).into_iter().collect();
    let way: Way = visit
        .console
        .settings
        .release_to
        .parse()
        .map_err(|error| Trouble::Broken(anyhow::Error::new(error)))?;
    let again = visit.form.has("again");
    if !again && !it.done.is_empty() {
        return Err(Trouble::Bad("It was released already.", "すでに解放されています。"));
    }
    release::release(&store, &way, &Wish { id: &it.entry.id, to: &to, by: visit.by(), again })?;
    Ok(Reply::see(format!("/mail/{}", it.entry.id)))
}

fn delete(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (store, it) = find(visit)?;
    store.delete(&it.entry.id).map_err(trouble)?;
    Ok(Reply::see("/mail"))
}

//! The frame of every page: skip link, header with navigation, main, footer.

use maud::{DOCTYPE, Markup, html};
use schema::Lang;

use super::visit::Visit;
use super::{assets, icon, pages, words};

/// How light the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    /// As the machine is set.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    const ALL: [(Theme, words::Both); 3] = [
        (Theme::Auto, ("as the machine", "端末に合わせる")),
        (Theme::Light, ("light", "明るい")),
        (Theme::Dark, ("dark", "暗い")),
    ];

    pub(super) fn id(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub(super) fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|(theme, _)| theme).find(|theme| theme.id() == id)
    }
}

/// A whole page.
pub(super) fn page(visit: &Visit<'_>, content: Markup) -> Markup {
    frame(visit, visit.pick(visit.route.title), content)
}

/// A whole page under another title than its route's.
pub(super) fn frame(visit: &Visit<'_>, title: &str, content: Markup) -> Markup {
    let lang = visit.lang;
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) data-theme=(visit.theme.id()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content="light dark";
                title { (title) " – " (named(visit)) }
                link rel="icon" href=(assets::ICON.url()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.url());
                script src=(assets::SCRIPT.url()) defer {}
            }
            body data-live[visit.session.is_some()] {
                a.skip href="#main" { (lang.pick("Skip to the content", "本文へ移動")) }
                (header(visit))
                div #notice role="status" aria-live="polite" data-updated=(lang.pick("This page was updated.", "表示を更新しました。"))
                    data-waiting=(lang.pick("There is news. It is shown when you have finished typing.", "新しい情報があります。入力が終わると表示されます。"))
                    data-lost=(lang.pick("No connection to the hub; what you see may be old.", "ハブとの接続が切れました。表示が古い可能性があります。")) {}
                main #main tabindex="-1" { (content) }
                (footer(visit))
            }
        }
    }
}

/// The product, and whose it is for those who are inside: a stranger learns no hospital's name.
fn named(visit: &Visit<'_>) -> String {
    let hospital = &visit.console.settings.shows.hospital;
    match visit.session {
        Some(_) if !hospital.is_empty() => format!("Chartward {hospital}"),
        _ => "Chartward".to_owned(),
    }
}

fn header(visit: &Visit<'_>) -> Markup {
    let lang = visit.lang;
    html! {
        header.top {
            a.brand href="/" { (icon::SHIELD) span { (named(visit)) } }
            @if visit.session.is_some() {
                nav aria-label=(lang.pick("Main", "メイン")) {
                    ul {
                        @for route in pages::all().filter(|route| route.in_nav && visit.allowed(route)) {
                            li {
                                a href=(route.path) aria-current=[(route.path == visit.route.path).then_some("page")] {
                                    (visit.pick(route.title))
                                }
                            }
                        }
                    }
                }
            }
            div.tools {
                a href=(visit.with_query("lang", lang.pick("ja", "en"))) lang=(lang.pick("ja", "en")) hreflang=(lang.pick("ja", "en")) {
                    (lang.pick("日本語", "English"))
                }
                @if let Some(session) = &visit.session {
                    a href="/account" { (icon::PERSON) (session.user) }
                    form method="post" action="/logout" {
                        (visit.csrf())
                        button.quiet type="submit" { (lang.pick("Log out", "ログアウト")) }
                    }
                }
            }
        }
    }
}

fn footer(visit: &Visit<'_>) -> Markup {
    let lang = visit.lang;
    let zone = &visit.console.settings.zone;
    let shown = visit.now.to_zoned(zone.clone());
    html! {
        footer.bottom {
            p {
                (lang.pick("As of ", "表示時刻：")) time datetime=(visit.now.to_string()) { (shown.strftime("%Y-%m-%d %H:%M:%S")) }
                " (" (zone.iana_name().unwrap_or("UTC")) " " (shown.strftime("UTC%:z")) ")"
            }
            ul.themes aria-label=(lang.pick("Brightness of the page", "画面の明るさ")) {
                @for (theme, name) in Theme::ALL {
                    li {
                        a href=(visit.with_query("theme", theme.id())) aria-current=[(theme == visit.theme).then_some("true")] {
                            (visit.pick(name))
                        }
                    }
                }
            }
        }
    }
}

/// The first lines of every page: what it is, how it stands in one sentence, and the one thing to do next.
pub(super) fn opening(title: &str, lead: &str, next: Option<Markup>, lang: Lang) -> Markup {
    html! {
        h1 { (title) }
        p.lead { (lead) }
        @if let Some(next) = next {
            p.next { strong { (lang.pick("Next: ", "次にすること：")) } (next) }
        }
    }
}

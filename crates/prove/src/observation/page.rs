use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::Lang;
use schema::telescope::{Article, ArticleBlock};

use super::plot::plot;

const STYLE: &str = "body{font-family:system-ui,'Noto Sans CJK JP','Hiragino Sans',sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;line-height:1.6;color:#1a1f26}\
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;border-left:.3rem solid #0072b2;padding-left:.6rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{border-bottom:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top;white-space:pre-line}\
th{background:#eef2f6}.right{text-align:right}figure{margin:1rem 0}figcaption{font-weight:600;font-size:.9rem}svg{width:100%;height:auto;background:#fff}\
footer,.soft{color:#566372;font-size:.85rem}@media print{body{max-width:none;margin:0}h2,figure,tr{break-inside:avoid}}";

/// An article as a page that needs nothing from anywhere else.
pub fn page(article: &Article, lang: Lang) -> String {
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (article.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (article.title) }
                p.soft { (article.subtitle) }
                @for it in &article.blocks { (block(it)) }
                footer { p { (article.foot) } }
            }
        }
    }
    .into_string()
}

fn block(it: &ArticleBlock) -> Markup {
    match it {
        ArticleBlock::Heading { text } => html! { h2 { (text) } },
        ArticleBlock::Text { text } => html! { p { (text) } },
        ArticleBlock::Plot(it) => plot(it),
        ArticleBlock::Table { head, rows, right, .. } => {
            let class = |column: usize| right.get(column).copied().unwrap_or_default().then_some("right");
            html! {
                table {
                    thead { tr { @for (column, it) in head.iter().enumerate() { th class=[class(column)] { (it) } } } }
                    tbody { @for row in rows { tr { @for (column, it) in row.iter().enumerate() { td class=[class(column)] { (it) } } } } }
                }
            }
        }
    }
}

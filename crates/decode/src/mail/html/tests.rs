use super::{Html, read};
use crate::mail::LinkKind;

fn page(html: &str) -> Html {
    read(html, 512)
}

/// What is seen and what is hidden.
fn check(html: &str, visible: &str, hidden: &str) {
    let body = page(html).body;
    assert_eq!((body.visible.as_str(), body.hidden.as_str()), (visible, hidden), "{html}");
}

#[test]
fn a_page_reads_as_it_is_laid_out() {
    check("<p>One  <b>t</b>wo\n three</p><p>four<br>five<br><br>six", "One two three\nfour\nfive\n\nsix", "");
    check("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc", "");
    check("<title>no</title><style>p{}</style><script>x<y</script>yes<!-- no --><![if !mso]>!", "yes!", "");
    check("a&amp;b&nbsp;c&#x3042;&lt;", "a&b cあ<", "");
    check("<pre>a\n  b</pre>c", "a\n  b\nc", "");
    check("<noscript>seen</noscript><textarea>a b</textarea>", "seena b", "");
    check("<head><div>in the head</div>", "in the head", "");
    check("<ul><li>a<li>b</ul>c", "a\nb\nc", "");
    check("<div/>a<o:p/>b", "ab", "");
    check("a<", "a<", "");
    check("<a href='x", "", "");
}

#[test]
fn what_nobody_sees_is_told_apart() {
    for style in [
        "display:none",
        "DISPLAY : NONE !important",
        "dis/**/play:none",
        "d\\69 splay:none",
        "visibility:hidden",
        "opacity:0.01",
        "font-size:0",
        "font-size:1px",
        "font:0/0 a",
        "max-height:0",
        "height:0;overflow:hidden",
        "position:absolute;left:-9999px",
        "text-indent:-999em",
        "margin-left:-5000px",
        "color:#fff",
        "color:white",
        "color:rgb(255, 255, 250)",
        "color:rgba(0,0,0,0)",
        "color:transparent",
        "background:#123456;color:#123457",
        "position:absolute;clip:rect(0 0 0 0)",
        "transform:scale(0)",
    ] {
        check(&format!("a<div style=\"{style}\">x<b>y</b></div>b"), "a\nb", "x y");
    }
    for style in [
        "display:block",
        "visibility:visible",
        "opacity:1",
        "font-size:12px",
        "font: bold 12px/0 a",
        "max-height:100%",
        "height:0",
        "overflow:hidden",
        "left:-9999px",
        "text-indent:-10px",
        "color:#eee;background:url(x.png)",
        "background:#000;color:#fff",
        "color:inherit",
        "",
        ";;:;a:",
    ] {
        check(&format!("a<div style=\"{style}\">x</div>b"), "a\nx\nb", "");
    }
}

#[test]
fn hiding_follows_the_tree() {
    check("<div hidden>x</div>y", "y", "x");
    check("<font color=white>x</font>y", "y", "x");
    check("<table bgcolor=#000000><tr><td><font color='#FFFFFF'>x</font>", "x", "");
    check("<body bgcolor=black text=black>x", "", "x");
    check("<body style='background:#222'><p style='color:#fff'>x", "x", "");
    check("<div style='font-size:0'>x<span style='font-size:14px'>y</span>z</div>", "y", "x z");
    check("<div style='visibility:hidden'>x<b style='visibility:visible'>y</b></div>", "y", "x");
    check("<div style='display:none'>x<b style='display:block'>y</b></div>", "", "x y");
    check("<p style='display:none'>x<p>y", "y", "x");
    check("<table><tr><td style='display:none'>x</div></table>y", "y", "x");
    check("<div style='display:none'><table><tr><td>x</div>y</td></tr></table>z</div>w", "w", "x y z");
    check("<span style='display:none'>x</span></span>y", "y", "x");
    check(
        "<style>.h, #i{display:none} p.k{color:#fff} @media screen{.m{display:none}} .n{color:red}</style><b class='g H'>1</b><b id=i>2</b><p class=k>3</p><b class=k>4</b><b class=m>5</b>",
        "45",
        "1 2 3",
    );
    let table = "<font color=white style='font-size:0'><table><tr><td>x</font><table><tr><td>y</table></table></font>";
    check(table, "x\ny", "");
    check(&format!("<!DOCTYPE html>{table}"), "", "x y");
    check(&format!("<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN'>{table}"), "x\ny", "");
    check("<font color=white>x<a href=y>z</a><a name=w>v</a></font>", "z", "x v");
    check("<body bgcolor=white background=dark.png><font color=white>x", "x", "");
    check("a\u{200b}b\u{ad}c\u{202e}", "abc", "\u{200b}\u{ad}\u{202e}");
    check("\u{1f468}\u{200d}\u{1f469} \u{2764}\u{fe0f}", "\u{1f468}\u{200d}\u{1f469} \u{2764}\u{fe0f}", "");
    check("<template><p>x</p></template><title>y</title>z", "z", "x");
}

#[test]
fn links_carry_what_is_seen_of_them() {
    let html = "<base href='https://b.example/d/e'><a href=' http://evil.test\\@x.example/ '>https://<b>shop</b>.example</a>
        <a href='f'><img src=cid:1 alt=Log><img src='http://i.example/p.png' alt='in'></a>
        <a href='#top'>up</a><a href='http://z.example'><span style='display:none'>no</span>yes
        <a href='mailto:a@b.example'>mail</a> www.loose.example <form action='//f.example/p'><input type=PassWord></form>
        <map><area href='http://area.example' alt='Press'></map>";
    let page = page(html);
    let links: Vec<_> = page
        .links
        .iter()
        .map(|link| (link.url.as_str(), link.host.as_str(), link.shown.as_str(), link.kind))
        .collect();
    assert_eq!(
        links,
        [
            ("http://evil.test/@x.example/", "evil.test", "https://shop.example", LinkKind::Anchor),
            ("https://b.example/d/f", "b.example", "Log in", LinkKind::Anchor),
            ("http://i.example/p.png", "i.example", "", LinkKind::Fetched),
            ("http://z.example", "z.example", "yes", LinkKind::Anchor),
            ("mailto:a@b.example", "", "mail", LinkKind::Anchor),
            ("https://f.example/p", "f.example", "", LinkKind::Form),
            ("http://area.example", "area.example", "Press", LinkKind::Anchor),
            ("http://www.loose.example", "www.loose.example", "", LinkKind::Plain),
        ]
    );
    assert_eq!((page.body.own_images, page.body.remote_images), (1, 1));
    assert_eq!(
        (page.body.forms[0].action.as_str(), page.body.forms[0].password),
        ("https://f.example/p", true)
    );
}

#[test]
fn what_runs_or_carries_files_is_counted() {
    let payload = "QUJD".repeat(100);
    for (html, active, packed) in [
        ("<p>plain</p>".to_owned(), 0, 0),
        ("<script src=http://x.example/></script><iframe></iframe><img src=x onerror=go()>".to_owned(), 3, 0),
        ("<a href='JavaScript:go()'>".to_owned(), 1, 0),
        (format!("<script>var a='{payload}';</script>"), 1, 400),
        (format!("<script>var a='{payload}' +\n  '{payload}';</script>"), 1, 800),
        (
            format!(
                "<script>f('{payload}', 1, 2, something, '{payload}'); saveAs(new Blob([atob(a)]))</script>"
            ),
            1,
            800,
        ),
        (format!("<script>f([{}])</script>", "77,90,144,".repeat(100)), 1, 300),
        (format!("<a href='data:text/html;base64,{payload}'>x</a>"), 0, 400),
        (format!("<img src='data:image/png;base64,{payload}'>"), 0, 0),
        (format!("<embed src='data:image/svg+xml;base64,{payload}'>"), 1, 400),
    ] {
        let body = page(&html).body;
        assert_eq!((body.active, body.packed), (active, packed), "{html}");
    }
    for content in ["0;url=http://r.example/a", "3; URL = 'http://r.example/a'", "0,http://r.example/a"] {
        let body = page(&format!("<meta http-equiv=Refresh content=\"{content}\">")).body;
        assert_eq!(body.refresh.as_deref(), Some("http://r.example/a"), "{content}");
    }
    assert_eq!(page("<meta http-equiv=refresh content=5>").body.refresh, None);
}

#[test]
fn pictures_do_not_crowd_out_what_is_clicked_on() {
    let html = format!("{}<a href='http://a.example'>x</a>", "<img src='http://i.example/1'>".repeat(600));
    let page = page(&html);
    assert!(page.links.iter().any(|link| link.host == "a.example"));
    assert_eq!(page.body.remote_images, 600);
    assert!(read(&"<a href='http://a.example'>x</a>".repeat(600), 512).cut);
}

#[test]
fn pages_made_to_be_slow_are_not() {
    for piece in [
        "<div>",
        "</p>",
        "<p>",
        "<a href=x>",
        "<b style='display:none'>",
        "<style>.a{color:red}</style>",
        "<li>",
        "<table>",
        "<td>",
        "<!--",
        "<script>",
        "&",
        "<x a=1 b=2 c=3 ",
        "</",
        "<![CDATA[",
        "<style>@media{",
        "http://",
        "<noscript>",
        "<img src=url(",
        "<b class='a b c d e f'>",
        "&#",
        "<a href='http://x.example/'>",
    ] {
        let html = piece.repeat((512 << 10) / piece.len());
        let page = page(&html);
        assert!(page.links.len() <= 512 && page.body.visible.len() <= 2 * html.len(), "{piece}");
    }
    // What is beyond the bound of open elements is still read.
    let deep = format!("{}x{}y", "<div>".repeat(10_000), "</div>".repeat(10_000));
    check(&deep, "x\ny", "");
}

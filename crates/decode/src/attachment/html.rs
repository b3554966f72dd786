//! HTML and SVG that came as files: those that build a file in the browser (smuggling, T1027.006), ask for a password, or jump
//! elsewhere. They open from the disk, past every filter of addresses.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::bytes::text;
use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;

/// Characters in one piece without a blank, from which a text is a packed file.
const PACKED_MIN: usize = 512;
/// The same for a page that writes itself.
const PAGE_MIN: usize = 200;

/// Attributes of one element; blanks and slashes, which part them, are counted.
const ATTRIBUTES_MAX: usize = 500_000;
/// Files in Base64 that are decoded and looked at.
const FILES_MAX: usize = 8;

/// Builds a file, or hands one over.
const BUILDS: [&str; 9] = [
    "createobjecturl",
    "mssaveoropenblob",
    "mssaveblob",
    "new blob(",
    "new window.blob(",
    "new file(",
    "webkiturl",
    "showsavefilepicker",
    "data:application/",
];
/// Unpacks a text.
const UNPACKS: [&str; 9] = [
    "atob(",
    "fromcharcode",
    "unescape(",
    "decodeuricomponent(",
    "uint8array",
    "charcodeat",
    "frombase64",
    "parseint(",
    "cryptojs",
];
/// Runs or shows what was unpacked.
const WRITES: [&str; 9] = [
    "document.write",
    "eval(",
    "innerhtml",
    "outerhtml",
    "srcdoc",
    "insertadjacenthtml",
    "new function(",
    "appendchild",
    "location",
];
/// Sends what was typed somewhere.
const SENDS: [&str; 7] =
    ["xmlhttprequest", "fetch(", "$.ajax", "$.post", "axios", "navigator.sendbeacon", "api.telegram.org"];
/// Goes elsewhere.
const JUMPS: [&str; 8] = [
    "location=",
    "location.href=",
    "location.replace(",
    "location.assign(",
    "window.open(",
    "top.location",
    "self.location",
    "window.navigate(",
];

/// What a page holds.
#[derive(Default)]
struct Page {
    /// Scripts and event handlers, in lower case, without blanks.
    scripts: String,
    has_script: bool,
    /// The longest text of Base64, hexadecimal, escapes or numbers anywhere.
    packed: usize,
    /// `download` on a link, and where such a link leads.
    download: Option<String>,
    data_links: usize,
    /// What a link or a frame holds within itself, by its type.
    holds: Option<String>,
    password: bool,
    asks: bool,
    action: Option<String>,
    refresh: Option<String>,
    frames: Vec<String>,
}

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8], sort: Sort) {
    let html = text(bytes);
    if crowded(&html) {
        walk.mark(MarkKind::NotLookedAt, "an element of more attributes than are read");
        return;
    }
    let page = read(&html);
    let picture = sort == Sort::Svg;
    let smuggles = smuggling(&page);
    if let Some(how) = &smuggles {
        walk.mark(MarkKind::HtmlSmuggling, how);
    }
    for (number, file) in hidden_files(&html).into_iter().enumerate() {
        let sort = Sort::of("", &file);
        let runs = sort.runs()
            || sort.is_archive()
            || matches!(sort, Sort::Iso | Sort::Udf | Sort::Vhd | Sort::Vhdx);
        if runs && smuggles.is_none() {
            walk.mark(MarkKind::HtmlSmuggling, format!("carries a file within itself ({})", sort.mime()));
        }
        if runs || sort.holds_others() || sort == Sort::Html {
            walk.lying(&format!("hidden-{}", number + 1), &file);
        }
    }
    if picture && page.has_script {
        walk.mark(MarkKind::Script, "a picture (SVG) with a script");
    }
    if let Some(how) = form(&page) {
        walk.mark(MarkKind::HtmlForm, how);
    }
}

fn smuggling(page: &Page) -> Option<String> {
    let said =
        |words: &[&'static str]| words.iter().copied().find(|word| page.scripts.contains(&squeezed(word)));
    let (builds, unpacks, writes) = (said(&BUILDS), said(&UNPACKS), said(&WRITES));
    let packed = page.packed >= PACKED_MIN;
    if let Some(builds) = builds
        && (packed || unpacks.is_some() && (page.download.is_some() || page.scripts.contains(".click(")))
    {
        return Some(format!("builds a file ({builds}), {} bytes packed", page.packed));
    }
    if let Some(name) = &page.download
        && page.data_links >= PACKED_MIN
    {
        return Some(format!("hands over a file from within itself ({name})"));
    }
    if let (Some(unpacks), Some(writes)) = (unpacks, writes)
        && page.packed >= PAGE_MIN
    {
        return Some(format!("unpacks itself ({unpacks}, {writes}), {} bytes packed", page.packed));
    }
    if let Some(kind) = &page.holds {
        return Some(format!("hands over a file from within itself ({kind})"));
    }
    let inner = page.frames.iter().find(|target| target.starts_with("data:text/html"));
    inner.map(|_| "shows a page from within itself (data:text/html)".to_owned())
}

fn form(page: &Page) -> Option<String> {
    let said = |words: &[&str]| words.iter().any(|word| page.scripts.contains(word));
    if page.password {
        return Some(match &page.action {
            Some(action) => format!("asks for a password, sends it to {action}"),
            None => "asks for a password".to_owned(),
        });
    }
    if let Some(action) = page.action.as_ref().filter(|action| elsewhere(action) && page.asks) {
        return Some(format!("a form that goes to {action}"));
    }
    if page.asks && said(&SENDS) {
        return Some("a form that a script sends".to_owned());
    }
    if let Some(target) = page.refresh.as_ref().filter(|target| elsewhere(target)) {
        return Some(format!("jumps to {target}"));
    }
    if said(&JUMPS) {
        let target =
            page.scripts.find("http").and_then(|at| page.scripts.get(at..)).map(|from| {
                from.chars().take_while(|c| !"\"'`);<>".contains(*c)).take(120).collect::<String>()
            });
        if let Some(target) = target {
            return Some(format!("a script jumps to {target}"));
        }
        if said(&["atob(", "location.hash", "location.search", "fromcharcode", "decodeuricomponent("]) {
            return Some("a script jumps to an address that it hides".to_owned());
        }
    }
    let frame = page.frames.iter().find(|target| elsewhere(target));
    frame.map(|target| format!("shows a page from {target}"))
}

fn elsewhere(target: &str) -> bool {
    let target = target.trim_start().to_ascii_lowercase();
    ["http:", "https:", "//", "\\\\", "ftp:", "file:", "search-ms:", "ms-"]
        .iter()
        .any(|start| target.starts_with(start))
}

fn read(html: &str) -> Page {
    let mut page = Page { packed: longest_packed(html), ..Page::default() };
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut in_script = false;
    for token in Tokenizer::new_with_emitter(html, emitter) {
        // Reading from a text never fails.
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = lower(&tag.name);
                in_script = matches!(name.as_str(), "script" | "svg:script") && !tag.self_closing;
                page.has_script |= name == "script" || name == "svg:script";
                let attributes: Vec<(String, String)> = tag
                    .attributes
                    .iter()
                    .map(|(key, value)| (lower(key), String::from_utf8_lossy(value).into_owned()))
                    .collect();
                page.element(&name, &attributes);
            }
            Token::EndTag(_) => in_script = false,
            Token::String(text) if in_script => page.script(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    page
}

impl Page {
    fn element(&mut self, name: &str, attributes: &[(String, String)]) {
        let get =
            |wanted: &str| attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        for (key, value) in attributes {
            let active =
                value.trim_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case("javascript:"));
            if key.starts_with("on") || active {
                self.has_script = true;
                self.script(value);
            }
        }
        match name {
            "a" | "area" => {
                let target = get("href").or_else(|| get("xlink:href")).unwrap_or_default();
                let kind: String =
                    target.trim_start().chars().take(40).collect::<String>().to_ascii_lowercase();
                if kind.starts_with("data:") && !kind.starts_with("data:image/") && target.len() >= PAGE_MIN {
                    self.holds = Some(kind.split([';', ',']).next().unwrap_or_default().to_owned());
                }
                if let Some(file) = get("download") {
                    self.download = Some(file.to_owned());
                    if target.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:")) {
                        self.data_links = self.data_links.max(target.len());
                    }
                }
            }
            "form" => {
                self.action = get("action").map(str::to_owned).or(self.action.take());
            }
            "input" | "textarea" | "select" => {
                let kind = get("type").unwrap_or("text").to_ascii_lowercase();
                self.password |= kind == "password" || get("name").is_some_and(is_password);
                self.asks |= matches!(kind.as_str(), "text" | "email" | "tel" | "number" | "password");
            }
            "meta" if get("http-equiv").is_some_and(|value| value.trim().eq_ignore_ascii_case("refresh")) => {
                let content = get("content").unwrap_or_default();
                let target =
                    content.split_once('=').map(|(_, target)| target.trim().trim_matches(['"', '\'']));
                self.refresh = target.map(str::to_owned).or(self.refresh.take());
            }
            "iframe" | "frame" | "object" | "embed" => {
                let target = get("src").or_else(|| get("data")).unwrap_or_default();
                if self.frames.len() < 16 {
                    self.frames.push(target.chars().take(200).collect());
                }
            }
            _ => {}
        }
    }

    fn script(&mut self, text: &str) {
        let squeezed = squeezed(text);
        self.scripts.push_str(&squeezed);
        self.scripts.push('\n');
    }
}

fn is_password(name: &str) -> bool {
    ["password", "passwd", "passwort", "pswd"].contains(&name.to_ascii_lowercase().as_str())
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

/// Lower case, without blanks, and with what is put together out of texts (`'crea'+'teObject'`) put together.
fn squeezed(text: &str) -> String {
    let tight: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    if tight.contains("'+'") || tight.contains("\"+\"") {
        return tight.replace("'+'", "").replace("\"+\"", "");
    }
    tight
}

/// The longest run of what only a program reads: Base64, hexadecimal, percent and backslash escapes, numbers in a row. Line ends and
/// what joins two texts do not end it; a word does, as it stands between blanks.
fn longest_packed(html: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    let mut digits = 0;
    let mut gap = 0;
    for byte in html.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' | b'%' | b'\\' | b'-' | b'_' => {
                run += 1;
                digits += usize::from(byte.is_ascii_digit());
                gap = 0;
            }
            b'\r' | b'\n' | b'"' | b'\'' | b',' | b' '
                if gap < 8 && run > 0 && is_dense(run, digits, byte) =>
            {
                gap += 1
            }
            _ => {
                run = 0;
                digits = 0;
                gap = 0;
            }
        }
        // A packed text has digits; a very long word of letters has not.
        if digits * 40 >= run {
            longest = longest.max(run);
        }
    }
    longest
}

/// Whether a run may go on behind a separator: numbers in a list, or lines as long as only packed text has.
fn is_dense(run: usize, digits: usize, separator: u8) -> bool {
    match separator {
        b',' | b' ' => digits * 2 > run,
        _ => digits * 2 > run || run >= 48,
    }
}

/// Whether one element has more attributes than any page: each costs many times its length in memory.
fn crowded(html: &str) -> bool {
    let mut blanks = 0;
    html.bytes().any(|byte| {
        match byte {
            b'<' | b'>' => blanks = 0,
            b' ' | b'\t' | b'\r' | b'\n' | 0x0c | b'/' => blanks += 1,
            _ => {}
        }
        blanks > ATTRIBUTES_MAX
    })
}

/// What stands in a page as Base64 in one piece, decoded.
fn hidden_files(html: &str) -> Vec<Vec<u8>> {
    let runs = html.as_bytes().split(|byte| !(byte.is_ascii_alphanumeric() || b"+/".contains(byte)));
    let long = runs.filter(|run| run.len() >= PACKED_MIN).take(FILES_MAX);
    // What is no whole group at the end is left out: at most three bytes of a file of hundreds.
    long.filter_map(|run| BASE64_STANDARD_NO_PAD.decode(run.get(..run.len() / 4 * 4)?).ok()).collect()
}

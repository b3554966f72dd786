//! `chartward mail quarantine`: what was held back.

use std::process::ExitCode;

use anyhow::Context;
use observe::mail::quarantine::{Kept, Store};
use observe::mail::reinject::Way;
use schema::Lang;
use serde_json::{Value, json};

use super::place::PlaceArgs;
use crate::cli::lang::LangArgs;
use crate::output::{Output, printable};
use crate::wiring::mail::release::{self, Wish};

const SHOWN_MAX: usize = 10_000;
/// As much of a mail as a person reads to decide.
const HEADER_MAX: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is in it, the newest first
    List(Common),
    /// One mail: who sent it, why it was held back, its header
    Show(Show),
    /// Give one to the mail server; it stays in the quarantine until it is too old
    Release(Release),
    /// Remove one for good
    Delete(One),
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id that the list shows
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Write the mail as it came to the standard output instead
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    one: One,
}

#[derive(Debug, clap::Args)]
struct Release {
    /// To this address instead of its recipients; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Also when it was released to them before
    #[arg(long)]
    again: bool,
    /// The mail server that takes it: ADDRESS:PORT, or a sendmail program (default: as release_to of [mail] says, else 127.0.0.1:25)
    #[arg(long, value_name = "SERVER")]
    via: Option<String>,
    #[command(flatten)]
    one: One,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(common) => list(&common),
        Command::Show(args) => show(&args),
        Command::Release(args) => give(&args),
        Command::Delete(args) => delete(&args),
    }
}

impl Common {
    fn store(&self) -> anyhow::Result<Option<Store>> {
        release::open(&self.place.folder()?)
    }

    fn output(&self) -> Output {
        Output::new(self.json)
    }
}

impl One {
    fn store(&self) -> anyhow::Result<Store> {
        let dir = self.common.place.folder()?;
        release::open(&dir)?.with_context(|| format!("nothing was ever held back in {}", dir.display()))
    }
}

fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang.lang());
    let kept = common.store()?.map(|store| store.list(SHOWN_MAX)).transpose()?.unwrap_or_default();
    for it in &kept {
        output.line(&as_json(it))?;
    }
    if kept.is_empty() {
        output.say(lang.pick("The quarantine is empty.", "隔離されたメールはありません。"));
    } else if output == Output::People {
        output.say(table(&kept, lang));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(kept: &Kept) -> Value {
    let Kept { entry, bytes, done } = kept;
    json!({
        "type": "quarantined", "id": entry.id, "at": entry.at, "verdict": entry.verdict, "score": entry.score,
        "from": entry.envelope.from, "to": entry.envelope.to, "subject": entry.subject, "bytes": bytes,
        "reasons": entry.reasons, "released": done,
    })
}

fn table(kept: &[Kept], lang: Lang) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        lang.pick("id", "番号"),
        lang.pick("verdict", "判定"),
        lang.pick("from", "差出人"),
        lang.pick("to", "宛先"),
        lang.pick("subject", "件名"),
        lang.pick("released", "解放"),
    ]);
    for it in kept {
        let entry = &it.entry;
        let released = it.done.last().map_or_else(String::new, |done| done.at.to_string());
        table.add_row([
            entry.id.clone(),
            verdict(entry.verdict, lang).to_owned(),
            printable(&entry.envelope.from),
            printable(&entry.envelope.to.join(", ")),
            printable(&entry.subject),
            released,
        ]);
    }
    table.to_string()
}

pub(crate) fn verdict(verdict: schema::MailVerdict, lang: Lang) -> &'static str {
    use schema::MailVerdict as It;
    match verdict {
        It::Clean => lang.pick("clean", "問題なし"),
        It::Unreadable => lang.pick("unreadable", "検査不能"),
        It::Suspicious => lang.pick("suspicious", "要注意"),
        It::Phishing => lang.pick("phishing", "フィッシング"),
        It::Malicious => lang.pick("malicious", "危険なファイル"),
    }
}

fn show(args: &Show) -> anyhow::Result<ExitCode> {
    let (common, id) = (&args.one.common, &args.one.id);
    let (output, lang) = (common.output(), common.lang.lang());
    let store = args.one.store()?;
    let (_, message) = store.read(id)?;
    if args.raw {
        use std::io::Write;
        std::io::stdout().lock().write_all(&message).context("write the mail")?;
        return Ok(ExitCode::SUCCESS);
    }
    let kept = store.kept(id)?;
    let header = header(&message);
    let mut line = as_json(&kept);
    line["header"] = header.as_str().into();
    line["envelope"] = serde_json::to_value(&kept.entry.envelope)?;
    output.line(&line)?;
    if output == Output::People {
        output.say(table(std::slice::from_ref(&kept), lang));
        for reason in &kept.entry.reasons {
            let evidence = printable(&reason.evidence.join(", "));
            output.say(format!("- {} [{}] {evidence}", lang.pick(&reason.text, &reason.text_ja), reason.id));
        }
        output.say(header.lines().map(printable).collect::<Vec<_>>().join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn header(message: &[u8]) -> String {
    let end =
        message.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(message.len()).min(HEADER_MAX);
    String::from_utf8_lossy(message.get(..end).unwrap_or_default()).into_owned()
}

fn give(args: &Release) -> anyhow::Result<ExitCode> {
    let One { id, common } = &args.one;
    let via = match &args.via {
        Some(via) => via.clone(),
        None => common.place.configuration()?.and_then(|config| config.mail).unwrap_or_default().release_to,
    };
    let way: Way = via.parse().context("read where to release to")?;
    let wish = Wish { id, to: &args.to, by: "local", again: args.again };
    let to = release::release(&args.one.store()?, &way, &wish)?;
    common.output().line(&json!({"type": "released", "id": id, "to": to}))?;
    let names = printable(&to.join(", "));
    common.output().say(common.lang.lang().pick(
        format!("{id} was given to the mail server for {names}"),
        format!("{id} をメールサーバーに渡しました（宛先：{names}）"),
    ));
    Ok(ExitCode::SUCCESS)
}

fn delete(args: &One) -> anyhow::Result<ExitCode> {
    args.store()?.delete(&args.id)?;
    let (output, id) = (args.common.output(), &args.id);
    output.line(&json!({"type": "deleted", "id": id}))?;
    output.say(args.common.lang.lang().pick(format!("{id} is gone"), format!("{id} を削除しました")));
    Ok(ExitCode::SUCCESS)
}

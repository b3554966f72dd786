//! `chartward vault forget`: says what it would do and why; `--apply` does it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::vault::{
    Fate, ForgetGroup, ForgetPlan, ForgetRequest, Generations, GroupBy, Override, Period, Reason, Rules,
    SnapshotFilter, Vault, Verdict, Within,
};
use schema::Lang;
use serde_json::json;

use super::super::lang::LangArgs;
use super::super::state_dir;
use super::super::vault_args::VaultArgs;
use super::receipts::Received;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Snapshots to forget by the first digits of their ids (without them, rules say what is kept)
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    keep: Keep,
    /// Only snapshots of this host (repeatable)
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Only snapshots of this folder (repeatable: of all of them)
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Only snapshots with these tags, separated by commas (repeatable: with one of the lists)
    #[arg(long, value_name = "TAGS")]
    tag: Vec<String>,
    /// What the rules count together: host, paths, tags, or nothing
    #[arg(long, value_name = "WORDS", default_value = "host,paths", value_parser = group_by)]
    group_by: Grouping,
    /// Daily generations of each store that no rule forgets, five at least
    #[arg(long, value_name = "N", default_value_t = Generations::default().keep, value_parser = clap::value_parser!(u32).range(5..))]
    generations: u32,
    /// The first of them that is write-protected, the third at the latest
    #[arg(long, value_name = "N", default_value_t = Generations::default().protected_from, value_parser = clap::value_parser!(u32).range(1..=3))]
    protected_from: u32,
    /// Forget even protected snapshots that are named by their ids, for this reason, which is recorded
    #[arg(long = "override", value_name = "REASON", requires = "snapshots", requires = "by")]
    overriding: Option<String>,
    /// Who is responsible for that
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Do it; without this, nothing is changed
    #[arg(long)]
    apply: bool,
    /// Take these forgotten snapshots back, as long as no prune has removed what they need
    #[arg(long, conflicts_with = "apply", requires = "snapshots")]
    undo: bool,
    /// Folder of the vault host that holds this vault: rules then go by when it received a snapshot (found by itself where the
    /// vault lies in such a folder)
    #[arg(long, value_name = "DIR", env = "CHARTWARD_VAULT_HOST")]
    vault_host: Option<PathBuf>,
    /// Whose days and months count, such as Asia/Tokyo (default: this machine's)
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
    /// State folder, with the ledger
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// restic's names for the rules.
#[derive(clap::Args)]
struct Keep {
    /// Keep the N newest ("all" for every one; so in all rules)
    #[arg(long, value_name = "N", value_parser = count)]
    keep_last: Option<u32>,
    /// Keep the newest of each of N hours
    #[arg(long, value_name = "N", value_parser = count)]
    keep_hourly: Option<u32>,
    /// Keep the newest of each of N days
    #[arg(long, value_name = "N", value_parser = count)]
    keep_daily: Option<u32>,
    /// Keep the newest of each of N weeks
    #[arg(long, value_name = "N", value_parser = count)]
    keep_weekly: Option<u32>,
    /// Keep the newest of each of N months
    #[arg(long, value_name = "N", value_parser = count)]
    keep_monthly: Option<u32>,
    /// Keep the newest of each of N years
    #[arg(long, value_name = "N", value_parser = count)]
    keep_yearly: Option<u32>,
    /// Keep all within so long (1y6m14d12h) before the newest
    #[arg(long, value_name = "DURATION")]
    keep_within: Option<Within>,
    /// Keep hourly ones within so long
    #[arg(long, value_name = "DURATION")]
    keep_within_hourly: Option<Within>,
    /// Keep daily ones within so long
    #[arg(long, value_name = "DURATION")]
    keep_within_daily: Option<Within>,
    /// Keep weekly ones within so long
    #[arg(long, value_name = "DURATION")]
    keep_within_weekly: Option<Within>,
    /// Keep monthly ones within so long
    #[arg(long, value_name = "DURATION")]
    keep_within_monthly: Option<Within>,
    /// Keep yearly ones within so long
    #[arg(long, value_name = "DURATION")]
    keep_within_yearly: Option<Within>,
    /// Keep those with all of these tags, separated by commas (repeatable)
    #[arg(long, value_name = "TAGS")]
    keep_tag: Vec<String>,
}

impl Keep {
    fn rules(&self) -> Rules {
        let counts = [
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        let within = [
            self.keep_within,
            self.keep_within_hourly,
            self.keep_within_daily,
            self.keep_within_weekly,
            self.keep_within_monthly,
            self.keep_within_yearly,
        ];
        Rules {
            keep: Period::ALL.into_iter().zip(counts).filter_map(|(p, count)| Some((p, count?))).collect(),
            within: Period::ALL
                .into_iter()
                .zip(within)
                .filter_map(|(p, within)| Some((p, within?)))
                .collect(),
            tags: self.keep_tag.iter().map(|text| tags(text)).collect(),
        }
    }
}

fn count(text: &str) -> Result<u32, String> {
    match text {
        "all" | "unlimited" => Ok(u32::MAX),
        number => number.parse().map_err(|_| format!("{number} is neither a number nor \"all\"")),
    }
}

fn tags(text: &str) -> Vec<String> {
    text.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// A newtype, since clap takes what is parsed for one value only then.
#[derive(Clone, Copy)]
struct Grouping(GroupBy);

fn group_by(text: &str) -> Result<Grouping, String> {
    let mut by = GroupBy { host: false, paths: false, tags: false };
    for word in text.split(',').filter(|word| !word.is_empty() && *word != "nothing") {
        match word {
            "host" => by.host = true,
            "paths" => by.paths = true,
            "tags" => by.tags = true,
            other => return Err(format!("{other} is none of host, paths and tags")),
        }
    }
    Ok(Grouping(by))
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("{text} is no time zone such as Asia/Tokyo"))
}

impl Args {
    fn request(&self) -> ForgetRequest {
        let request = ForgetRequest::by_ids(self.snapshots.clone());
        ForgetRequest {
            rules: self.keep.rules(),
            filter: SnapshotFilter {
                hosts: self.host.clone(),
                paths: self.path.clone(),
                tags: self.tag.iter().map(|text| tags(text)).collect(),
            },
            group_by: self.group_by.0,
            generations: Generations { keep: self.generations, protected_from: self.protected_from },
            overriding: self
                .overriding
                .clone()
                .map(|reason| Override { by: self.by.clone().unwrap_or_default(), reason }),
            zone: self.zone.clone().unwrap_or_else(|| request.zone.clone()),
            ..request
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    let mut request = args.request();
    ensure!(
        request.snapshots.is_empty() || request.rules.is_empty(),
        "name either snapshots or rules (--keep-…), not both"
    );
    ensure!(
        request.overriding.as_ref().is_none_or(|word| !word.reason.trim().is_empty()),
        "--override needs a reason"
    );
    let vault = args.vault.open()?;
    if args.undo {
        return undo(args, output, lang, &vault);
    }
    let received = Received::of(args.vault.dir(), args.vault_host.as_deref())?;
    if let Some(received) = &received {
        request.receipts = received.snapshots()?;
    }
    let plan = if args.apply { apply(args, &vault, &request)? } else { vault.plan_forget(&request)? };
    if let (true, Some(received)) = (args.apply, &received) {
        received.note(&plan.with(Fate::Forgotten))?;
    }
    let say = Say { output, lang, is_done: args.apply };
    plan.groups.iter().try_for_each(|group| say.group(group))?;
    for error in &plan.unreadable {
        eprintln!(
            "chartward: {}",
            lang.pick("a snapshot cannot be read and stays", "読めないスナップショットは残します")
        );
        eprintln!("  {}", printable(&error.to_string()));
    }
    say.summary(&plan)
}

/// The ledger is opened first: what nobody can record is not done.
fn apply(args: &Args, vault: &Vault, request: &ForgetRequest) -> anyhow::Result<ForgetPlan> {
    let now = Timestamp::now();
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    let plan = vault.forget(request)?;
    let forgotten = plan.with(Fate::Forgotten);
    if !forgotten.is_empty() {
        let protected = forgotten.iter().filter(|verdict| !verdict.reasons.is_empty()).count();
        let word = request.overriding.clone().filter(|_| protected > 0);
        let (by, because) = word.map_or_else(Default::default, |word| (word.by, word.reason));
        ledger.append(
            Fact::SnapshotsForgotten {
                vault_id: vault.id().to_owned(),
                snapshots: forgotten.iter().map(|verdict| verdict.snapshot.id.clone()).collect(),
                protected: protected as u64,
                by,
                because,
            },
            now,
        )?;
    }
    Ok(plan)
}

fn undo(args: &Args, output: Output, lang: Lang, vault: &Vault) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    for wanted in &args.snapshots {
        let snapshot = vault.unforget(wanted)?;
        let snapshots = vec![snapshot.id.clone()];
        ledger.append(Fact::SnapshotsTakenBack { vault_id: vault.id().to_owned(), snapshots }, now)?;
        output.line(&json!({ "type": "taken_back", "id": snapshot.id, "time": snapshot.time }))?;
        let (id, time) = (snapshot.id.short(), snapshot.time);
        output.say(lang.pick(
            format!("{id} of {time} is in the vault again."),
            format!("{time}のスナップショット{id}を元に戻しました。"),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

struct Say {
    output: Output,
    lang: Lang,
    is_done: bool,
}

impl Say {
    fn group(&self, group: &ForgetGroup) -> anyhow::Result<()> {
        let lang = self.lang;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(
            lang.pick(["id", "captured", "tags", "", "why"], ["ID", "取得日時", "タグ", "", "理由"]),
        );
        for verdict in &group.verdicts {
            let snapshot = &verdict.snapshot;
            let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text(lang)).collect();
            self.output.line(&json!({
                "type": "snapshot",
                "id": snapshot.id,
                "short_id": snapshot.id.short(),
                "time": snapshot.time,
                "counted_at": verdict.at,
                "hostname": snapshot.hostname,
                "paths": snapshot.paths,
                "tags": snapshot.tags,
                "fate": fate_code(verdict.fate),
                "reasons": verdict.reasons.iter().zip(&reasons)
                    .map(|(reason, text)| json!({ "code": reason.code(), "text": text }))
                    .collect::<Vec<_>>(),
            }))?;
            table.add_row([
                snapshot.id.short().to_owned(),
                snapshot.time.to_string(),
                printable(&snapshot.tags.join(",")),
                self.fate(verdict.fate).to_owned(),
                printable(&reasons.join("\n")).replace("\\n", "\n"),
            ]);
        }
        if self.output == Output::People {
            let host = group.host.as_deref().unwrap_or_default();
            let paths = group.paths.as_ref().map(|paths| paths.join(", ")).unwrap_or_default();
            let tags = group.tags.as_ref().map(|tags| tags.join(",")).unwrap_or_default();
            let label: Vec<&str> =
                [host, &paths, &tags].into_iter().filter(|text| !text.is_empty()).collect();
            self.output.say(printable(&label.join("  ")));
            self.output.say(table);
        }
        Ok(())
    }

    fn fate(&self, fate: Fate) -> &'static str {
        match (fate, self.is_done) {
            (Fate::Kept, _) => self.lang.pick("kept", "残す"),
            (Fate::Refused, _) => self.lang.pick("PROTECTED", "保護のため不可"),
            (Fate::Forgotten, true) => self.lang.pick("forgotten", "忘却済み"),
            (Fate::Forgotten, false) => self.lang.pick("to be forgotten", "忘却予定"),
        }
    }

    fn summary(&self, plan: &ForgetPlan) -> anyhow::Result<ExitCode> {
        let [kept, forgotten, refused] =
            [Fate::Kept, Fate::Forgotten, Fate::Refused].map(|fate| plan.with(fate).len());
        let is_future = |verdict: &&Verdict| verdict.reasons.contains(&Reason::FutureDated);
        let future = plan.verdicts().filter(is_future).count();
        self.output.line(&json!({
            "type": "summary",
            "applied": self.is_done,
            "kept": kept,
            "forgotten": forgotten,
            "refused": refused,
            "future_dated": future,
            "unreadable": plan.unreadable.len(),
        }))?;
        let next = match (self.is_done, forgotten) {
            (_, 0) => "",
            (false, _) => self.lang.pick(
                " Nothing was changed; `--apply` does it.",
                " まだ何も変更していません。実行するには --apply を付けてください。",
            ),
            (true, _) => self.lang.pick(
                " `vault prune` gives back their space; until then `vault forget --undo ID` takes them back.",
                " 容量は vault prune で解放されます。それまでは vault forget --undo ID で元に戻せます。",
            ),
        };
        self.output.say(self.lang.pick(
            format!("{kept} kept, {forgotten} forgotten, {refused} refused as protected.{next}"),
            format!("保持{kept}件、忘却{forgotten}件、保護のため拒否{refused}件。{next}"),
        ));
        if future > 0 {
            self.output.say(self.lang.pick(
                format!("{future} snapshots are dated in the future: look at the clock of the host they name, and at who made them."),
                format!("未来の日付のスナップショットが{future}件あります。該当ホストの時計と、作成者を確認してください。"),
            ));
        }
        let found = refused + future + plan.unreadable.len() > 0;
        Ok(if found { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

fn fate_code(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Forgotten => "forgotten",
        Fate::Refused => "refused",
    }
}

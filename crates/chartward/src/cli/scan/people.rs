//! Verdicts for people: a line a mail, and what each rests on where that was asked for.

use std::io::{self, BufWriter, StdoutLock, Write};

use schema::{Lang, MailReason, MailVerdict};

use super::line::{Line, Summary};
use crate::output::printable;

/// Reasons below each mail that is not clean, without `--explain`.
const REASONS: usize = 2;

pub(super) struct People {
    out: BufWriter<StdoutLock<'static>>,
    lang: Lang,
    explain: bool,
    begun: bool,
}

impl People {
    pub(super) fn new(lang: Lang, explain: bool) -> People {
        People { out: BufWriter::new(io::stdout().lock()), lang, explain, begun: false }
    }

    /// One mail.
    pub(super) fn mail(&mut self, line: &Line) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let heads = self.lang.pick(["VERDICT", "SCORE", "MAIL"], ["判定", "点数", "メール"]);
            writeln!(self.out, "{}  {:>6}  {}", padded(heads[0]), heads[1], heads[2])?;
        }
        let judged = &line.judgement;
        writeln!(
            self.out,
            "{}  {:>6.1}  {}",
            padded(self.word(judged.verdict)),
            judged.score,
            printable(&line.path)
        )?;
        let speaks_against = |reason: &&MailReason| reason.weight > 0.0;
        match (self.explain, judged.verdict) {
            (true, _) => judged.reasons.iter().try_for_each(|reason| self.reason(reason)),
            (false, MailVerdict::Clean) => Ok(()),
            (false, _) => judged
                .reasons
                .iter()
                .filter(speaks_against)
                .take(REASONS)
                .try_for_each(|reason| self.reason(reason)),
        }
    }

    fn reason(&mut self, reason: &MailReason) -> io::Result<()> {
        let text = self.lang.pick(&reason.text, &reason.text_ja);
        let evidence: Vec<_> = reason.evidence.iter().map(|evidence| printable(evidence)).collect();
        let evidence =
            if evidence.is_empty() { String::new() } else { format!(" [{}]", evidence.join(", ")) };
        if self.explain {
            writeln!(self.out, "    {:+5.1}  {:<24} {text}{evidence}", reason.weight, reason.id)
        } else {
            writeln!(self.out, "    {text}{evidence}")
        }
    }

    /// What all of it came to.
    pub(super) fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let Summary { messages, clean, unreadable, suspicious, phishing, malicious, seconds, .. } = summary;
        let line = self.lang.pick(
            format!(
                "{messages} mails in {seconds:.1} s: {malicious} malicious, {phishing} phishing, {suspicious} suspicious, \
                 {unreadable} unreadable, {clean} clean"
            ),
            format!(
                "{messages} 通を {seconds:.1} 秒で判定しました：危険 {malicious}、フィッシング {phishing}、不審 {suspicious}、\
                 判定不能 {unreadable}、問題なし {clean}"
            ),
        );
        writeln!(self.out, "\n{line}")?;
        self.out.flush()
    }

    fn word(&self, verdict: MailVerdict) -> &'static str {
        match verdict {
            MailVerdict::Clean => self.lang.pick("clean", "問題なし"),
            MailVerdict::Unreadable => self.lang.pick("unreadable", "判定不能"),
            MailVerdict::Suspicious => self.lang.pick("suspicious", "不審"),
            MailVerdict::Phishing => self.lang.pick("phishing", "フィッシング"),
            MailVerdict::Malicious => self.lang.pick("malicious", "危険"),
        }
    }
}

/// As wide as the widest verdict; a Japanese character takes two columns.
fn padded(word: &str) -> String {
    let width: usize = word.chars().map(|char| if char.is_ascii() { 1 } else { 2 }).sum();
    format!("{word}{}", " ".repeat(12_usize.saturating_sub(width)))
}

//! `encryption.share` and `tamper.share`: what looks at a file share from outside add up to.
//!
//! From outside nobody can tell who wrote, so everything that happens to one share within a day counts together, and one file more
//! than in the guard's gate is asked for. Contents decide; names and notes only lower the number of files that is enough.
//! Numbers of changed files alone never raise an alarm: a nightly batch changes more than an encryptor does in its first minute.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schema::{Attack, FileEvidence, Lang, Severity, ShareLook, Tactic};
use serde::{Deserialize, Serialize};

use crate::gate::{Kind, kind_of};
use crate::{Detector, Entry};

/// Contents of the share are being encrypted.
pub const ENTRY: Entry = Entry {
    id: "encryption.share",
    title: "Files on a share are being replaced by encrypted content",
    title_ja: "共有フォルダのファイルが暗号化された内容に置き換えられている",
    attacks: encryption,
    make: Detector::Share(Share::default),
};

/// The watch itself was blinded: the share is silent for long, or its decoys were taken away.
pub const TAMPER: Entry = Entry {
    id: "tamper.share",
    title: "A watched share can no longer be seen",
    title_ja: "監視している共有フォルダが見えなくなっている",
    attacks: blinding,
    make: Detector::Share(Share::default),
};

/// What happened longer ago no longer counts.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// A server that restarts with updates takes less than this.
const SILENCE_MAX: SignedDuration = SignedDuration::from_mins(15);
const FILES_MAX: usize = 4096;

/// This many files replaced by noise are enough.
const NOISE_ENOUGH: u64 = 3;
/// This many files with one new suffix that nobody can read are enough.
const LOCKED_ENOUGH: u64 = 20;

fn encryption() -> Vec<Attack> {
    vec![Attack {
        technique: "T1486".into(),
        name: "Data Encrypted for Impact".into(),
        tactic: Tactic::Impact,
    }]
}

fn blinding() -> Vec<Attack> {
    vec![Attack { technique: "T1489".into(), name: "Service Stop".into(), tactic: Tactic::Impact }]
}

/// The judge of one share. Its state is bounded and can be kept over a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Files that speak for an encryption, by number.
    files: BTreeMap<u64, Harm>,
    notes: Vec<(Timestamp, u64)>,
    renamed: Vec<(Timestamp, u64)>,
    unread: u64,
    silent_since: Option<Timestamp>,
    /// The severity that was told, and when.
    told: Option<(Timestamp, Severity)>,
    told_blind: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Harm {
    at: Timestamp,
    kind: Kind,
    canary: bool,
    family: bool,
}

/// What a look led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Which entry it is a finding of.
    pub detector: String,
    /// How bad it is.
    pub severity_id: Severity,
    /// What it rests on.
    pub signs: Vec<Sign>,
}

/// One thing that a judgement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sign", rename_all = "snake_case")]
pub enum Sign {
    /// Decoys were changed into noise.
    CanariesEncrypted {
        /// How many.
        files: u64,
    },
    /// Contents with a structure became noise.
    ReplacedByNoise {
        /// How many files.
        files: u64,
    },
    /// Noise stands in files whose frame is kept.
    PartlyNoise {
        /// How many files.
        files: u64,
    },
    /// A new suffix, and the structure is lost.
    SuffixAndLostStructure {
        /// How many files.
        files: u64,
    },
    /// Files got one and the same new suffix within a day.
    RenamedAlike {
        /// How many.
        files: u64,
    },
    /// Changed files cannot be opened.
    Locked {
        /// How many.
        files: u64,
    },
    /// New files named like ransom notes.
    Notes {
        /// How many.
        files: u64,
    },
    /// A known family gives such names.
    KnownFamily {
        /// How many files.
        files: u64,
    },
    /// The server does not answer.
    Silent {
        /// For how many minutes.
        minutes: u64,
    },
    /// Decoys are gone and nothing like them remains.
    CanariesMissing {
        /// How many.
        files: u64,
    },
    /// Folders that could be listed before cannot be any more.
    FoldersLost {
        /// How many.
        folders: u64,
    },
    /// From outside it cannot be seen who wrote.
    WriterUnknown,
}

impl Share {
    /// Takes in one look; says something when there is something new to say.
    pub fn look(&mut self, look: &ShareLook, now: Timestamp) -> Option<Judgement> {
        if !look.answered {
            return self.silence(now);
        }
        self.silent_since = None;
        self.forget(now);
        self.take(look, now);
        self.encryption(now).or_else(|| self.blinded(look, now))
    }

    /// The server did not answer.
    fn silence(&mut self, now: Timestamp) -> Option<Judgement> {
        let since = *self.silent_since.get_or_insert(now);
        let silent = now.duration_since(since);
        if silent < SILENCE_MAX {
            return None;
        }
        let minutes = u64::try_from(silent.as_mins()).unwrap_or(0);
        self.tell_blind(vec![Sign::Silent { minutes }], now)
    }

    fn blinded(&mut self, look: &ShareLook, now: Timestamp) -> Option<Judgement> {
        let signs: Vec<Sign> = [
            (look.canaries_missing, Sign::CanariesMissing { files: look.canaries_missing }),
            (look.folders_lost, Sign::FoldersLost { folders: look.folders_lost }),
        ]
        .into_iter()
        .filter_map(|(count, sign)| (count > 0).then_some(sign))
        .collect();
        if signs.is_empty() { None } else { self.tell_blind(signs, now) }
    }

    fn tell_blind(&mut self, signs: Vec<Sign>, now: Timestamp) -> Option<Judgement> {
        if self.told_blind.is_some_and(|told| now.duration_since(told) < WINDOW) {
            return None;
        }
        self.told_blind = Some(now);
        Some(Judgement { detector: TAMPER.id.into(), severity_id: Severity::Medium, signs })
    }

    fn take(&mut self, look: &ShareLook, now: Timestamp) {
        for evidence in &look.evidence {
            match harm(evidence, now) {
                Some(harm) if self.files.len() < FILES_MAX || self.files.contains_key(&evidence.file) => {
                    self.files.insert(evidence.file, harm);
                }
                Some(_) => {}
                // A later sample that finds the file whole takes back one from the midst of a rewrite.
                None => {
                    self.files.remove(&evidence.file);
                }
            }
        }
        for (list, count) in [(&mut self.notes, look.notes), (&mut self.renamed, look.suffixed_alike)] {
            if count > 0 {
                list.push((now, count));
                // A day of looks a second each would be more: the oldest go.
                let surplus = list.len().saturating_sub(FILES_MAX);
                list.drain(..surplus);
            }
        }
        self.unread = look.unread;
    }

    fn encryption(&mut self, now: Timestamp) -> Option<Judgement> {
        let count =
            |test: &dyn Fn(&Harm) -> bool| self.files.values().filter(|harm| test(harm)).count() as u64;
        let sum = |list: &[(Timestamp, u64)]| list.iter().map(|(_, count)| count).sum::<u64>();
        let canaries = count(&|harm| harm.canary);
        let noise = count(&|harm| !harm.canary && harm.kind == Kind::Noise);
        let partly = count(&|harm| !harm.canary && harm.kind == Kind::PartlyNoise);
        let suffixed = count(&|harm| !harm.canary && harm.kind == Kind::SuffixAndLostStructure);
        let family = count(&|harm| harm.family);
        let (notes, renamed) = (sum(&self.notes), sum(&self.renamed));
        let locked = if renamed >= LOCKED_ENOUGH { self.unread.min(renamed) } else { 0 };
        let attack = canaries > 0
            || noise >= NOISE_ENOUGH
            || (noise > 0 && (notes > 0 || family > 0))
            || (noise > 0 && noise + partly + suffixed >= NOISE_ENOUGH)
            || (suffixed >= NOISE_ENOUGH && (notes > 0 || family > 0 || partly > 0))
            || locked >= LOCKED_ENOUGH;
        if !attack {
            return None;
        }
        let severity_id = if canaries + noise + partly + suffixed >= 2 * NOISE_ENOUGH {
            Severity::Critical
        } else {
            Severity::High
        };
        if self
            .told
            .is_some_and(|(told, told_as)| told_as >= severity_id && now.duration_since(told) < WINDOW)
        {
            return None;
        }
        self.told = Some((now, severity_id));
        let signs = [
            (canaries, Sign::CanariesEncrypted { files: canaries }),
            (noise, Sign::ReplacedByNoise { files: noise }),
            (partly, Sign::PartlyNoise { files: partly }),
            (suffixed, Sign::SuffixAndLostStructure { files: suffixed }),
            (renamed, Sign::RenamedAlike { files: renamed }),
            (locked, Sign::Locked { files: locked }),
            (notes, Sign::Notes { files: notes }),
            (family, Sign::KnownFamily { files: family }),
            (1, Sign::WriterUnknown),
        ];
        let signs = signs.into_iter().filter_map(|(count, sign)| (count > 0).then_some(sign)).collect();
        Some(Judgement { detector: ENTRY.id.into(), severity_id, signs })
    }

    fn forget(&mut self, now: Timestamp) {
        let limit = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
        self.files.retain(|_, harm| harm.at >= limit);
        self.notes.retain(|(at, _)| *at >= limit);
        self.renamed.retain(|(at, _)| *at >= limit);
    }
}

fn harm(evidence: &FileEvidence, at: Timestamp) -> Option<Harm> {
    let kind = kind_of(evidence)?;
    // An edited decoy is a curious person; a decoy that became noise is an attack by itself.
    let canary = evidence.canary && kind >= Kind::SuffixAndLostStructure;
    Some(Harm { at, kind, canary, family: evidence.suffix_known })
}

impl Sign {
    /// One sentence, without names of files.
    pub fn words(&self, lang: Lang) -> String {
        let counted = |count: u64, one: &str, many: &str, ja: &str| match lang {
            Lang::En if count == 1 => format!("1 {one}"),
            Lang::En => format!("{count} {many}"),
            Lang::Ja => format!("{count}{ja}"),
        };
        match *self {
            Sign::CanariesEncrypted { files } => counted(
                files,
                "decoy that nobody uses became noise",
                "decoys that nobody uses became noise",
                "件のおとりファイル(誰も使わないもの)が乱数状のデータに変わりました",
            ),
            Sign::ReplacedByNoise { files } => counted(
                files,
                "sampled file: structured content became noise",
                "sampled files: structured content became noise",
                "件の抜き取ったファイルで、構造のある内容が乱数状のデータに置き換わりました",
            ),
            Sign::PartlyNoise { files } => counted(
                files,
                "sampled file: noise was written into it",
                "sampled files: noise was written into them",
                "件の抜き取ったファイルに乱数状のデータが書き込まれました",
            ),
            Sign::SuffixAndLostStructure { files } => counted(
                files,
                "sampled file: a new suffix, and the structure is lost",
                "sampled files: a new suffix, and the structure is lost",
                "件の抜き取ったファイルに新しい拡張子が付き、構造が失われました",
            ),
            Sign::RenamedAlike { files } => counted(
                files,
                "file got a new suffix",
                "files got one and the same new suffix within a look",
                "件のファイルに同じ新しい拡張子が付きました",
            ),
            Sign::Locked { files } => counted(
                files,
                "changed file cannot be opened",
                "changed files cannot be opened",
                "件の変更されたファイルが開けません",
            ),
            Sign::Notes { files } => counted(
                files,
                "new file is named like a ransom note",
                "new files are named like ransom notes",
                "件の脅迫文のような名前のファイルが現れました",
            ),
            Sign::KnownFamily { files } => counted(
                files,
                "file has a name that a known family gives",
                "files have names that a known family gives",
                "件のファイル名が既知のランサムウェアのものです",
            ),
            Sign::Silent { minutes } => counted(
                minutes,
                "minute without an answer from the server",
                "minutes without an answer from the server",
                "分間サーバーから応答がありません",
            ),
            Sign::CanariesMissing { files } => counted(
                files,
                "decoy is gone and nothing like it remains",
                "decoys are gone and nothing like them remains",
                "件のおとりファイルがなくなり、代わりのものもありません",
            ),
            Sign::FoldersLost { folders } => counted(
                folders,
                "folder can no longer be listed",
                "folders can no longer be listed",
                "件のフォルダの一覧が取れなくなりました",
            ),
            Sign::WriterUnknown => lang
                .pick(
                    "looked at from outside: who wrote (a process on the server, or a user of the share) cannot be seen",
                    "外側からの監視のため、書き込んだ主体(サーバー上のプログラムか、共有の利用者か)は分かりません",
                )
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

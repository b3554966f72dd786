//! Why a decision is not taken.

use std::fmt;

use schema::Lang;

/// Each names what the person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody is named as the one who decides.
    Who,
    /// The act needs a reason.
    Why,
    /// The reason is longer than it may be.
    ReasonLong,
    /// What should be taken back is not there.
    NoDecision,
    /// It was taken back already.
    UndoneAlready,
    /// Undos and exports stay.
    NotUndoable,
    /// The note is not about this subject, or not there.
    NoNote,
    /// Another note replaces it.
    Replaced,
    /// What was seen is not what is there now.
    Changed,
    /// The decision names another patient than the note has.
    OtherPatient,
    /// The patient is not settled.
    WrongPatient,
    /// The EMR has nothing.
    NothingToKeep,
    /// Only equal ones are confirmed together.
    NotEqual,
    /// No note is named.
    NoNotes,
    /// The id cannot be one.
    NotAnId,
    /// The EMR does not have this id.
    NoSuchPatient,
    /// The EMR has this id already.
    NotNew,
}

impl Refusal {
    /// In words.
    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            Refusal::Who => lang.pick("say who decides", "確認者の氏名を入力してください"),
            Refusal::Why => lang.pick("say why", "理由を入力してください"),
            Refusal::ReasonLong => lang.pick("the reason is too long", "理由が長すぎます"),
            Refusal::NoDecision => {
                lang.pick("there is no such decision to take back", "取り消す対象の確認が見つかりません")
            }
            Refusal::UndoneAlready => lang.pick("it was taken back already", "すでに取り消されています"),
            Refusal::NotUndoable => lang.pick(
                "neither an undo nor an export can be taken back",
                "取り消しと書き出しは、取り消せません",
            ),
            Refusal::NoNote => lang.pick("there is no such note", "該当する記録がありません"),
            Refusal::Replaced => lang.pick(
                "another note replaces it: decide on that one",
                "訂正後の記録があります。そちらを確認してください",
            ),
            Refusal::Changed => lang.pick(
                "the EMR or the note's patient has changed since the page was shown: look again",
                "表示した後に電子カルテまたは患者の指定が変わりました。もう一度ご確認ください",
            ),
            Refusal::OtherPatient => {
                lang.pick("the note belongs to another patient", "この記録は別の患者のものです")
            }
            Refusal::WrongPatient => lang.pick(
                "it may be about the wrong patient: name the right one and the reason first",
                "患者違いの可能性があります。先に正しい患者と理由を指定してください",
            ),
            Refusal::NothingToKeep => lang.pick(
                "the EMR has nothing that could be kept",
                "電子カルテに該当する記録がないため、維持を選べません",
            ),
            Refusal::NotEqual => lang.pick(
                "only notes that the EMR has in everything can be confirmed together",
                "まとめて確認できるのは、すべて一致している記録だけです",
            ),
            Refusal::NoNotes => lang.pick("name the notes", "対象の記録を選んでください"),
            Refusal::NotAnId => lang.pick("this can be no patient id", "患者IDとして使えない文字列です"),
            Refusal::NoSuchPatient => lang.pick(
                "the EMR has no patient with this id; if it was made just now, say so",
                "電子カルテにこの患者IDがありません。新しく作った場合は「新規」を選んでください",
            ),
            Refusal::NotNew => lang.pick(
                "the EMR has a patient with this id already: it is not new",
                "この患者IDはすでに電子カルテにあります。新規ではありません",
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words(Lang::En))
    }
}

//! Looks how the rotations of media stand, and has people told when one is to be changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::{SignedDuration, Timestamp};
use recover::media::{Book, Rotation, Standing, assess};
use schema::{Alarm, Severity};

use super::core::Core;
use super::handle::{Hub, Live};
use crate::config::Config;

const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A place that has not answered for so long hangs: a share that is gone, a tape drive that does not answer.
const SILENT: SignedDuration = SignedDuration::from_mins(5);
const SETTING: &str = "media.told";

/// How the rotations stood when they were last looked at.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) at: Timestamp,
    pub(crate) standings: Vec<Standing>,
    alarms: Vec<Alarm>,
}

/// Starts the thread that looks; it ends when `end` is closed. A medium that does not answer holds up nothing but this thread.
pub(super) fn start(
    config: &Config,
    folder: PathBuf,
    hub: Hub,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    let rotations: Vec<(Rotation, Vec<PathBuf>)> =
        config.media.iter().map(|media| (media.rotation(config.zone()), media.paths.clone())).collect();
    thread::Builder::new().name("media".into()).spawn(move || {
        if rotations.is_empty() {
            return;
        }
        loop {
            let now = Timestamp::now();
            let seen = look(&rotations, &folder, now);
            let is_new = hub.shown().media.is_none_or(|before| before.standings != seen.standings);
            let live = if is_new { Live::Jobs } else { Live::Promise };
            hub.show(|shown| shown.media = Some(seen), live);
            if end.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })
}

fn look(rotations: &[(Rotation, Vec<PathBuf>)], folder: &std::path::Path, now: Timestamp) -> Media {
    let (book, mut alarms) = match Book::load(folder) {
        Ok(book) => (book, Vec::new()),
        Err(error) => (Book::default(), vec![book_lost(&error)]),
    };
    let mut standings = Vec::new();
    for (rotation, paths) in rotations {
        let (standing, more) = assess(rotation, paths, &book, now);
        standings.push(standing);
        alarms.extend(more);
    }
    Media { at: now, standings, alarms }
}

/// What is wrong with the media now.
pub(super) fn alarms(media: &Media, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = media.alarms.clone();
    if now.duration_since(media.at) > SILENT {
        alarms.push(silent());
    }
    alarms
}

impl Core {
    /// Tells people once in each turn that a set is to be put in.
    pub(super) fn ask_for_media(&mut self) {
        let Some(media) = self.hub.shown().media else { return };
        if media.standings.iter().all(|standing| !standing.wants_a_change()) {
            return;
        }
        let Ok(told) = self.state.setting::<BTreeMap<String, Timestamp>>(SETTING) else { return };
        let mut told = told.unwrap_or_default();
        let mut says = Vec::new();
        for standing in media.standings.iter().filter(|standing| standing.wants_a_change()) {
            if told.insert(standing.rotation.clone(), standing.since) != Some(standing.since) {
                says.push(request(standing));
            }
        }
        // Noted first: told twice a week is told too often, and a full disk must not make it every second.
        if says.is_empty() || self.state.write(|tx| tx.put_setting(SETTING, &told)).is_err() {
            return;
        }
        for (en, ja) in says {
            // As urgent as what people listen for: a medium that nobody changes is how there was nothing on it.
            self.tell_everybody(Severity::High, &en, &ja);
        }
        self.settle();
    }
}

fn request(standing: &Standing) -> (String, String) {
    let Standing { rotation, due, inserted, .. } = standing;
    match inserted {
        Some(set) => (
            format!("Please change the backup medium ({rotation}): take set {set} out and put set {due} in."),
            format!(
                "バックアップ媒体（{rotation}）を交換してください。媒体{set}を取り出し、媒体{due}に交換してください。"
            ),
        ),
        None => (
            format!("Please put backup medium set {due} in ({rotation})."),
            format!("バックアップ媒体（{rotation}）の媒体{due}を入れてください。"),
        ),
    }
}

fn silent() -> Alarm {
    Alarm {
        id: "media.silent".to_owned(),
        severity_id: Severity::High,
        title: "A place for backup media has not answered for minutes: it is not known what is in.".to_owned(),
        title_ja: "バックアップ媒体の場所が数分間応答していません。何が入っているか確認できません。".to_owned(),
        next_step: "Look at the drive and its cable; if it hangs, unmount it with `umount -l` and put the medium in again."
            .to_owned(),
        next_step_ja: "ドライブと配線を確かめてください。応答しない場合は `umount -l` で外し、媒体を入れ直してください。".to_owned(),
    }
}

fn book_lost(error: &recover::Error) -> Alarm {
    let cause = crate::output::printable(&error.to_string()).to_string();
    Alarm {
        id: "media.book".to_owned(),
        severity_id: Severity::High,
        title: format!("What is known of the backup media cannot be read: {cause}"),
        title_ja: format!("バックアップ媒体の記録を読めません: {cause}"),
        next_step: "Move media.json out of the state folder and put each medium in once: they are learnt again from what stands on them."
            .to_owned(),
        next_step_ja: "状態フォルダーの media.json を別の場所に移し、媒体を一度ずつ入れてください。媒体の内容から覚え直します。".to_owned(),
    }
}

//! What people ask of the hub. Who may ask what was settled by whoever handed the request in.

use crossbeam_channel::Sender;
use jiff::{SignedDuration, Timestamp};
use prove::Fact;
use prove::state::Arming;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, IncidentId, IncidentStatus, Lang,
    Stage, WatcherClass,
};

use super::book::holds;
use super::core::Core;
use super::handle::{Answer, Command, Refusal, Request};
use super::hands::Order;
use super::reconnect;
use super::words::{in_words, status_in_words};

/// A person's own plan is meant for this long, and holds for this long unless it is undone before.
const PERSONS_DEADLINE: SignedDuration = SignedDuration::from_mins(15);
const PERSONS_LASTS_SECONDS: u64 = 24 * 60 * 60;

type Reply = Sender<Result<Answer, Refusal>>;

impl Core {
    pub(super) fn request(&mut self, request: Request) {
        let Request { command, by, answer } = request;
        let result = match command {
            Command::Approve { id } => return self.approve(id, &by, answer),
            Command::Undo { id } => return self.undo(id, &by, answer),
            Command::Reconnect { host } => return reconnect::ask(self, &host, &by, answer),
            Command::Plan { act, because, apply } => return self.plan_for(act, because, apply, &by, answer),
            Command::Reject { id } => self.reject(id, &by),
            Command::Arm { kind, class, armed } => self.arm(kind, class, armed, &by),
            Command::Mark { id, status } => self.mark(id, status, &by),
            Command::RunJob { name } => (self.run_job)(&name).map(|()| Answer::Done {
                en: format!("{name} is started."),
                ja: format!("{name} を開始しました。"),
            }),
            Command::RestartWatcher { name } => self.restart(&name),
            Command::Alarms => Ok(Answer::Alarms { alarms: super::alarms::all(&self.hub, Timestamp::now()) }),
        };
        let _ = answer.send(result);
    }

    fn waiting_measure(&self, id: CountermeasureId) -> Result<Countermeasure, Refusal> {
        let found = self.measure(id).map_err(refused)?;
        let measure = found.ok_or_else(|| unknown(id))?;
        if measure.state != CountermeasureState::Proposed {
            return Err(Refusal {
                en: format!(
                    "countermeasure {} does not wait for approval; `chartward act list` shows what does",
                    id.0
                ),
                ja: format!("対処 {} は承認待ちではありません", id.0),
            });
        }
        if measure.deadline < Timestamp::now() {
            return Err(Refusal {
                en: format!("the deadline of countermeasure {} has passed; plan it anew", id.0),
                ja: format!("対処 {} は期限切れです。改めて計画してください", id.0),
            });
        }
        Ok(measure)
    }

    fn approve(&mut self, id: CountermeasureId, by: &str, answer: Reply) {
        match self.waiting_measure(id) {
            Ok(mut measure) => {
                measure.state = CountermeasureState::Approved;
                measure.approved_by = Some(by.to_owned());
                self.hand_over(measure, answer);
            }
            Err(refusal) => {
                let _ = answer.send(Err(refusal));
            }
        }
    }

    /// Written down first, then done; whoever asked hears what came of it.
    fn hand_over(&mut self, measure: Countermeasure, answer: Reply) {
        self.note(&measure, None);
        self.carry_out(measure.clone());
        if measure.act.kind() != ActKind::Notify {
            self.waiting.entry(measure.id).or_default().push(answer);
            self.settle();
            return;
        }
        // Delivery may take hours; the outbox tells when it is done.
        let _ = answer.send(self.durable(Answer::Countermeasure { countermeasure: Box::new(measure) }));
    }

    /// Writes down what was asked for; the answer, or that it would be forgotten by a crash.
    fn durable(&mut self, answer: Answer) -> Result<Answer, Refusal> {
        if self.settle_durably() { Ok(answer) } else { Err(self.not_written()) }
    }

    fn reject(&mut self, id: CountermeasureId, by: &str) -> Result<Answer, Refusal> {
        let mut measure = self.waiting_measure(id)?;
        measure.state = CountermeasureState::Rejected;
        measure.detail = format!("rejected by {by}");
        self.note(&measure, None);
        if let Some(incident) = measure.incident {
            let (en, ja) = (in_words(&measure.act, Lang::En), in_words(&measure.act, Lang::Ja));
            self.moment(
                incident,
                Stage::Contain,
                format!("{en}: rejected by {by}."),
                format!("{ja}: {by} が却下しました。"),
            );
        }
        self.durable(Answer::Countermeasure { countermeasure: Box::new(measure) })
    }

    fn undo(&mut self, id: CountermeasureId, by: &str, answer: Reply) {
        let found = self.measure(id).map_err(refused).and_then(|found| found.ok_or_else(|| unknown(id)));
        let refusal = match found {
            Ok(measure) if !holds(measure.act.kind()) => Refusal {
                en: format!(
                    "countermeasure {} was done once and for all; there is nothing to take back",
                    id.0
                ),
                ja: format!("対処 {} は完了済みのため、解除するものはありません", id.0),
            },
            Ok(measure) if measure.state == CountermeasureState::Applied => {
                if let Some(incident) = measure.incident {
                    let what = in_words(&measure.act, Lang::En);
                    let what_ja = in_words(&measure.act, Lang::Ja);
                    let (en, ja) =
                        (format!("{by} takes back: {what}."), format!("{by} が解除を指示: {what_ja}。"));
                    self.moment(incident, Stage::Contain, en, ja);
                }
                self.waiting.entry(id).or_default().push(answer);
                self.ready.push(Order::Undo(measure));
                self.settle();
                return;
            }
            Ok(_) => Refusal {
                en: format!(
                    "countermeasure {} is not in force, so there is nothing to take back; `chartward act list` shows what is",
                    id.0
                ),
                ja: format!("対処 {} は実行中ではないため、解除できません", id.0),
            },
            Err(refusal) => refusal,
        };
        let _ = answer.send(Err(refusal));
    }

    /// A person's own plan: shown first (`apply` false), or applied at once.
    fn plan_for(&mut self, act: Act, because: String, apply: bool, by: &str, answer: Reply) {
        let now = Timestamp::now();
        let forbidden = self.rules.never.forbids(&act);
        let mut measure = Countermeasure {
            id: CountermeasureId(0),
            incident: None,
            caused_by: None,
            because_ja: because.clone(),
            because,
            planned_at: now,
            deadline: now.checked_add(PERSONS_DEADLINE).unwrap_or(Timestamp::MAX),
            lasts_seconds: holds_a_time(act.kind()).then_some(PERSONS_LASTS_SECONDS),
            state: CountermeasureState::Proposed,
            approved_by: None,
            applied_at: None,
            undone_at: None,
            detail: String::new(),
            act,
        };
        if let Some(entry) = forbidden {
            let _ = answer.send(Err(Refusal {
                en: format!("the never-touch list names it ({entry}); nothing was done"),
                ja: format!("対象外リストに含まれています（{entry}）。何も行いませんでした"),
            }));
            return;
        }
        if let Some(known) = self.book.in_force(&measure.act) {
            let id = known.id.0;
            let _ = answer.send(Err(Refusal {
                en: format!("countermeasure {id} does that already; `chartward act undo {id}` takes it back"),
                ja: format!(
                    "対処 {id} として実行中です。解除するには `chartward act undo {id}` を実行してください"
                ),
            }));
            return;
        }
        measure.id = self.book.number();
        if apply {
            measure.state = CountermeasureState::Approved;
            measure.approved_by = Some(by.to_owned());
            self.hand_over(measure, answer);
            return;
        }
        self.note(&measure, None);
        let _ = answer.send(self.durable(Answer::Countermeasure { countermeasure: Box::new(measure) }));
    }

    fn arm(&mut self, kind: ActKind, class: WatcherClass, armed: bool, by: &str) -> Result<Answer, Refusal> {
        if armed && kind == ActKind::BlockAddress && !self.rules.never.has_allow_list() {
            return Err(Refusal {
                en: "nobody is named who is never blocked, so that you could be the first to be locked out; write the \
                     addresses of those who administer this network under [never_touch] addresses, and start the hub again"
                    .to_owned(),
                ja: "遮断しないアドレスが1つも書かれていないため、有効にできません（管理者自身が締め出されるおそれがあります）。\
                     [never_touch] の addresses に管理に使うアドレスを書き、ハブを再起動してください"
                    .to_owned(),
            });
        }
        let arming = Arming { kind, class, by: by.to_owned(), at: Timestamp::now() };
        self.state
            .write(|tx| if armed { tx.arm(&arming) } else { tx.disarm(kind, class) })
            .map_err(refused)?;
        if armed {
            self.armed.insert((kind, class));
        } else {
            self.armed.remove(&(kind, class));
        }
        self.facts.push(Fact::Armed { act: kind, class, armed, by: by.to_owned() });
        self.settle_durably();
        let (kind, class) = (kind.id(), class.id());
        Ok(if armed {
            Answer::Done {
                en: format!("Findings of {class} may cause {kind} from now on."),
                ja: format!("{class} の検知による {kind} を有効にしました。"),
            }
        } else {
            Answer::Done {
                en: format!("Findings of {class} only propose {kind} to nobody from now on: observe only."),
                ja: format!("{class} の検知による {kind} を監視のみに戻しました。"),
            }
        })
    }

    fn mark(&mut self, id: IncidentId, status: IncidentStatus, by: &str) -> Result<Answer, Refusal> {
        let shown = self.correlator.incident(id).cloned();
        let left = || self.pending.incidents.get(&id).cloned();
        let stored = || left().or_else(|| self.state.incident(id).ok().flatten());
        let Some(mut incident) = shown.or_else(stored) else {
            return Err(Refusal {
                en: format!("there is no incident {id}"),
                ja: format!("インシデント {id} はありません"),
            });
        };
        incident.status = status;
        self.dirty.remove(&id);
        self.pending.incidents.insert(id, incident.clone());
        self.correlator.mark(id, status);
        let word = serde_json::to_value(status).ok().and_then(|word| word.as_str().map(str::to_owned));
        let word = word.unwrap_or_default();
        self.facts.push(Fact::IncidentMarked { id, status, by: by.to_owned() });
        self.moment(
            id,
            Stage::Prove,
            format!("{by} marked it: {word}."),
            format!("{by} が状態を「{}」にしました。", status_in_words(status, Lang::Ja)),
        );
        self.durable(Answer::Incident { incident: Box::new(incident) })
    }

    fn restart(&mut self, name: &str) -> Result<Answer, Refusal> {
        let is_known = self.supervisor.as_ref().is_some_and(|supervisor| supervisor.restart(name));
        if !is_known {
            return Err(Refusal {
                en: format!("there is no watcher {name}; `chartward.toml` names them"),
                ja: format!("監視 {name} はありません。chartward.toml を確認してください"),
            });
        }
        Ok(Answer::Done {
            en: format!("{name} is started anew."), ja: format!("{name} を再起動しました。")
        })
    }
}

/// What is undone by itself after a day when a person asked for it and forgot.
fn holds_a_time(kind: ActKind) -> bool {
    matches!(
        kind,
        ActKind::BlockAddress
            | ActKind::BlockEgress
            | ActKind::IsolateHost
            | ActKind::LockVault
            | ActKind::StartViewer
    )
}

fn unknown(id: CountermeasureId) -> Refusal {
    Refusal {
        en: format!("there is no countermeasure {}; `chartward act list` shows them", id.0),
        ja: format!("対処 {} はありません。`chartward act list` で確認してください", id.0),
    }
}

pub(super) fn refused(error: prove::Error) -> Refusal {
    let step = error.next_step().unwrap_or("look at the hub's own messages");
    let error = anyhow::Error::from(error);
    Refusal { en: format!("{error:#}; next: {step}"), ja: format!("{error:#}（次の手順: {step}）") }
}

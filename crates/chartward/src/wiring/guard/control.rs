//! What the guard does when it is asked over its control socket.

use crossbeam_channel::Sender;
use jiff::Timestamp;
use schema::Action;
use serde_json::{Value, json};

use super::{Guard, Report, Response};
use crate::wiring::control::{Asked, Request, done, refused};

impl Guard {
    /// Answers whoever asks, and tells of what was released meanwhile.
    pub(super) fn answer(&mut self, tell: &mut dyn FnMut(Report)) {
        while let Some(Asked { request, answer }) = self.control.as_ref().and_then(|control| control.next()) {
            let value = match request {
                Request::Health => self.health(),
                Request::Arm => self.arm(),
                Request::Disarm => {
                    self.settings.response = Response::ObserveOnly;
                    done(json!({"armed": false, "frozen": self.frozen_pids()}))
                }
                Request::Release { pid, start_ticks } => {
                    self.release((pid, start_ticks), answer);
                    continue;
                }
                Request::Reload => done(json!({
                    "reloaded": [],
                    "message": "nothing is read again: the guard takes its settings from its command line, so restart it",
                })),
            };
            // Whoever asked may have gone.
            let _ = answer.send(value);
        }
        while let Ok(action) = self.released.1.try_recv() {
            tell(Report::Action(action));
        }
    }

    /// Tells of events that the kernel dropped, once.
    pub(super) fn tell_missed(&mut self, tell: &mut dyn FnMut(Report)) {
        let events = std::mem::take(&mut self.overflows);
        self.missed += events;
        if events > 0 {
            tell(Report::Missed { events });
        }
    }

    fn health(&self) -> Value {
        done(json!({
            "mode": if self.watch.is_some() { "permission" } else { "unprivileged" },
            "armed": self.settings.response == Response::Armed,
            "since": self.since,
            "paths": self.settings.dirs,
            "frozen": self.frozen_pids(),
            "frozen_processes": self.frozen_processes(),
            "missed_events": self.missed + self.overflows,
            "passed_unjudged": self.watch.as_ref().map_or(0, |watch| watch.board().passed()),
        }))
    }

    fn arm(&mut self) -> Value {
        // Now rather than in the middle of an attack, when the first plan is written.
        if let Err(error) = act::evidence::private_dir(&self.settings.state) {
            return refused(&format!("it stays disarmed: {error}"));
        }
        self.settings.response = Response::Armed;
        // Who was only told of so far is stopped with its next harmful act.
        self.told.clear();
        done(json!({"armed": true}))
    }

    /// On a thread of its own, since it waits a moment for this loop to let the actor go.
    fn release(&self, process: (i32, u64), answer: Sender<Value>) {
        let (state, released) = (self.settings.state.clone(), self.released.0.clone());
        let late = answer.clone();
        let spawned = std::thread::Builder::new().name("release".into()).spawn(move || {
            let value = match act::freeze::release_exactly(&state, process, Timestamp::now()) {
                Ok(actions) => {
                    let pids: Vec<i32> =
                        actions.iter().filter_map(|action| Some(action.act.process()?.0)).collect();
                    actions.into_iter().for_each(|action: Action| drop(released.send(action)));
                    done(json!({"released": pids}))
                }
                Err(error) => refused(&error.to_string()),
            };
            let _ = answer.send(value);
        });
        if let Err(error) = spawned {
            let _ = late.send(refused(&format!("no thread to release it: {error}")));
        }
    }

    /// With what a release has to name.
    fn frozen_processes(&self) -> Vec<Vec<Value>> {
        let one = |(pid, start_ticks): (i32, u64)| json!({"pid": pid, "start_ticks": start_ticks});
        self.frozen.keys().map(|actor| self.stopped_exactly(*actor).map(one).collect()).collect()
    }

    fn frozen_pids(&self) -> Vec<Vec<i32>> {
        self.frozen.keys().map(|actor| self.stopped(*actor)).collect()
    }
}

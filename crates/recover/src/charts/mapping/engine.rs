//! Asking a database, whichever it is: queries go in, rows of texts come out.
//!
//! The database lives on a thread of its own, with its server, and ends with it: a server must not outlive the thread that started it.

mod mariadb;
mod postgresql;
mod sqlite;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::Query;
use crate::Error;

pub(super) use mariadb::open as mariadb;
pub(super) use postgresql::open as postgresql;
pub(super) use sqlite::open as sqlite;

/// No value is longer, in characters.
const VALUE_CHARS_MAX: usize = 32_768;
/// No query takes longer.
const PATIENCE_SECONDS: u64 = 60;

/// Rows of values; `None` is NULL.
pub(super) type Cells = Vec<Vec<Option<String>>>;

/// What is asked.
pub(super) enum Asked {
    /// The names of a query's columns, each a row.
    Columns { sql: String },
    /// Rows of a query: of these patients, or, where none is named, of all.
    Rows { sql: String, columns: Vec<String>, of: Vec<String>, limit: usize, offset: usize },
}

impl Asked {
    pub(super) fn rows(query: &Query, of: Vec<String>, limit: usize, offset: usize) -> Asked {
        Asked::Rows { sql: query.sql.clone(), columns: query.columns.clone(), of, limit, offset }
    }
}

type Answers = Vec<Result<Cells, Error>>;
/// Answers each question, in their order.
pub(super) type Answering<'a> = &'a mut dyn FnMut(&[Asked]) -> Answers;

/// The way to the thread that has the database.
pub(super) struct Link {
    asks: Option<Sender<Vec<Asked>>>,
    answers: Receiver<Answers>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Opens a database on a thread of its own. `open` makes it, calls what it is given with a way to ask, and cleans up after it.
    pub(super) fn new(
        open: impl FnOnce(&mut dyn FnMut(Answering<'_>)) -> Result<(), Error> + Send + 'static,
    ) -> Result<Link, Error> {
        let (asks, asked) = channel::<Vec<Asked>>();
        let (answer, answers) = channel();
        let (opened, is_open) = channel::<Result<(), Error>>();
        let thread = std::thread::spawn(move || {
            let ready = opened.clone();
            let done = open(&mut |answering| {
                let _ = ready.send(Ok(()));
                while let Ok(questions) = asked.recv() {
                    if answer.send(answering(&questions)).is_err() {
                        return;
                    }
                }
            });
            if let Err(error) = done {
                let _ = opened.send(Err(error));
            }
        });
        let link = Link { asks: Some(asks), answers, thread: Some(thread) };
        match is_open.recv() {
            Ok(opened) => opened.map(|()| link),
            Err(_) => Err(gone()),
        }
    }

    /// One answer for each question.
    pub(super) fn ask(&self, asked: Vec<Asked>) -> Answers {
        let count = asked.len();
        let sent = self.asks.as_ref().is_some_and(|asks| asks.send(asked).is_ok());
        let answers = if sent { self.answers.recv().ok() } else { None };
        answers.unwrap_or_else(|| (0..count).map(|_| Err(gone())).collect())
    }
}

fn gone() -> Error {
    Error::Answer { program: "the database", answer: "it ended".to_owned() }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A name in double quotes, as standard SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

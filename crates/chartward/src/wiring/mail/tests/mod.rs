//! The gateway beside a real Postfix, with a judge that goes by the subject.

mod gateway;
mod killed;
mod policies;

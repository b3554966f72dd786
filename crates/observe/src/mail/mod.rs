//! Mail on its way in: the milter that Postfix asks, who really sent a mail, what clamd says, and the quarantine that loses none.

pub mod authentication;
pub mod banner;
pub mod clamd;
pub mod dns;
pub mod milter;
pub mod quarantine;
pub mod reinject;

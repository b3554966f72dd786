//! Who really sent a mail: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989) and ARC (RFC 8617), measured here.
//!
//! Raw results: that a mailing list breaks signatures, and that a pass is no praise, is for the judge to weigh. What cannot be
//! found out in time is told as [`AuthResult::TempError`].

use std::net::IpAddr;
use std::time::Duration;

use mail_auth::dkim::DkimError;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DmarcResult, Error as Why, MessageAuthenticator, SpfOutput, SpfResult,
};
use schema::{AuthResult, Authentication};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout_at};

use super::dns::Dns;
use crate::Error;

/// More signatures than any honest mail has: each may ask for a hash of the whole body.
const SIGNATURES_MAX: usize = 16;
/// What [`Authentication::by`] says of results measured here.
const HERE: &str = "here";

/// Where a mail came from, as the connection that brought it says.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Address of the machine that brought it.
    pub client: IpAddr,
    /// How that machine called itself.
    pub helo: &'a str,
    /// Envelope sender without brackets; empty for a bounce.
    pub mail_from: &'a str,
}

/// Measures. Cheap to share between threads: it waits on a runtime of its own, and answers of name servers are remembered.
pub struct Authenticator {
    runtime: Runtime,
    names: MessageAuthenticator,
    host: String,
    within: Duration,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("host", &self.host)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// `host` is this machine's name, for the macros of SPF; `within` bounds one mail.
    pub fn new(dns: Dns, host: &str, within: Duration) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dns")
            .enable_all()
            .build()
            .map_err(Error::Names)?;
        let names = {
            // The resolver starts tasks when it is made.
            let _inside = runtime.enter();
            dns.resolver().map_err(|source| Error::Names(std::io::Error::other(source)))?
        };
        Ok(Self { runtime, names, host: host.to_owned(), within })
    }

    /// All four methods for one mail as it came, with CRLF line ends.
    pub fn check(&self, origin: &Origin<'_>, message: &[u8]) -> Authentication {
        self.runtime.block_on(self.measure(origin, message))
    }

    async fn measure(&self, origin: &Origin<'_>, message: &[u8]) -> Authentication {
        let by = HERE.to_owned();
        let until = Instant::now() + self.within;
        let sender = SpfParameters::verify(origin.client, origin.helo, &self.host, origin.mail_from);
        let domain = origin.mail_from.rsplit_once('@').map_or(origin.helo, |(_, domain)| domain);
        let spf = timeout_at(until, self.names.verify_spf(sender)).await;
        let late = || SpfOutput::new(domain.to_owned()).with_result(SpfResult::TempError);
        let spf = spf.unwrap_or_else(|_| late());
        let said = Some((of_spf(spf.result()), spf.domain().to_ascii_lowercase()));
        let too_many = signatures(message) > SIGNATURES_MAX;
        let parsed = if too_many { None } else { AuthenticatedMessage::parse(message) };
        let Some(parsed) = parsed else {
            let dkim = if too_many { vec![(AuthResult::PermError, String::new())] } else { Vec::new() };
            return Authentication { spf: said, dkim, by, ..Authentication::default() };
        };
        let dkim = timeout_at(until, self.names.verify_dkim(&parsed)).await;
        let Ok(dkim) = dkim else {
            let each = parsed.dkim_headers.iter();
            let dkim = each.map(|it| (AuthResult::TempError, it.header.d.to_ascii_lowercase())).collect();
            let dmarc = author(&parsed).map(|domain| (AuthResult::TempError, domain));
            return Authentication { spf: said, dkim, dmarc, arc: None, by };
        };
        let dmarc = DmarcParameters::new(&parsed, &dkim, spf.domain(), &spf);
        let dmarc = match timeout_at(until, self.names.verify_dmarc(dmarc)).await {
            Ok(dmarc) => Some((of_dmarc(&dmarc.result()), dmarc.domain().to_ascii_lowercase()))
                .filter(|(_, domain)| !domain.is_empty()),
            Err(_) => author(&parsed).map(|domain| (AuthResult::TempError, domain)),
        };
        let arc = match timeout_at(until, self.names.verify_arc(&parsed)).await {
            Ok(arc) => Some(of_dkim(arc.result())).filter(|result| *result != AuthResult::None),
            Err(_) => Some(AuthResult::TempError),
        };
        let of = |it: &mail_auth::DkimOutput<'_>| {
            let domain =
                it.signature().map_or_else(String::new, |signature| signature.d.to_ascii_lowercase());
            (of_dkim(it.result()), domain)
        };
        Authentication { spf: said, dkim: dkim.iter().map(of).collect(), dmarc, arc, by }
    }
}

/// Domain of the visible From.
fn author(message: &AuthenticatedMessage<'_>) -> Option<String> {
    let (_, domain) = message.from.first()?.rsplit_once('@')?;
    Some(domain.to_ascii_lowercase())
}

/// DKIM and ARC signatures in the header, counted before anything is hashed.
fn signatures(message: &[u8]) -> usize {
    let lines = message.split(|&byte| byte == b'\n').take_while(|line| !line.is_empty() && *line != b"\r");
    let names: [&[u8]; 2] = [b"dkim-signature", b"arc-message-signature"];
    let signs = |line: &[u8]| {
        names.iter().any(|name| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name)))
    };
    lines.filter(|line| signs(line)).count()
}

fn of_spf(result: SpfResult) -> AuthResult {
    match result {
        SpfResult::Pass => AuthResult::Pass,
        SpfResult::Fail => AuthResult::Fail,
        SpfResult::SoftFail => AuthResult::SoftFail,
        SpfResult::Neutral => AuthResult::Neutral,
        SpfResult::TempError => AuthResult::TempError,
        SpfResult::PermError => AuthResult::PermError,
        SpfResult::None => AuthResult::None,
    }
}

fn of_dkim(result: &DkimResult) -> AuthResult {
    match result {
        DkimResult::Pass => AuthResult::Pass,
        DkimResult::Fail(_) => AuthResult::Fail,
        // The library's word for it is neutral; RFC 6376 §3.9 and everybody's Authentication-Results say fail.
        DkimResult::Neutral(Why::Dkim(DkimError::FailedBodyHashMatch)) => AuthResult::Fail,
        DkimResult::Neutral(Why::Dkim(DkimError::SignatureExpired)) => AuthResult::Neutral,
        DkimResult::Neutral(_) | DkimResult::PermError(_) => AuthResult::PermError,
        DkimResult::TempError(_) => AuthResult::TempError,
        DkimResult::None => AuthResult::None,
    }
}

fn of_dmarc(result: &DmarcResult) -> AuthResult {
    match result {
        DmarcResult::Pass => AuthResult::Pass,
        DmarcResult::Fail(_) => AuthResult::Fail,
        DmarcResult::TempError(_) => AuthResult::TempError,
        DmarcResult::PermError(_) => AuthResult::PermError,
        DmarcResult::None => AuthResult::None,
    }
}

#[cfg(test)]
mod tests;

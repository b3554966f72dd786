//! A repository behind restic's REST protocol: our vault host, or restic's own server.
//!
//! What passes (a broken connection, a server that is busy or starts anew) is tried again for about two minutes. Names are made of
//! contents, so a file that was stored although its answer was lost is recognised when it is sent again.

mod access;
mod pin;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, RANGE};
use ureq::http::{HeaderMap, HeaderValue, Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::file_kind::{FileKind, MAX_FILE};
use super::id::Id;
use crate::Error;
use crate::host::Protection;

pub use access::{RestAccess, Trust, VaultAt};

const VERSION_2: &str = "application/vnd.x.restic.rest.v2";
/// Waits between attempts; with them a vault host may be restarted under a backup.
const PAUSES_MS: [u64; 8] = [250, 1000, 2000, 5000, 10_000, 20_000, 40_000, 40_000];
/// Whoever only looks whether there is a repository does not wait for two minutes.
const PAUSES_OF_A_LOOK: usize = 2;
/// What a server says about a refusal is read up to here.
const WORDS_MAX: u64 = 1000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The host flushes a file to its disk before it answers.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// Servers close connections that nobody uses; ours after 20 seconds.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A repository of a server.
#[derive(Debug)]
pub(crate) struct Rest {
    agent: Agent,
    /// With a slash at its end.
    url: String,
    authorization: HeaderValue,
    /// Lengths of packs, as last listed or written.
    sizes: Mutex<HashMap<Id, u64>>,
}

/// Why an attempt came to nothing.
enum Failure {
    /// It may go better the next time.
    Passing(io::Error),
    /// The server's status and words.
    Refused(u16, String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Sized {
        name: String,
        size: u64,
    },
    /// As version 1 of the protocol lists them.
    Name(String),
}

impl Rest {
    pub(crate) fn new(access: &RestAccess) -> Result<Rest, Error> {
        let unusable = |reason: String| Error::RemoteUnusable { url: access.url().to_owned(), reason };
        let roots = match access.trust() {
            Trust::PublicRoots => RootCerts::WebPki,
            Trust::Ca(pem) => RootCerts::from(authorities(pem).ok_or_else(|| {
                unusable("the file with its certificate authority holds no certificate".to_owned())
            })?),
            Trust::Fingerprint(wanted) => {
                let found = pin::certificate(access.url(), wanted).map_err(|e| unusable(e.to_string()))?;
                RootCerts::from(vec![Certificate::from_der(&found).to_owned()])
            }
        };
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_per_write(Some(SILENCE_MAX))
            .timeout_recv_response(Some(ANSWER_MAX))
            .max_idle_age(IDLE_MAX)
            // A key goes where the operator said and nowhere else.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .max_response_header_size(16 << 10)
            .user_agent("chartward")
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .new_agent();
        let authorization = BASE64_STANDARD.encode(format!("{}:{}", access.name(), access.key()));
        let mut authorization = HeaderValue::try_from(format!("Basic {authorization}"))
            .map_err(|_| unusable("its key cannot be sent".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Rest { agent, url: access.url().to_owned(), authorization, sizes: Mutex::default() })
    }

    /// Makes the folders of a new repository.
    pub(crate) fn create(&self) -> Result<(), Error> {
        self.patiently("create", "?create=true", &PAUSES_MS, || {
            self.send("POST", "?create=true", &[], Some(&[])).map(|_| ())
        })
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, path: &str) -> Result<bool, Error> {
        self.is_there(path, &PAUSES_MS)
    }

    fn is_there(&self, path: &str, pauses: &[u64]) -> Result<bool, Error> {
        self.patiently("look at", path, pauses, || match self.length(path) {
            Err(Failure::Refused(404, _)) => Ok(false),
            result => result.map(|_| true),
        })
    }

    /// Whether there is a config; and if not, whether there is anything else.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        let dir = || PathBuf::from(format!("rest:{}", self.url));
        match self.is_there("config", &PAUSES_MS[..PAUSES_OF_A_LOOK])? {
            true => Ok(()),
            false if self.list(FileKind::Key).is_ok_and(|keys| !keys.is_empty()) => {
                Err(Error::ConfigLost { dir: dir() })
            }
            false => Err(Error::NoRepository { dir: dir() }),
        }
    }

    pub(crate) fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, Error> {
        let path = format!("{}/", kind.folder());
        let listed: Vec<Listed> = self.patiently("list", &path, &PAUSES_MS, || {
            let accept = (ACCEPT, HeaderValue::from_static(VERSION_2));
            let bytes = match self.send("GET", &path, &[accept], None) {
                // Restic's own server has no folder before its first file.
                Err(Failure::Refused(404, _)) => return Ok(Vec::new()),
                answer => read_body(answer?, MAX_FILE)?,
            };
            serde_json::from_slice(&bytes).map_err(|e| Failure::Passing(e.into()))
        })?;
        let mut found = Vec::with_capacity(listed.len());
        for entry in listed {
            let (name, size) = match entry {
                Listed::Sized { name, size } => (name, Some(size)),
                Listed::Name(name) => (name, None),
            };
            let Some(id) = Id::from_hex(&name) else { continue };
            let size = match size {
                Some(size) => size,
                None => self.size_of(&format!("{path}{name}"))?,
            };
            found.push((id, size));
        }
        found.sort_unstable();
        if kind == FileKind::Pack {
            *self.sizes.lock().unwrap_or_else(PoisonError::into_inner) = found.iter().copied().collect();
        }
        Ok(found)
    }

    /// Until when the server keeps snapshots whatever anybody asks; `None` from a server that does not know the question, as
    /// restic's own. It is none of the protocol: a stock client never asks.
    pub(crate) fn protection(&self) -> Result<Option<Protection>, Error> {
        let pauses = &PAUSES_MS[..PAUSES_OF_A_LOOK];
        self.patiently("ask for the write protection of", "protection", pauses, || {
            let bytes = match self.send("GET", "protection", &[], None) {
                Err(Failure::Refused(400 | 403 | 404 | 405, _)) => return Ok(None),
                answer => read_body(answer?, MAX_FILE)?,
            };
            // Whatever else answers there is not our host.
            Ok(serde_json::from_slice(&bytes).ok())
        })
    }

    /// The length of a pack.
    pub(crate) fn pack_size(&self, id: &Id) -> Result<u64, Error> {
        let known = self.sizes.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
        known.map_or_else(|| self.size_of(&format!("data/{id}")), Ok)
    }

    fn size_of(&self, path: &str) -> Result<u64, Error> {
        self.patiently("look at", path, &PAUSES_MS, || self.length(path))
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.patiently("read", path, &PAUSES_MS, || read_body(self.send("GET", path, &[], None)?, MAX_FILE))
    }

    /// Reads part of a pack, all of it or nothing.
    pub(crate) fn read_part(&self, id: &Id, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let path = format!("data/{id}");
        let range = format!("bytes={offset}-{}", offset + length as u64 - 1);
        self.patiently("read", &path, &PAUSES_MS, || {
            let range = HeaderValue::try_from(&range).map_err(|e| Failure::Passing(io::Error::other(e)))?;
            let answer = self.send("GET", &path, &[(RANGE, range)], None)?;
            if answer.status() != 206 {
                return Err(Failure::Refused(
                    answer.status().as_u16(),
                    "it sends no parts of files".to_owned(),
                ));
            }
            let bytes = read_body(answer, length as u64)?;
            if bytes.len() != length {
                return Err(Failure::Passing(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(bytes)
        })
    }

    pub(crate) fn save(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.patiently("write", path, &PAUSES_MS, || match self.send("POST", path, &[], Some(bytes)) {
            Err(Failure::Refused(403, words)) => match self.length(path) {
                // An attempt whose answer was lost had stored it.
                Ok(size) if size == bytes.len() as u64 => Ok(()),
                _ => Err(Failure::Refused(403, words)),
            },
            result => result.map(|_| ()),
        })
    }

    pub(crate) fn save_pack(&self, id: &Id, bytes: &[u8]) -> Result<(), Error> {
        self.save(&format!("data/{id}"), bytes)?;
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, bytes.len() as u64);
        Ok(())
    }

    pub(crate) fn remove_lock(&self, id: &Id) -> Result<(), Error> {
        let path = format!("locks/{id}");
        self.patiently("remove", &path, &PAUSES_MS, || match self.send("DELETE", &path, &[], None) {
            Err(Failure::Refused(404, _)) => Ok(()),
            result => result.map(|_| ()),
        })
    }

    fn length(&self, path: &str) -> Result<u64, Failure> {
        let answer = self.send("HEAD", path, &[], None)?;
        let length =
            answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length
            .ok_or_else(|| Failure::Passing(io::Error::other("the server does not say how long the file is")))
    }

    /// One attempt. Whatever is not a success is a failure.
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(ureq::http::HeaderName, HeaderValue)],
        body: Option<&[u8]>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(all) = request.headers_mut() {
            all.insert(AUTHORIZATION, self.authorization.clone());
            all.extend(headers.iter().cloned().collect::<HeaderMap>());
        }
        let refused = |e: ureq::http::Error| Failure::Passing(io::Error::other(e));
        let answer = match body {
            Some(body) => self.agent.run(request.body(body).map_err(refused)?),
            None => self.agent.run(request.body(()).map_err(refused)?),
        };
        let answer = answer.map_err(|e| Failure::Passing(io::Error::other(e)))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let mut words = Vec::new();
        // That its words break off changes nothing.
        let _ = answer.into_body().as_reader().take(WORDS_MAX).read_to_end(&mut words);
        let words = String::from_utf8_lossy(&words);
        let words = format!("{status}: {}", words.lines().next().unwrap_or_default().trim());
        Err(match status.as_u16() {
            // A full disk is no hiccup, and neither is a share that is used up.
            507 => Failure::Refused(507, words),
            408 | 429 | 500..=599 => Failure::Passing(io::Error::other(words)),
            status => Failure::Refused(status, words),
        })
    }

    fn patiently<T>(
        &self,
        op: &'static str,
        path: &str,
        pauses: &[u64],
        attempt: impl Fn() -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let mut pauses = pauses.iter();
        loop {
            let cause = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Refused(status, words)) => return Err(self.refused(op, path, status, words)),
                Err(Failure::Passing(cause)) => cause,
            };
            match pauses.next() {
                Some(pause) => sleep(Duration::from_millis(*pause)),
                None => return Err(Error::Remote { op, url: format!("{}{path}", self.url), source: cause }),
            }
        }
    }

    fn refused(&self, op: &'static str, path: &str, status: u16, words: String) -> Error {
        let kind = match status {
            401 => return Error::RemoteKey { url: self.url.clone() },
            404 => io::ErrorKind::NotFound,
            413 | 507 => {
                let source = io::Error::new(io::ErrorKind::QuotaExceeded, words);
                return Error::VaultFull { dir: PathBuf::from(format!("rest:{}", self.url)), source };
            }
            403 => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        Error::Remote { op, url: format!("{}{path}", self.url), source: io::Error::new(kind, words) }
    }
}

fn read_body(answer: Response<Body>, max: u64) -> Result<Vec<u8>, Failure> {
    let announced = answer.body().content_length().unwrap_or(0).min(max);
    let mut bytes = Vec::with_capacity(announced as usize);
    answer.into_body().as_reader().take(max + 1).read_to_end(&mut bytes).map_err(Failure::Passing)?;
    if bytes.len() as u64 > max {
        return Err(Failure::Refused(
            200,
            format!("it sends more than the {max} bytes that are accepted here"),
        ));
    }
    Ok(bytes)
}

fn authorities(pem: &[u8]) -> Option<Vec<Certificate<'static>>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let found: Vec<_> = parse_pem(pem).filter_map(certificate).collect();
    (!found.is_empty()).then_some(found)
}

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use ureq::http::{HeaderName, HeaderValue, Request, Response};
use ureq::{Agent, Body};

use super::{ANSWER_MAX, Method, Notice, answer, failed};
use crate::Error;
use crate::evidence::hex;

pub(super) fn webhook(
    url: &str,
    key: Option<&str>,
    headers: &BTreeMap<String, String>,
    notice: &Notice,
    timeout: Duration,
) -> Result<String, Error> {
    let bad = |reason: String| Error::BadChannel { field: "headers", reason };
    let body = body(notice).map_err(Error::Encode)?;
    let mut request = Request::post(url).header("Content-Type", "application/json; charset=utf-8");
    for (name, value) in headers {
        // These two types hold no line break, so that no value begins a header of its own.
        let name = HeaderName::try_from(name).map_err(|error| bad(format!("{name:?}: {error}")))?;
        let value = HeaderValue::try_from(value).map_err(|error| bad(format!("{name}: {error}")))?;
        request = request.header(name, value);
    }
    if let Some(key) = key {
        request = request.header("X-Chartward-Signature", format!("sha256={}", signature(key, &body)));
    }
    let request = request.body(body).map_err(|error| bad_url(url, &error))?;
    let name = receiver(url);
    answered(agent(timeout).run(request), &name)
}

/// HMAC-SHA256 (RFC 2104) in lower-case hexadecimal digits.
pub(super) fn signature(key: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length, so there is no failure to tell.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(body);
    hex(&mac.finalize().into_bytes())
}

fn body(notice: &Notice) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(notice)?;
    if let Some(object) = value.as_object_mut() {
        let id = notice.incident.map(|id| format!("{id} ")).unwrap_or_default();
        object.insert(
            "text".to_owned(),
            json!(format!("{id}{}\n{}", notice.shown_title(), notice.shown_body())),
        );
    }
    serde_json::to_vec(&value)
}

pub(super) fn lamp(
    template: &str,
    method: Method,
    lights: &[String; 5],
    notice: &Notice,
    timeout: Duration,
) -> Result<String, Error> {
    let url = fill(template, lights, notice)?;
    let method = match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
    };
    let request =
        Request::builder().method(method).uri(&url).body(()).map_err(|error| bad_url(&url, &error))?;
    let name = receiver(&url);
    answered(agent(timeout).run(request), &name)
}

/// Nothing that a watcher wrote gets into the address, only numbers and what the configuration says.
fn fill(template: &str, lights: &[String; 5], notice: &Notice) -> Result<String, Error> {
    let severity = u8::from(notice.severity_id);
    let lights = lights.get(usize::from(severity) - 1).map(String::as_str).unwrap_or_default();
    let incident = notice.incident.map_or(0, |id| id.0).to_string();
    let url = [
        ("{severity}", severity.to_string().as_str()),
        ("{lights}", lights),
        ("{incident}", &incident),
        ("{lang}", notice.lang.tag()),
    ]
    .iter()
    .fold(template.to_owned(), |url, (name, value)| url.replace(name, value));
    if url.contains(['{', '}']) {
        let reason = "it knows {severity}, {lights}, {incident} and {lang} only".to_owned();
        return Err(Error::BadChannel { field: "url", reason });
    }
    Ok(url)
}

/// No redirects: a signed notice goes where the configuration says and nowhere else.
fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .http_status_as_error(false)
        .max_response_header_size(16 * 1024)
        .user_agent("chartward")
        .build()
        .new_agent()
}

fn answered(result: Result<Response<Body>, ureq::Error>, to: &str) -> Result<String, Error> {
    let mut response = result.map_err(|source| failed(to, source))?;
    let status = response.status();
    let mut start = Vec::new();
    // What it says after the status is a courtesy; that it breaks off changes nothing.
    let _ = response.body_mut().as_reader().take(ANSWER_MAX as u64).read_to_end(&mut start);
    let words = answer(format!("HTTP {} {}", status.as_u16(), String::from_utf8_lossy(&start)).as_bytes());
    if status.is_success() { Ok(words) } else { Err(Error::NotTaken { to: to.to_owned(), answer: words }) }
}

/// Scheme, host and port: the rest of a webhook's address is often a secret in itself.
fn receiver(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "a web server".to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn bad_url(url: &str, error: &dyn std::fmt::Display) -> Error {
    Error::BadChannel { field: "url", reason: format!("{}: {error}", receiver(url)) }
}

//! The vault host's server: restic's REST protocol over TLS, in front of [`recover::host`].

mod answer;
mod target;
mod transfer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use recover::host::{Host, Noted};
use schema::Lang;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::serving::{self, Head, tls};
use answer::Served;

/// Threads that read and write files; one for each upload.
const BLOCKING_MAX: usize = 96;
const DRAIN: Duration = Duration::from_secs(10);
/// How often it is looked for what may be removed for good.
const REMOVE_EVERY: Duration = Duration::from_secs(600);

/// How to serve.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// Names and addresses of the certificate.
    pub(crate) names: Vec<String>,
    /// Without it, only this machine can be talked to.
    pub(crate) tls: bool,
    pub(crate) lang: Lang,
    pub(crate) patience: Patience,
}

/// How long a client may take. Whoever sends a byte a second must not keep a seat for hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The head of a request must be there by then, and a connection that asks nothing is closed.
    head: Duration,
    /// Whoever sends or takes nothing for so long is cut off.
    pub(super) pause: Duration,
    /// A body is given this long, and a second more for every [`transfer::BYTES_A_SECOND_MIN`].
    pub(super) body: Duration,
}

impl Patience {
    /// From the longest silence that is borne.
    pub(crate) fn of(pause: Duration) -> Patience {
        Patience { head: pause.mul_f64(2.0 / 3.0), pause, body: pause * 2 }
    }
}

/// What is told once it serves.
pub(crate) struct Ready {
    pub(crate) addr: SocketAddr,
    pub(crate) fingerprint: Option<String>,
}

/// Serves until it is told to end by a signal.
pub(crate) fn serve(
    host: Host,
    settings: Settings,
    ready: impl FnOnce(&Ready) -> anyhow::Result<()>,
    show: fn(&Noted),
) -> anyhow::Result<()> {
    ensure!(
        settings.tls || settings.listen.ip().is_loopback(),
        "without TLS, keys would cross the network in the clear: listen on 127.0.0.1, or leave --no-tls out"
    );
    let (listener, addr) =
        serving::bind(settings.listen).with_context(|| format!("serve at {}", settings.listen))?;
    let identity = match settings.tls {
        true => Some(tls::pinned_identity(host.root(), &settings.names, Timestamp::now())?),
        false => None,
    };
    let fingerprint = identity.as_ref().map(|identity| identity.fingerprint.clone());
    let runtime = serving::runtime("vault-host", BLOCKING_MAX).context("start the threads")?;
    let patience = settings.patience;
    let served = Arc::new(Served { host, lang: settings.lang, patience, show });
    let handle = Handle::new();
    runtime.block_on(async {
        let ending = end_on_signal(handle.clone())?;
        ready(&Ready { addr, fingerprint })?;
        let removing = tokio::spawn(remove_for_good(Arc::clone(&served)));
        let routes = Router::new().fallback(answer::answer).with_state(served);
        let tls = identity.map(|identity| RustlsConfig::from_config(identity.config));
        let ended =
            serving::serve(listener, tls, handle, Head::OF_A_PROGRAM.within(patience.head), routes).await;
        removing.abort();
        ending.abort();
        ended.context("serve")
    })
}

/// Ends when told to, letting uploads that are under way finish for a while.
fn end_on_signal(handle: Handle<SocketAddr>) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("wait for signals")?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.graceful_shutdown(Some(DRAIN));
    }))
}

/// Carries out the removals whose time has come.
async fn remove_for_good(served: Arc<Served>) {
    loop {
        let served = Arc::clone(&served);
        let removed = spawn_blocking(move || remove_due(&served.host, served.show)).await;
        if let Ok(Err(cause)) = removed {
            eprintln!("chartward: removing what was due: {cause:#}");
        }
        tokio::time::sleep(REMOVE_EVERY).await;
    }
}

/// Removes for good what may go by now, in every repository; returns files and bytes.
pub(crate) fn remove_due(host: &Host, show: fn(&Noted)) -> anyhow::Result<(u64, u64)> {
    let mut sum = (0, 0);
    let mut failure = None;
    for client in host.registry().clients()?.into_iter().filter(|client| !client.is_admin()) {
        match host.repository(&client.name).and_then(|repository| repository.remove_due("host")) {
            Ok((0, _)) => {}
            Ok((files, bytes)) => {
                let detail = format!("{files} files with {bytes} bytes were removed for good");
                show(&host.note("removed", client.name.as_str(), "host", &detail)?);
                sum = (sum.0 + files, sum.1 + bytes);
            }
            // One repository's trouble keeps nobody else's room.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(sum), |error| Err(error.into()))
}

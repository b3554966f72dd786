//! The server on threads of its own: bounded connections, TLS, timeouts, and an end that lets answers finish.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use prove::Ledger;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::seats::Seats;
use super::{Console, Settings, dispatch, live, tls};
use crate::access::Access;
use crate::hub::Hub;

const WORKERS: usize = 2;
/// Threads for blocking work; what waits for one is bounded by the connections.
const BLOCKING_MAX: usize = 16;
/// The head of a request must be there by then, and a connection that asks nothing is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 64;
/// Bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;
const DRAIN: Duration = Duration::from_secs(5);
const LOOK_AT_CERTIFICATE_EVERY: Duration = Duration::from_secs(12 * 3600);

/// The running console. Dropping it stops it, too.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it listens; the port is the real one also when 0 was asked for.
    pub(crate) addr: SocketAddr,
    /// SHA-256 of its certificate, to be compared in the browser at the first visit; `None` without TLS.
    pub(crate) fingerprint: Option<String>,
    handle: Handle<SocketAddr>,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Begins to serve. Everything that can fail at the start has failed or worked when this returns.
pub(crate) fn serve(
    settings: Settings,
    hub: Hub,
    access: Access,
    ledger: Arc<Ledger>,
) -> anyhow::Result<Serving> {
    let listen = settings.listen;
    let listener = TcpListener::bind(listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| format!("serve the console at {listen}"))?;
    let addr = listener.local_addr().context("learn the console's own address")?;
    let identity = match settings.tls {
        true => Some(tls::identity(&settings.state_dir, &settings.names, Timestamp::now())?),
        false => None,
    };
    let fingerprint = identity.as_ref().map(|identity| identity.fingerprint.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("console")
        .enable_io()
        .enable_time()
        .build()
        .context("start the console's threads")?;
    let (closing, closed) = watch::channel(false);
    let handle = Handle::new();
    let console = Arc::new(Console { settings, hub, access, ledger, closed, live: live::seats() });
    let run = Run {
        listener,
        console,
        tls: identity.map(|identity| RustlsConfig::from_config(identity.config)),
        handle: handle.clone(),
    };
    let thread = std::thread::Builder::new()
        .name("console".to_owned())
        .spawn(move || run.serve(&runtime))
        .context("start the console's thread")?;
    Ok(Serving { addr, fingerprint, handle, closing, thread: Some(thread) })
}

impl Serving {
    /// Takes no more connections and ends when those that are answered now have their answer, at most 5 seconds on.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Live streams never end by themselves.
        let _ = self.closing.send(true);
        self.handle.graceful_shutdown(Some(DRAIN));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

struct Run {
    listener: TcpListener,
    console: Arc<Console>,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
}

impl Run {
    fn serve(self, runtime: &Runtime) {
        let ended = runtime.block_on(async {
            let service = dispatch::router(Arc::clone(&self.console))
                .into_make_service_with_connect_info::<SocketAddr>();
            let mut server = axum_server::from_tcp(self.listener)?.handle(self.handle).http1_only();
            server
                .http_builder()
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_headers(HEADERS_MAX)
                .max_buf_size(HEAD_MAX);
            match self.tls {
                None => server.acceptor(Seats::default()).serve(service).await,
                Some(config) => {
                    let renewal = tokio::spawn(renew(self.console, config.clone()));
                    let acceptor = RustlsAcceptor::new(config)
                        .handshake_timeout(HANDSHAKE_TIMEOUT)
                        .acceptor(Seats::default());
                    let ended = server.acceptor(acceptor).serve(service).await;
                    renewal.abort();
                    ended
                }
            }
        });
        if let Err(cause) = ended {
            eprintln!("chartward: the console ended: {cause}");
        }
    }
}

/// Makes the certificate anew before it ends, without a restart.
async fn renew(console: Arc<Console>, config: RustlsConfig) {
    loop {
        tokio::time::sleep(LOOK_AT_CERTIFICATE_EVERY).await;
        match tls::identity(&console.settings.state_dir, &console.settings.names, Timestamp::now()) {
            Ok(identity) => config.reload_from_config(identity.config),
            Err(cause) => eprintln!("chartward: the console's certificate: {cause:#}"),
        }
    }
}

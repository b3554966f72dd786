//! The server on threads of its own: bounded connections, TLS, timeouts, and an end that lets answers finish.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use prove::Ledger;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{Console, Settings, dispatch, live};
use crate::access::Access;
use crate::hub::Hub;
use crate::serving::{self, Head, tls};

const BLOCKING_MAX: usize = 16;
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
    let (listener, addr) = serving::bind(listen).with_context(|| format!("serve the console at {listen}"))?;
    let identity = match settings.tls {
        true => Some(tls::identity(&settings.state_dir, &settings.names, Timestamp::now())?),
        false => None,
    };
    let fingerprint = identity.as_ref().map(|identity| identity.fingerprint.clone());
    let runtime = serving::runtime("console", BLOCKING_MAX).context("start the console's threads")?;
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
            let routes = dispatch::router(Arc::clone(&self.console));
            let renewal = self.tls.clone().map(|config| tokio::spawn(renew(self.console, config)));
            let ended =
                serving::serve(self.listener, self.tls, self.handle, Head::OF_A_BROWSER, routes).await;
            if let Some(renewal) = renewal {
                renewal.abort();
            }
            ended
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

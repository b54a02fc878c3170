//! Listening, and ending well.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::Router;
use plimsoll_domain::Store;
use tokio::net::TcpListener;

/// Why the server could not listen, in a sentence.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "the address {address} is in use; choose another with --listen or PLIMSOLL_LISTEN"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("no permission to listen on {address}; ports below 1024 need it")
            }
            _ => format!("cannot listen on {address}: {error}"),
        })
}

/// Serves until a signal comes, then takes no new requests, waits for those under way and for
/// the writes that clients left behind, `grace` at the most or until another signal comes, and
/// closes the database.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    store: Store,
    mut signals: Signals,
    grace: Duration,
) -> io::Result<()> {
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // A sender that is gone says the same.
            let _ = stopping.await;
        })
        .into_future();
    let mut serving = tokio::spawn(serving);
    tokio::select! {
        ended = &mut serving => return ended.unwrap_or_else(|e| Err(io::Error::other(e))),
        () = signals.next() => {}
    }
    tracing::info!("stopping: no new requests are taken");
    let _ = stop.send(());
    let finished = async {
        let served = (&mut serving).await;
        store.database().writes_done().await;
        served.unwrap_or_else(|e| Err(io::Error::other(e)))
    };
    let finished = tokio::select! {
        ended = within(grace, finished) => ended,
        // Whoever asks twice does not want to wait.
        () = signals.next() => None,
    };
    match finished {
        Some(ended) => {
            ended?;
            within(Duration::from_secs(5), store.database().close()).await;
        }
        // Closing would wait for them as well; the database takes back what they began.
        None => tracing::warn!("requests were still under way when the time to stop was over"),
    }
    tracing::info!("stopped");
    Ok(())
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// What tells the server to stop: SIGTERM, as service managers send it, or Ctrl-C.
#[cfg(unix)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From here on they do not end the program.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What tells the server to stop: Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

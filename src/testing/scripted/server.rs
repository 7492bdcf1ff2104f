use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{ScriptedReply, ScriptedRequest, connection::Connection};
use crate::testing::{
    gate::{Gate, Hold},
    server::Server,
};

/// A server on loopback that answers as it is told, badly too: it hangs, breaks off, trickles, never ends.
///
/// It speaks HTTP/1.1 and notes each request. Dropping it closes the port and every connection.
///
/// # Examples
///
/// ```
/// use tower_token::testing::{ScriptedReply, ScriptedServer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// // First an error page, then half a token, and then the same good reply again and again.
/// let server = ScriptedServer::start([
///     ScriptedReply::new(502, "<html>Bad Gateway</html>"),
///     ScriptedReply::truncated(200, r#"{"access_token":"abc","expires_in":60}"#, 20),
///     ScriptedReply::json(200, r#"{"access_token":"abc","expires_in":60}"#),
/// ])
/// .await?;
/// let token_url = format!("{}/oauth/token", server.base_url());
/// # assert!(token_url.starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ScriptedServer {
    stage: Arc<Stage>,
    server: Server,
}

/// What the connections share.
struct Stage {
    play: Mutex<Play>,
    gate: Gate,
    ended: watch::Sender<u64>,
}

struct Play {
    script: Box<dyn FnMut(&ScriptedRequest) -> ScriptedReply + Send>,
    requests: Vec<ScriptedRequest>,
}

impl ScriptedServer {
    /// Starts one on a free port of 127.0.0.1. The first request gets the first reply, whatever connection it comes on, and
    /// so on; the last reply repeats. Without any, connections are closed. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(replies: impl IntoIterator<Item = ScriptedReply>) -> io::Result<ScriptedServer> {
        let mut next: Vec<_> = replies.into_iter().collect();
        next.reverse();
        ScriptedServer::start_with(move |_| {
            let last = if next.len() > 1 { next.pop() } else { next.last().cloned() };
            last.unwrap_or_else(ScriptedReply::close)
        })
        .await
    }

    /// Starts one that decides by the request. Requests are shown to `script` one at a time.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start_with(
        script: impl FnMut(&ScriptedRequest) -> ScriptedReply + Send + 'static,
    ) -> io::Result<ScriptedServer> {
        let play = Mutex::new(Play { script: Box::new(script), requests: Vec::new() });
        let stage = Arc::new(Stage { play, gate: Gate::new(), ended: watch::Sender::new(0) });
        let (shared, number) = (Arc::clone(&stage), AtomicU64::new(0));
        let server = Server::start(move |stream, _| {
            let stage = Arc::clone(&shared);
            let mut connection = Connection::new(stream, number.fetch_add(1, Ordering::Relaxed) + 1);
            async move {
                // An error is the client's end of the connection.
                let _ended = stage.serve(&mut connection).await.is_err();
                drop(connection);
                stage.ended.send_modify(|ended| *ended += 1);
            }
        })
        .await?;
        Ok(ScriptedServer { stage, server })
    }

    /// Stops it, and returns when the port is closed. Dropping it does the same without waiting.
    ///
    /// # Cancel safety
    ///
    /// When this future is dropped, it is as if the server had been dropped.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// Keeps requests waiting while the [`Hold`] lives. They are noted when they come, and answered when they are let go.
    pub fn hold(&self) -> Hold {
        self.stage.gate.hold()
    }

    /// The requests that were read to their end so far, in that order.
    pub fn requests(&self) -> Vec<ScriptedRequest> {
        self.stage.play().requests.clone()
    }

    /// Waits until so many requests have been read since the start, held ones included.
    pub async fn requests_reached(&self, count: u64) {
        self.stage.gate.reached(count).await;
    }

    /// Connections that were made since the start.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Waits until so many connections have ended, from whichever side: a client that gives up on [`ScriptedReply::hang`] is seen
    /// here. Refused ones do not count.
    pub async fn ends_reached(&self, count: u64) {
        let _reached = self.stage.ended.subscribe().wait_for(|ended| *ended >= count).await.is_ok();
    }
}

impl Stage {
    async fn serve(&self, connection: &mut Connection) -> io::Result<()> {
        loop {
            let request = connection.request().await?;
            self.play().requests.push(request.clone());
            self.gate.enter().await;
            let reply = {
                let mut play = self.play();
                (play.script)(&request)
            };
            if connection.play(&reply).await?.is_break() {
                return Ok(());
            }
        }
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("address", &self.server.address()).finish_non_exhaustive()
    }
}

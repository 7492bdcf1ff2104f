use std::{
    future::Future,
    io, mem,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::error::BoxError;

/// A listener on a loopback port, and every task that came of it: they end when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    tasks: Tasks,
    connections: Arc<AtomicU64>,
}

/// The tasks of a server. It runs hyper's too, so that none outlives it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
    refusing: bool,
    /// Set for good, under the same lock as `tasks`: an accept that is under way on another thread starts nothing any more.
    closed: bool,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and gives each connection to `serve`.
    pub(super) async fn start<F, Fut>(serve: F) -> io::Result<Server>
    where
        F: Fn(TcpStream, Tasks) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let tasks = Tasks::default();
        let connections = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, serve, tasks.clone(), Arc::clone(&connections)));
        Ok(Server { address, accepting, tasks, connections })
    }

    /// Listens likewise, and speaks HTTP/1.1, and HTTP/2 with prior knowledge. An error of `answer` cuts the connection, or
    /// the stream over HTTP/2.
    pub(super) async fn start_http<F, Fut, B, E>(answer: F) -> io::Result<Server>
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<B>, E>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Server::start(move |stream, tasks| {
            let answer = service_fn(answer.clone());
            async move {
                // What breaks a connection, the client sees as well; there is nobody else to tell.
                let _broken = auto::Builder::new(tasks).serve_connection(TokioIo::new(stream), answer).await.is_err();
            }
        })
        .await
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were accepted, refused ones included.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes what is open, and each new connection as soon as it is made.
    pub(super) fn refuse(&self, refusing: bool) {
        let mut running = self.tasks.lock();
        running.refusing = refusing;
        if refusing {
            running.tasks.abort_all();
        }
    }

    /// Ends everything, and returns when the port is closed.
    pub(super) async fn stop(mut self) {
        let mut tasks = self.tasks.close();
        self.accepting.abort();
        // The error says "cancelled", which was the wish.
        let _cancelled = (&mut self.accepting).await.is_err();
        tasks.shutdown().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        drop(self.tasks.close());
    }
}

impl Tasks {
    /// Serves a connection, unless they are refused.
    fn connection(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.lock();
        if !running.refusing {
            running.spawn(serving);
        }
    }

    /// Takes the tasks out, so that they are aborted where they are dropped, and starts no more.
    fn close(&self) -> JoinSet<()> {
        let mut running = self.lock();
        running.closed = true;
        mem::take(&mut running.tasks)
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        // Whatever has ended is forgotten here: a test that opens a million connections keeps the open ones only.
        while self.tasks.try_join_next().is_some() {}
        if !self.closed {
            self.tasks.spawn(task);
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.lock().spawn(task);
    }
}

async fn accept<F, Fut>(listener: TcpListener, serve: F, tasks: Tasks, connections: Arc<AtomicU64>)
where
    F: Fn(TcpStream, Tasks) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // A connection that its peer gave up, or a process out of files: others must get their turn to close some.
            tokio::task::yield_now().await;
            continue;
        };
        connections.fetch_add(1, Ordering::Relaxed);
        // Without it a test is slow, not wrong.
        let _fast = stream.set_nodelay(true);
        tasks.connection(serve(stream, tasks.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::{future, net};

    use super::*;

    /// When `stop` returns, the port is closed.
    #[tokio::test]
    async fn stopping_closes_the_port() {
        let server = Server::start(|_, _| future::ready(())).await.unwrap();
        let address = server.address();
        server.stop().await;
        // Blocking, on purpose: nothing else gets to run, so the port is closed by now or not in time.
        assert!(net::TcpStream::connect(address).is_err());
    }

    /// When `stop` returns, no task is left; one that comes too late is dropped.
    #[tokio::test]
    async fn stopping_leaves_no_task() {
        let alive = Arc::new(());
        let server = Server::start(|_, _| future::ready(())).await.unwrap();
        let tasks = server.tasks.clone();
        let task = || {
            let alive = Arc::clone(&alive);
            async move {
                future::pending::<()>().await;
                drop(alive);
            }
        };
        tasks.execute(task());
        assert_eq!(Arc::strong_count(&alive), 2);
        server.stop().await;
        assert_eq!(Arc::strong_count(&alive), 1);
        tasks.execute(task());
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

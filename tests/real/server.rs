//! `server.mjs`, in a process of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write, stderr},
    ops::Deref,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{Arc, LazyLock, Mutex, Once, mpsc},
    thread,
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

/// The oldest Node that `oidc-provider` 9 calls supported.
const NODE: u32 = 22;

/// How long all tests may take: what they wait for comes within moments, or not at all.
const LIMIT: Duration = Duration::from_secs(300);

/// What the process says once it listens.
#[derive(Clone, Deserialize)]
pub(crate) struct Listening {
    /// The authorization server's issuer identifier, and its origin.
    pub(crate) issuer: String,
    /// The resource server's origin.
    pub(crate) resource: String,
    node: String,
    oidc_provider: String,
}

/// A running server. The process is killed with the last clone, and ends by itself when this program does.
#[derive(Clone)]
pub(crate) struct RealServer(Arc<Process>);

struct Process {
    child: Mutex<Child>,
    listening: Listening,
    /// What the process has written to its standard error.
    complaints: Arc<Mutex<String>>,
}

/// The server that the tests share. `None`, said aloud, where it cannot be run.
pub(crate) fn shared() -> Option<RealServer> {
    static SHARED: LazyLock<Result<RealServer, String>> = LazyLock::new(|| {
        let node = node()?;
        let server = RealServer::start(&node, &json!({}));
        // Past the test runner's capture, as what is skipped.
        let line = format!("tests/real: oidc-provider {} on Node {}\n", server.oidc_provider, server.node);
        stderr().write_all(line.as_bytes()).unwrap();
        Ok(server)
    });
    offered(SHARED.clone())
}

/// A server of the test's own, to be killed: its records are in `store`, and its issuer's port is `port` if that is not 0.
pub(crate) fn own(store: &Path, port: u16) -> Option<RealServer> {
    offered(node().map(|node| RealServer::start(&node, &json!({ "store": store, "port": port }))))
}

fn offered(server: Result<RealServer, String>) -> Option<RealServer> {
    let missing = match server {
        Ok(server) => {
            WATCH.call_once(watch);
            return Some(server);
        }
        Err(missing) => missing,
    };
    assert!(env::var_os("TOWER_TOKEN_REQUIRE_REAL").is_none(), "the real server cannot be run: {missing}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED {test}: {missing}; see tests/real/README.md\n");
    stderr().write_all(line.as_bytes()).unwrap();
    None
}

static WATCH: Once = Once::new();

/// Ends a program whose tests wait for what does not come, so that a broken rule fails instead of hanging.
fn watch() {
    thread::spawn(|| {
        let (_never, ended) = mpsc::channel::<()>();
        let _timeout = ended.recv_timeout(LIMIT);
        stderr().write_all(b"tests/real: a test has waited in vain, see which is still running\n").unwrap();
        process::exit(1);
    });
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real")
}

/// The Node to run it with, or what is missing.
fn node() -> Result<PathBuf, String> {
    if !folder().join("node_modules/oidc-provider").exists() {
        return Err("its packages are not installed".to_owned());
    }
    // By way of npm; not by its links, which npm 9 does not make for a package of one platform.
    let packages = fs::read_dir(folder().join("node/node_modules")).into_iter().flatten().flatten();
    let installed = packages.map(|package| package.path().join("bin/node")).find(|node| node.exists());
    let node = installed.unwrap_or_else(|| PathBuf::from("node"));
    let version = Command::new(&node).arg("--version").output().map_err(|_| "there is no Node".to_owned())?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE => Ok(node),
        _ => Err(format!("Node {NODE} is the oldest that will do, and this is {version}")),
    }
}

impl RealServer {
    fn start(node: &Path, options: &serde_json::Value) -> RealServer {
        let mut command = Command::new(node);
        command.arg(folder().join("server.mjs")).arg(options.to_string());
        // It ends when its standard input is closed, as it is when this program ends in whatever way. A stopped process could not
        // see that: as a group of its own, it is hung up by the kernel instead.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();

        let complaints = Arc::<Mutex<String>>::default();
        let (mut errors, written) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&complaints));
        thread::spawn(move || {
            let mut line = String::new();
            while errors.read_line(&mut line).is_ok_and(|length| length > 0) {
                written.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        let (ready, first_line) = mpsc::channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            let _nobody_waits = output.read_line(&mut line).map(|_| ready.send(line));
            let _end = output.read_to_end(&mut Vec::new());
        });
        let line = first_line.recv_timeout(Duration::from_secs(60)).unwrap_or_default();
        let Ok(listening) = serde_json::from_str(&line) else {
            let _gone = child.kill();
            child.wait().unwrap();
            panic!("the real server did not start: {}", complaints.lock().unwrap());
        };
        RealServer(Arc::new(Process { child: Mutex::new(child), listening, complaints }))
    }

    /// Ends the process at once, in the middle of whatever it does (SIGKILL).
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    /// Stops the process: its sockets take what comes, and nobody answers (SIGSTOP).
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped process go on (SIGCONT).
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    /// Closes its standard input; whether it then ended by itself.
    pub(crate) fn ended_with_its_input(&self) -> bool {
        let mut child = self.0.child.lock().unwrap();
        drop(child.stdin.take());
        child.wait().unwrap().success()
    }

    fn signal(&self, name: &str) {
        let id = self.0.child.lock().unwrap().id();
        assert!(Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status().unwrap().success());
    }

    /// The issuer's port.
    pub(crate) fn port(&self) -> u16 {
        self.issuer.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Deref for RealServer {
    type Target = Listening;

    fn deref(&self) -> &Listening {
        &self.0.listening
    }
}

impl Drop for RealServer {
    /// A test that fails shows what the server had to say.
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the real server's standard error:\n{}", self.0.complaints.lock().unwrap());
        }
    }
}

impl Process {
    fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _gone = child.kill();
        child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

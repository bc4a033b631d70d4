//! A gateway over the test function, and eyes on its processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

use gateway::{Gateway, Logs, Options, STALL};

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary of the test function.
pub(crate) const FUNCTION: &str = "echo_function";

/// A gateway with a folder for its template and its log.
pub(crate) struct Harness {
    pub(crate) gateway: Gateway,
    pub(crate) client: reqwest::Client,
    pub(crate) folder: TempDir,
}

impl Harness {
    /// A gateway whose function has a time limit in seconds; `adapt` changes the other options.
    pub(crate) async fn start(timeout: u64, adapt: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let template = folder.path().join("template.yaml");
        let text =
            include_str!("template.yaml").replace("Timeout: 20", &format!("Timeout: {timeout}"));
        std::fs::write(&template, text).expect("the temporary folder is writable");
        let mut options = Options {
            template,
            binaries: examples(),
            environment: Vec::new(),
            address: ([127, 0, 0, 1], 0).into(),
            allow_origins: Vec::new(),
            stall: STALL,
            max_sandboxes: 4,
            idle: Duration::from_mins(1),
            logs: Logs::File(folder.path().join("log")),
            resources: None,
        };
        adapt(&mut options);
        let gateway = Gateway::start(options).await.expect("the gateway starts");
        Self {
            gateway,
            client: client(),
            folder,
        }
    }

    /// The status of a GET, and its body if that is JSON.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .client
            .get(self.url(path))
            .send()
            .await
            .expect("the gateway answers");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    /// The process that answers a request, which must succeed.
    pub(crate) async fn process(&self, path: &str) -> u32 {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        let process = body["process"]
            .as_u64()
            .expect("the function tells its process");
        u32::try_from(process).expect("a process id has 32 bits")
    }

    /// A new folder, in which requests may leave a file when they arrive.
    pub(crate) fn arrivals(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).expect("the temporary folder is writable");
        folder
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url())
    }

    pub(crate) fn sandboxes(&self) -> Vec<u32> {
        self.gateway.sandboxes(FUNCTION)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the gateway opened the log")
    }
}

/// The folder of the examples, which `cargo test` builds next to the tests.
pub(crate) fn examples() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its executable");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("tests are built in <profile>/deps");
    let examples = folder.join("examples");
    assert!(
        examples.join(FUNCTION).is_file(),
        "no {FUNCTION} in {}: run `cargo build -p gateway --examples`, or all tests of the package",
        examples.display()
    );
    examples
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "{what}: not within {PATIENCE:?}"
    );
}

/// How many requests have arrived that leave a file in `folder`.
pub(crate) fn arrived(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .expect("the folder is there")
        .count()
}

pub(crate) fn is_alive(process: u32) -> bool {
    test_kill_process(pid(process)).is_ok()
}

pub(crate) fn kill(process: u32) {
    kill_process(pid(process), Signal::KILL).expect("the sandbox is there to be killed");
}

fn pid(process: u32) -> Pid {
    i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id is positive")
}

/// A client without TLS needs a provider of it all the same.
fn client() -> reqwest::Client {
    // It fails where another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

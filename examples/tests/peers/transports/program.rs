//! The program `broker`, on ports of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::certificates;
use crate::support::PATIENCE;
use crate::support::example;
use crate::support::program::{Program, until};

/// A running `broker`, and the folder with its files.
#[derive(Debug)]
pub(super) struct Broker {
    program: Program,
    ready: String,
    folder: TempDir,
}

/// A folder with certificates of a server, and of clients by the names `device` and `other`.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    certificates::write(folder.path(), &["server", "device", "other"]);
    folder
}

impl Broker {
    /// With these arguments, in this folder.
    pub(super) fn start(folder: TempDir, arguments: &[&str]) -> Self {
        let mut command = example("broker");
        let log = fs::File::create(folder.path().join("log")).expect("the folder can be written");
        command.current_dir(folder.path()).args(arguments).stderr(Stdio::from(log));
        let program = Program::start(command);
        let Some(ready) = program.line(PATIENCE) else {
            panic!("{}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
        };
        assert!(ready.starts_with("ready on "), "{ready}");
        Self { program, ready, folder }
    }

    /// Everywhere that it can listen, certificates of clients asked for, and these arguments too.
    pub(super) fn everywhere(more: &[&str]) -> Self {
        let all = [
            &["--listen", "127.0.0.1:0", "--ws-listen", "127.0.0.1:0"][..],
            &["--tls-listen", "127.0.0.1:0", "--wss-listen", "127.0.0.1:0"],
            &["--tls-cert", "server.pem", "--tls-key", "server.key"],
            &["--tls-client-ca", "ca.pem", "--unix", "socket"],
        ]
        .concat();
        Self::start(folder(), &[&all[..], more].concat())
    }

    /// Where it listens with this at its front, such as `wss://`.
    pub(super) fn endpoint(&self, scheme: &str) -> &str {
        let mut words = self.ready.split_whitespace();
        words.find(|word| word.starts_with(scheme)).expect("it was told to listen so")
    }

    /// The port of that.
    pub(super) fn port(&self, scheme: &str) -> &str {
        let place = self.endpoint(scheme).trim_start_matches(scheme);
        place.split(['/', ':']).nth(1).expect("a port")
    }

    /// A URL in the words of other clients: `tcp`, `ssl`, `ws`, `wss` or `unix`.
    pub(super) fn url(&self, scheme: &str) -> String {
        match scheme {
            "tcp" => format!("tcp://{}", self.endpoint("127.0.0.1:")),
            "ssl" => self.endpoint("mqtts://").replace("mqtts", "ssl"),
            "unix" => format!("unix://{}", self.file("socket").display()),
            _ => self.endpoint(&format!("{scheme}://")).to_owned(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has logged so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).expect("it is there")
    }

    /// Waits until its log says this so many times.
    pub(super) fn logs(&self, text: &str, times: usize) {
        assert!(until(|| self.log().matches(text).count() >= times), "{text}: {}", self.log());
    }

    pub(super) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(kill.expect("kill is everywhere").success());
    }

    pub(super) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Waits until it ends; its exit status.
    pub(super) fn status(self) -> Option<i32> {
        self.program.status()
    }
}

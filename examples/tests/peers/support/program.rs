//! A child process that speaks in lines.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use super::PATIENCE;

/// Runs `command` with `input` until it ends, and returns what it printed.
///
/// # Panics
///
/// When it does not end in time; it is killed then.
pub(crate) fn complete(mut command: Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // In a thread, because two full pipes would wait for each other; and one that does not read
    // its input closes it, which is no error.
    thread::spawn(move || pipe.write_all(input.as_bytes()));
    let id = child.id();
    let (sender, ended) = channel();
    let waiting = thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = sender.send(());
        output
    });
    if ended.recv_timeout(PATIENCE).is_err() {
        let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        panic!("{command:?} does not end");
    }
    waiting.join().expect("waiting does not panic").expect("its output can be read")
}

/// A loopback address that nothing listens on at this moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on loopback")
}

/// Asks `condition` again and again until it holds; whether it did in time.
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(10);
    let tries = PATIENCE.as_millis() / PAUSE.as_millis();
    (0..tries).any(|_| {
        let holds = condition();
        if !holds {
            thread::sleep(PAUSE);
        }
        holds
    })
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    /// Starts `command` with its standard input and output connected to this value.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let input = child.stdin.take();
        let (sender, lines) = channel();
        // Ends with the program's output, or when nobody listens any more.
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        Self { child, input, lines }
    }

    /// The next line of its output; `None` once there will be no more.
    ///
    /// # Panics
    ///
    /// When nothing comes within `patience`.
    pub(crate) fn line(&self, patience: Duration) -> Option<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("process {} printed nothing for {patience:?}", self.child.id())
            }
        }
    }

    /// Writes one line to its input.
    pub(crate) fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads its input");
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends; its exit status, or `None` when a signal ended it.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub(crate) fn status(mut self) -> Option<i32> {
        drop(self.input.take());
        assert!(until(|| !self.runs()), "process {} does not end", self.id());
        self.child.wait().expect("it was started here").code()
    }

    /// SIGKILL: its sockets close without a word. What dropping it does, by a name.
    pub(crate) fn kill(self) {}
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

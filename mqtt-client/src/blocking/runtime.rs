//! Futures on threads.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::thread::{self, Thread};
use std::time::Instant;

use futures::channel::oneshot;
use futures::future::BoxFuture;

use super::stream::{ThreadStream, spawn};
use super::turns::{Turns, putting_off};
use crate::handler::is_handling;
use crate::runtime::unsupported;
use crate::{Driver, Runtime, Scheme, Server, Transport};

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until the future is done.
///
/// # Panics
/// In the [handler](crate::Client::subscribe_handler) of a subscription, while which a client would wait for
/// itself.
pub fn wait<F: Future>(future: F) -> F::Output {
    refuse_to_wait_for_oneself();
    let mut future = pin!(future);
    loop {
        // Without a deadline it ends with an output.
        if let Some(output) = park(future.as_mut(), None) {
            return output;
        }
    }
}

/// Blocks until the future is done, or drops it at that moment.
///
/// # Panics
/// As [`wait`].
pub fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    refuse_to_wait_for_oneself();
    park(pin!(future), Some(deadline))
}

fn refuse_to_wait_for_oneself() {
    assert!(!is_handling(), "the handler of a subscription must not wait");
}

/// Polls the future each time that it wakes this thread, until it is done or the deadline has passed. If
/// that gives a driver something to do, this does it before it waits.
fn park<F: Future>(mut future: Pin<&mut F>, deadline: Option<Instant>) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        let (polled, driver) = putting_off(|| future.as_mut().poll(&mut cx));
        if let Poll::Ready(output) = polled {
            driver.iter().for_each(|driver| driver.ring());
            return Some(output);
        }
        driver.iter().for_each(Turns::take_turn);
        match deadline {
            None => thread::park(),
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(time) if !time.is_zero() => thread::park_timeout(time),
                _ => return None,
            },
        }
    }
}

/// Connections that have a thread which reads, and one which writes once there is more than the system
/// takes; and the time of the thread that runs a driver: see [`ThreadRuntime::run`].
#[derive(Clone, Default)]
pub struct ThreadRuntime {
    turns: Arc<Turns>,
}

impl ThreadRuntime {
    /// Runs the driver that was made with this value, to its end, on this thread, but for what other
    /// threads do right away, as [`wait`] does.
    pub fn run(self, driver: Driver) {
        self.turns.run(driver);
    }
}

impl fmt::Debug for ThreadRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadRuntime").finish_non_exhaustive()
    }
}

/// Is done at that moment, of which it tells the thread that runs the driver.
struct Sleep {
    until: Instant,
    turns: Arc<Turns>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.until <= Instant::now() {
            return Poll::Ready(());
        }
        // There is one sleep at a time, and it is polled last.
        self.turns.set_alarm(self.until);
        Poll::Pending
    }
}

impl Runtime for ThreadRuntime {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let server = server.clone();
        Box::pin(async move {
            let (done, connected) = oneshot::channel();
            spawn("mqtt-connect", move || {
                // Nobody may want to know any more.
                let _ = done.send(connect(&server));
            })?;
            connected.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = Instant::now() + duration;
        Box::pin(Sleep { until, turns: Arc::clone(&self.turns) })
    }
}

/// Connects, which blocks.
fn connect(server: &Server) -> io::Result<Transport> {
    match server.scheme {
        Scheme::Tcp => {
            let stream = TcpStream::connect((server.host.as_str(), server.port))?;
            // Packets are gathered here; a small one that is alone must not wait for more.
            stream.set_nodelay(true)?;
            Ok(Box::new(ThreadStream::new(stream)?))
        }
        #[cfg(unix)]
        Scheme::Unix => {
            let stream = std::os::unix::net::UnixStream::connect(&server.path)?;
            Ok(Box::new(ThreadStream::new(stream)?))
        }
        _ => Err(unsupported(server)),
    }
}

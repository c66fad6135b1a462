//! Futures on threads.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

use futures::channel::oneshot;
use futures::future::BoxFuture;

use super::stream::{ThreadStream, spawn};
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
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        // Without a deadline it ends with an output.
        if let Some(output) = park(future.as_mut(), || None) {
            return output;
        }
    }
}

/// Blocks until the future is done, or drops it at that moment.
pub fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    park(pin!(future), || Some(deadline))
}

/// Polls the future each time that it wakes this thread, until it is done or a deadline has passed,
/// which may be another one after each poll.
fn park<F: Future>(
    mut future: Pin<&mut F>,
    deadline: impl Fn() -> Option<Instant>,
) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        match deadline() {
            None => thread::park(),
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(time) if !time.is_zero() => thread::park_timeout(time),
                _ => return None,
            },
        }
    }
}

/// Connections that have two threads each, and the time of the thread that runs a driver: see
/// [`ThreadRuntime::run`].
#[derive(Clone, Debug, Default)]
pub struct ThreadRuntime {
    /// When the driver is to be polled although nothing has happened.
    alarm: Arc<Mutex<Option<Instant>>>,
}

impl ThreadRuntime {
    /// Runs the driver that was made with this value, to its end, on this thread.
    pub fn run(self, driver: Driver) {
        let mut driver = pin!(driver);
        // `None`: the alarm has gone off.
        while park(driver.as_mut(), || *lock(&self.alarm)).is_none() {
            *lock(&self.alarm) = None;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is done at that moment, of which it tells the thread that polls it.
struct Sleep {
    until: Instant,
    alarm: Arc<Mutex<Option<Instant>>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.until <= Instant::now() {
            return Poll::Ready(());
        }
        // There is one sleep at a time, and it is polled last.
        *lock(&self.alarm) = Some(self.until);
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
            let stream = connected.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
            Ok(Box::new(stream?) as Transport)
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = Instant::now() + duration;
        Box::pin(Sleep { until, alarm: Arc::clone(&self.alarm) })
    }
}

/// Connects, which blocks.
fn connect(server: &Server) -> io::Result<ThreadStream> {
    match server.scheme {
        Scheme::Tcp => {
            let stream = TcpStream::connect((server.host.as_str(), server.port))?;
            // Packets are gathered here; a small one that is alone must not wait for more.
            stream.set_nodelay(true)?;
            ThreadStream::new(stream)
        }
        #[cfg(unix)]
        Scheme::Unix => ThreadStream::new(std::os::unix::net::UnixStream::connect(&server.path)?),
        _ => Err(unsupported(server)),
    }
}

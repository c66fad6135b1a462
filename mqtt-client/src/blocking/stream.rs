//! A socket that blocks, read by a thread, and written by another one once it takes no more.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::net::Shutdown;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use futures::{AsyncRead, AsyncWrite};

use super::turns::{Turns, putting_off};
use crate::socket::Socket;

/// How much is read at once, and how much waits to be written.
const CHUNK: usize = 64 * 1024;

/// How long the driver waits itself for a socket to take something.
const PATIENCE: Duration = Duration::from_millis(1);

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(String::from(name)).spawn(run).map(|_| ())
}

/// Bytes in one direction, between a thread that blocks and a future.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// How many of them are taken.
    taken: usize,
    /// The thread is writing what it has taken.
    busy: bool,
    /// No more will come, or nobody takes any more.
    closed: bool,
    error: Option<io::Error>,
    waker: Option<Waker>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, on the thread, while this holds.
    fn wait_while(&self, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.lock();
        self.changed.wait_while(state, |state| holds(state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Tells the future that there is something new.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Reads ahead one chunk, until the socket or the future ends.
fn read(mut socket: impl Socket, pipe: &Pipe) {
    let mut chunk = alloc::vec![0; 4 * 1024];
    loop {
        let read = socket.read(&mut chunk);
        let mut state = pipe.wait_while(|state| state.taken < state.bytes.len() && !state.closed);
        if state.closed {
            return;
        }
        state.bytes.clear();
        state.taken = 0;
        let ended = match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                state.error = Some(error);
                true
            }
            Ok(read) => {
                state.bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
                if read == chunk.len() && read < CHUNK {
                    chunk.resize(CHUNK, 0);
                }
                read == 0
            }
        };
        state.closed |= ended;
        // Whoever reads may as well do what comes of it.
        let ((), driver) = putting_off(|| wake(state));
        driver.iter().for_each(Turns::take_turn);
        if ended {
            return;
        }
    }
}

/// Writes what there is, however long that takes, until the socket or the future ends.
fn write(mut socket: impl Socket, pipe: &Pipe) {
    let mut bytes = Vec::new();
    loop {
        let mut state = pipe.wait_while(|state| state.bytes.is_empty() && !state.closed);
        if state.bytes.is_empty() {
            return;
        }
        core::mem::swap(&mut bytes, &mut state.bytes);
        state.busy = true;
        wake(state);
        let written = socket
            .set_write_patience(None)
            .and_then(|()| socket.write_all(&bytes))
            .and_then(|()| socket.set_write_patience(Some(PATIENCE)));
        bytes.clear();
        let mut state = pipe.lock();
        state.busy = false;
        let failed = written.is_err();
        state.error = written.err();
        wake(state);
        if failed {
            return;
        }
    }
}

/// A socket for a driver, which ends with it.
pub(super) struct ThreadStream<S: Socket> {
    socket: S,
    incoming: Arc<Pipe>,
    /// What the socket did not take at once.
    outgoing: Option<Arc<Pipe>>,
}

impl<S: Socket> ThreadStream<S> {
    pub(super) fn new(socket: S) -> io::Result<Self> {
        socket.set_write_patience(Some(PATIENCE))?;
        let (reader, incoming) = (socket.duplicate()?, Arc::<Pipe>::default());
        // From here on dropping it ends the thread.
        let stream = Self { socket, incoming: Arc::clone(&incoming), outgoing: None };
        spawn("mqtt-read", move || read(reader, &incoming))?;
        Ok(stream)
    }

    /// How many bytes wait for the thread that writes, unless it has written all. When that changes,
    /// the future is woken.
    fn backlog(&self, cx: &Context<'_>) -> io::Result<Option<usize>> {
        let Some(outgoing) = &self.outgoing else { return Ok(None) };
        let mut state = outgoing.lock();
        if let Some(error) = state.error.take() {
            state.closed = true;
            return Err(error);
        }
        if state.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !state.busy && state.bytes.is_empty() {
            return Ok(None);
        }
        state.waker = Some(cx.waker().clone());
        Ok(Some(state.bytes.len()))
    }

    /// Leaves this to the thread that writes.
    fn leave(&mut self, bytes: &[u8]) -> io::Result<()> {
        let outgoing = match &self.outgoing {
            Some(outgoing) => outgoing,
            None => {
                let (writer, outgoing) = (self.socket.duplicate()?, Arc::<Pipe>::default());
                self.outgoing = Some(Arc::clone(&outgoing));
                spawn("mqtt-write", move || write(writer, &outgoing))?;
                return self.leave(bytes);
            }
        };
        outgoing.lock().bytes.extend_from_slice(bytes);
        outgoing.changed.notify_all();
        Ok(())
    }
}

impl<S: Socket> Drop for ThreadStream<S> {
    fn drop(&mut self) {
        self.incoming.close();
        self.outgoing.iter().for_each(|outgoing| outgoing.close());
        // It fails when the socket is closed already.
        let _ = self.socket.close(Shutdown::Both);
    }
}

impl<S: Socket + Unpin> AsyncRead for ThreadStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.incoming.lock();
        if let Some(rest) = state.bytes.get(state.taken..).filter(|rest| !rest.is_empty()) {
            let taken = rest.len().min(room.len());
            let (to, from) = (room.get_mut(..taken), rest.get(..taken));
            if let (Some(to), Some(from)) = (to, from) {
                to.copy_from_slice(from);
            }
            state.taken += taken;
            drop(state);
            self.incoming.changed.notify_all();
            return Poll::Ready(Ok(taken));
        }
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        if state.closed {
            return Poll::Ready(Ok(0));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S: Socket + Unpin> AsyncWrite for ThreadStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(backlog) = self.backlog(cx)? {
            let room = CHUNK.saturating_sub(backlog);
            if room == 0 {
                return Poll::Pending;
            }
            let bytes = bytes.get(..room).unwrap_or(bytes);
            self.leave(bytes)?;
            return Poll::Ready(Ok(bytes.len()));
        }
        // Nobody else writes.
        match self.socket.write(bytes) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                let bytes = bytes.get(..CHUNK).unwrap_or(bytes);
                self.leave(bytes)?;
                Poll::Ready(Ok(bytes.len()))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.backlog(cx)? {
            None => Poll::Ready(Ok(())),
            Some(_) => Poll::Pending,
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        core::task::ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(self.socket.close(Shutdown::Write))
    }
}

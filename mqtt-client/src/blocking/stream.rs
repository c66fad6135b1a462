//! A socket that blocks, read and written by a thread each.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::net::Shutdown;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use futures::{AsyncRead, AsyncWrite};

use crate::socket::Socket;

/// How much is read at once, and how much waits to be written.
const CHUNK: usize = 64 * 1024;

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
        wake(state);
        if ended {
            return;
        }
    }
}

/// Writes what there is, until the socket or the future ends.
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
        let written = socket.write_all(&bytes);
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
pub(super) struct ThreadStream {
    close: Box<dyn Fn(Shutdown) -> io::Result<()> + Send>,
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl ThreadStream {
    pub(super) fn new(socket: impl Socket) -> io::Result<Self> {
        let (reader, writer) = (socket.duplicate()?, socket.duplicate()?);
        let (incoming, outgoing) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
        // From here on dropping it ends the threads.
        let close = Box::new(move |how| socket.close(how));
        let stream =
            Self { close, incoming: Arc::clone(&incoming), outgoing: Arc::clone(&outgoing) };
        spawn("mqtt-read", move || read(reader, &incoming))?;
        spawn("mqtt-write", move || write(writer, &outgoing))?;
        Ok(stream)
    }
}

impl Drop for ThreadStream {
    fn drop(&mut self) {
        self.incoming.close();
        self.outgoing.close();
        // It fails when the socket is closed already.
        let _ = (self.close)(Shutdown::Both);
    }
}

impl AsyncRead for ThreadStream {
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

impl AsyncWrite for ThreadStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.lock();
        if let Some(error) = state.error.take() {
            state.closed = true;
            return Poll::Ready(Err(error));
        }
        if state.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = CHUNK.saturating_sub(state.bytes.len());
        if room == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = bytes.get(..room).unwrap_or(bytes);
        state.bytes.extend_from_slice(bytes);
        drop(state);
        self.outgoing.changed.notify_all();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.outgoing.lock();
        if let Some(error) = state.error.take() {
            state.closed = true;
            return Poll::Ready(Err(error));
        }
        if state.bytes.is_empty() && !state.busy {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        core::task::ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready((self.close)(Shutdown::Write))
    }
}

//! Large payloads for many sockets of this machine's kernel: copied into pages once, which all those sockets
//! then refer to, instead of once for each of them.
//!
//! The bytes are written into a pipe; `tee` has a second pipe refer to the same pages, and `splice` hands
//! them on to a socket. What is in a page stays there as long as anybody refers to it, since nobody
//! writes to a pipe that is not empty; an emptied pipe takes new pages.

use alloc::sync::Arc;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice, tee,
};

use super::transport::Socket;

/// From how many bytes on that takes less time than to copy.
const MIN_LEN: usize = 16 * 1024;

/// How many must need the bytes: outputs in which they wait, and whoever else keeps the message.
const MIN_HOLDERS: usize = 4;

/// How many payloads there are at once: a connection may have some waiting before the next has its turn.
const SLOTS: usize = 4;

/// How many bytes a pipe holds, in pages, if the system allows.
const PIPE_SIZE: usize = 1024 * 1024;

/// Payloads that are in pages, for all outputs of a broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(Arc<Mutex<Payloads>>);

#[derive(Debug, Default)]
struct Payloads {
    pipes: Option<Pipes>,
    /// Whether the system has refused something.
    is_off: bool,
}

#[derive(Debug)]
struct Pipes {
    slots: Vec<Slot>,
    /// The slot that is taken next.
    next: usize,
    /// The way to a socket; empty in between.
    way: Pipe,
    nowhere: File,
}

/// A payload, which is from `start` on, in a pipe.
#[derive(Debug)]
struct Slot {
    pipe: Pipe,
    held: Option<(Arc<[u8]>, usize)>,
}

#[derive(Debug)]
struct Pipe {
    rx: OwnedFd,
    tx: OwnedFd,
    size: usize,
}

impl Pages {
    /// Sends `head`, which is not empty, and then `shared` from `start` on, as far as the socket takes them; how
    /// many bytes it has taken. `None`: nothing is sent, and all is to be written like anything else.
    pub(super) fn send(
        &self,
        socket: &Socket,
        head: &[u8],
        shared: &Arc<[u8]>,
        start: usize,
    ) -> Option<io::Result<usize>> {
        let len = shared.len().checked_sub(start).filter(|len| *len >= MIN_LEN)?;
        self.payloads().send(socket.as_fd(), head, shared, start, len)
    }

    /// Gives back all pages.
    pub(super) fn clear(&self) {
        self.payloads().clear();
    }

    fn payloads(&self) -> MutexGuard<'_, Payloads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payloads {
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        head: &[u8],
        shared: &Arc<[u8]>,
        start: usize,
        len: usize,
    ) -> Option<io::Result<usize>> {
        if self.is_off {
            return None;
        }
        match self.prepare(shared, start, len) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => {
                self.switch_off();
                return None;
            }
        }
        let pipes = self.pipes.as_ref()?;
        let (sent, left) = match send_head(socket, head) {
            Ok(sent) if sent == head.len() => {
                let left = pipes.way.pass(socket, len);
                (Ok(sent + len - left), left)
            }
            sent => (sent, len),
        };
        // What this socket has not taken is not for the next one.
        if pipes.way.discard(&pipes.nowhere, left).is_err() {
            self.switch_off();
        }
        Some(sent)
    }

    fn clear(&mut self) {
        let Some(pipes) = &mut self.pipes else { return };
        if pipes.slots.iter_mut().try_for_each(|slot| slot.clear(&pipes.nowhere)).is_err() {
            self.switch_off();
        }
    }

    /// With its pipes goes all that is in them.
    fn switch_off(&mut self) {
        *self = Self { pipes: None, is_off: true };
    }

    /// Puts this payload on the way to a socket, if it is worth it.
    fn prepare(&mut self, shared: &Arc<[u8]>, start: usize, len: usize) -> io::Result<bool> {
        let held = self.pipes.as_ref().and_then(|pipes| pipes.find(shared, start));
        if held.is_none() && Arc::strong_count(shared) < MIN_HOLDERS {
            return Ok(false);
        }
        let pipes = match &mut self.pipes {
            Some(pipes) => pipes,
            none => none.insert(Pipes::new()?),
        };
        let index = match held {
            None if len > pipes.way.size => return Ok(false),
            None => pipes.hold(shared, start)?,
            Some(index) => index,
        };
        let Some(slot) = pipes.slots.get(index) else { return Ok(false) };
        let count = tee(&slot.pipe.rx, &pipes.way.tx, len, SpliceFlags::NONBLOCK)?;
        if count < len { Err(io::ErrorKind::WriteZero.into()) } else { Ok(true) }
    }
}

impl Pipes {
    fn new() -> io::Result<Self> {
        let slot = |_| Ok(Slot { pipe: Pipe::new()?, held: None });
        Ok(Self {
            slots: (0..SLOTS).map(slot).collect::<io::Result<_>>()?,
            next: 0,
            way: Pipe::new()?,
            nowhere: File::options().write(true).open("/dev/null")?,
        })
    }

    fn find(&self, shared: &Arc<[u8]>, start: usize) -> Option<usize> {
        let is_it = |slot: &Slot| {
            slot.held.as_ref().is_some_and(|(held, at)| Arc::ptr_eq(held, shared) && *at == start)
        };
        self.slots.iter().position(is_it)
    }

    /// Puts this payload into a slot, in place of the one that is there longest.
    fn hold(&mut self, shared: &Arc<[u8]>, start: usize) -> io::Result<usize> {
        let index = self.next;
        self.next = (index + 1) % SLOTS;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.clear(&self.nowhere)?;
            let bytes = shared.get(start..).unwrap_or_default();
            if rustix::io::write(&slot.pipe.tx, bytes)? < bytes.len() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            slot.held = Some((Arc::clone(shared), start));
        }
        Ok(index)
    }
}

impl Slot {
    fn clear(&mut self, nowhere: &File) -> io::Result<()> {
        let Some((shared, start)) = self.held.take() else { return Ok(()) };
        self.pipe.discard(nowhere, shared.len() - start)
    }
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (rx, tx) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let size = fcntl_setpipe_size(&tx, PIPE_SIZE).or_else(|_| fcntl_getpipe_size(&tx))?;
        Ok(Self { rx, tx, size })
    }

    /// Hands so many bytes on to a socket; how many it has not taken.
    fn pass(&self, socket: BorrowedFd<'_>, len: usize) -> usize {
        let mut left = len;
        while left > 0 {
            match splice(&self.rx, None, socket, None, left, SpliceFlags::NONBLOCK) {
                Ok(0) => break,
                Ok(count) => left = left.saturating_sub(count),
                Err(Errno::INTR) => {}
                // What it is shows when the rest is written.
                Err(_) => break,
            }
        }
        left
    }

    /// Gives back the pages of so many bytes.
    fn discard(&self, nowhere: &File, len: usize) -> io::Result<()> {
        if self.pass(nowhere.as_fd(), len) == 0 { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    }
}

/// Sends what goes before a payload, in one piece with it.
fn send_head(socket: BorrowedFd<'_>, head: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(rustix::net::send(socket, head, flags)?)
}

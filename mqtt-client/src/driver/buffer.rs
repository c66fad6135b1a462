//! Bytes on their way to and from the transport.

use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use futures::{AsyncRead, AsyncWrite};

use crate::Transport;

/// How much is read at once to begin with, and once there is much to read.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;

/// What was read and not understood yet.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    /// What of it is filled.
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// Reads once. 0: the peer has closed.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let read = ready!(Pin::new(transport).poll_read(cx, room))?;
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Room behind what is filled: the whole buffer where that is nothing, and a larger one where it
    /// is full. That it grows no further than a packet may be long is seen to by the session, which
    /// refuses a longer one when it sees its length.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize((self.end * 2).max(SMALL), 0);
        }
    }

    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// All but the last `rest` bytes are understood.
    pub(super) fn keep(&mut self, rest: usize) {
        let full = self.end == self.bytes.len();
        self.start = self.end.saturating_sub(rest);
        // Whoever fills it at once has more.
        if rest == 0 && full && self.bytes.len() < LARGE {
            self.bytes.resize(LARGE, 0);
        }
    }

    /// Forgets all, and gives back what was only needed for much.
    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        self.bytes.truncate(SMALL);
        self.bytes.shrink_to(SMALL);
    }

    /// Gives back what was only needed for much, if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.start == self.end {
            self.clear();
        }
    }
}

/// Packets that are to be sent, gathered so that many of them go out in one call.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether the transport may keep some of it.
    flush: bool,
}

impl WriteBuffer {
    /// Where packets are added.
    pub(super) const fn packets(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends all there is, and returns whether there was any.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<bool>> {
        let mut any = false;
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let sent = ready!(Pin::new(&mut *transport).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
            self.flush = true;
            any = true;
        }
        self.bytes.clear();
        self.bytes.shrink_to(LARGE);
        self.sent = 0;
        if self.flush {
            ready!(Pin::new(transport).poll_flush(cx))?;
            self.flush = false;
        }
        Poll::Ready(Ok(any))
    }

    /// Gives back what was only needed for much, if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes.shrink_to(SMALL);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

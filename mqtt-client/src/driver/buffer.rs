//! Bytes on their way to and from the transport.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite};
use mqtt_codec::{Rules, Sender, Version};

use crate::Transport;

/// How much is read at once to begin with, and once there is much to read. Each read is a wake-up more,
/// of the server too where that waits for room.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 128 * 1024;

/// How much memory is kept for what is to be sent.
const ENOUGH: usize = 64 * 1024;

/// A payload that is shorter is copied, next to others, so that one that is kept for long does not
/// keep much memory with it.
const SHORT: usize = 1024;

/// What was read and not understood yet.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    /// Whole packets, as far as they are not understood: payloads are slices of it.
    packets: Bytes,
    /// What is read into, filled up to `end` with the beginning of a packet.
    bytes: BytesMut,
    end: usize,
    /// How many bytes that come next are of no interest.
    skip: usize,
    /// How much is to be read at once.
    size: usize,
    /// Memory that may be used again, once no message needs it.
    used: VecDeque<BytesMut>,
}

/// How many of them are kept.
const USED: usize = 4;

/// To look at lengths with: what is wrong with a packet the session finds out.
const ANY: Rules = Rules::new(Version::V311, Sender::Either);

impl ReadBuffer {
    /// Reads once. 0: the peer has closed.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let wanted = room.len();
        let read = ready!(Pin::new(transport).poll_read(cx, room))?;
        self.end += read;
        if read == wanted {
            // Whoever fills it at once has more.
            self.size = LARGE;
        }
        Poll::Ready(Ok(read))
    }

    /// Room behind what is filled. That it grows no further than a packet may be long is seen to by the
    /// session, which refuses a longer one when it sees its length.
    fn make_room(&mut self) {
        self.size = self.size.max(SMALL);
        if self.bytes.len() - self.end >= self.size / 4 {
            return;
        }
        // Twice what there is of a packet, so that each byte is moved about once.
        let size = self.size.max(2 * self.end);
        self.bytes.truncate(self.end);
        if !self.bytes.try_reclaim(size - self.end) {
            let free = self.used.iter_mut().position(|used| used.try_reclaim(size));
            let free = free.and_then(|place| self.used.remove(place));
            let mut next = free.unwrap_or_else(|| BytesMut::with_capacity(size));
            next.extend_from_slice(&self.bytes);
            self.bytes.clear();
            self.used.push_back(core::mem::replace(&mut self.bytes, next));
            if self.used.len() > USED {
                self.used.pop_front();
            }
        }
        self.bytes.resize(size, 0);
    }

    /// What is not understood: packets, the last of which may have only begun.
    pub(super) fn packets(&mut self) -> Bytes {
        if self.skip > 0 && self.packets.is_empty() {
            let skipped = self.skip.min(self.end);
            self.bytes.copy_within(skipped..self.end, 0);
            self.end -= skipped;
            self.skip -= skipped;
        }
        let begun = self.bytes.get(..self.end).unwrap_or_default();
        let header = ANY.fixed_header(begun).ok().flatten();
        if self.packets.is_empty() && header.is_some_and(|header| header.packet_len() <= self.end) {
            self.packets = self.bytes.split_to(self.end).freeze();
            self.end = 0;
        }
        self.packets.clone()
    }

    /// What there is of a packet where [`ReadBuffer::packets`] is empty.
    pub(super) fn begun(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Of what is there all but the last `rest` bytes are understood, and these are the beginning of a
    /// packet unless there `is_more`.
    pub(super) fn keep(&mut self, rest: usize, is_more: bool) {
        if self.packets.is_empty() {
            self.bytes.copy_within(self.end.saturating_sub(rest)..self.end, 0);
            self.end = rest;
            return;
        }
        let mut packets = core::mem::take(&mut self.packets);
        let rest = packets.split_off(packets.len().saturating_sub(rest));
        if is_more {
            self.packets = rest;
            return;
        }
        if self.bytes.len() < rest.len() {
            self.bytes.resize(rest.len(), 0);
        }
        if let Some(room) = self.bytes.get_mut(..rest.len()) {
            room.copy_from_slice(&rest);
        }
        self.end = rest.len();
    }

    /// So many bytes behind what is there are of no interest.
    pub(super) const fn pass_over(&mut self, bytes: usize) {
        self.skip += bytes;
    }

    /// Whether there are packets to be understood without reading more.
    pub(super) fn has_packets(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Forgets all, and gives back what was only needed for much.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives back what was only needed for much, if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.end == 0 && self.packets.is_empty() && self.skip == 0 {
            self.clear();
        }
    }
}

/// The payloads of messages.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    short: BytesMut,
}

impl Payloads {
    /// A payload among these packets, for as long as somebody wants it.
    pub(super) fn take(&mut self, packets: &Bytes, payload: &[u8]) -> Bytes {
        if payload.len() < SHORT {
            if self.short.capacity() - self.short.len() < payload.len() {
                self.short.reserve(SMALL);
            }
            self.short.extend_from_slice(payload);
            return self.short.split().freeze();
        }
        let start = payload.as_ptr().addr().wrapping_sub(packets.as_ptr().addr());
        match start.checked_add(payload.len()) {
            Some(end) if end <= packets.len() => packets.slice(start..end),
            _ => Bytes::copy_from_slice(payload),
        }
    }

    /// Gives back what was only needed for much.
    pub(super) fn rest(&mut self) {
        self.short = BytesMut::new();
    }
}

/// Packets that are to be sent, gathered so that many of them go out in one call.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    bytes: Vec<u8>,
    sent: usize,
    /// How far it may be sent, where that must wait for a store.
    until: Option<u64>,
    /// How many bytes were here and are not any more.
    gone: u64,
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

    /// Where the next packet will be, counted from the first packet of all.
    pub(super) fn end(&self) -> u64 {
        self.gone + self.bytes.len() as u64
    }

    /// All before this place may be sent; nothing else, until the next call.
    pub(super) const fn permit(&mut self, until: u64) {
        self.until = Some(until);
    }

    /// Sends all that may be sent, and returns whether there was any.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<bool>> {
        let mut any = false;
        let until = self.until.map_or(u64::MAX, |until| until.saturating_sub(self.gone));
        let until = usize::try_from(until).unwrap_or(usize::MAX).min(self.bytes.len());
        while let Some(rest) = self.bytes.get(self.sent..until).filter(|rest| !rest.is_empty()) {
            let sent = ready!(Pin::new(&mut *transport).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
            self.flush = true;
            any = true;
        }
        if self.sent == self.bytes.len() {
            self.gone = self.end();
            self.bytes.clear();
            self.bytes.shrink_to(ENOUGH);
            self.sent = 0;
        }
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
        *self = Self { until: self.until, gone: self.end(), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use core::task::Context;

    use super::WriteBuffer;
    use crate::Transport;

    #[test]
    fn what_is_not_stored_is_not_sent_though_all_before_it_was_sent_and_forgotten() {
        let mut cx = Context::from_waker(core::task::Waker::noop());
        let mut transport: Transport = Box::new(futures::io::Cursor::new(Vec::new()));
        let mut tx = WriteBuffer::default();
        tx.permit(0);
        tx.packets().extend([1; 60]);
        assert!(tx.poll_flush(&mut cx, &mut transport).is_ready());
        assert_eq!(tx.len(), 60);
        let mark = tx.end();
        tx.permit(mark);
        assert!(tx.poll_flush(&mut cx, &mut transport).is_ready());
        assert_eq!(tx.len(), 0);
        tx.packets().extend([2; 40]);
        tx.permit(mark);
        assert!(tx.poll_flush(&mut cx, &mut transport).is_ready());
        assert_eq!(tx.len(), 40);
        tx.permit(tx.end());
        assert!(tx.poll_flush(&mut cx, &mut transport).is_ready());
        assert_eq!(tx.len(), 0);
    }
}

//! Bytes on their way to and from the transport.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite};

use crate::Transport;

/// How much is read at once to begin with, and once there is much to read. Each read is a wake-up more,
/// of the server too where that waits for room.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 256 * 1024;

/// The same where messages keep slices of what was read, so that there is more than one of it.
const SLICED: usize = 128 * 1024;

/// How much memory is kept for what is to be sent.
const ENOUGH: usize = 64 * 1024;

/// A payload that is shorter is copied, next to others, so that one that is kept for long does not
/// keep much memory with it.
const SHORT: usize = 1024;

/// What was read and not understood yet.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    /// What is read into. What is neither before `start` nor behind `end` is not understood. Messages may
    /// have slices of it.
    bytes: Bytes,
    start: usize,
    end: usize,
    /// Whether it begins with a packet that can be understood without reading more.
    has_packets: bool,
    /// How many bytes that come next are of no interest.
    skip: usize,
    /// How much is to be read at once.
    size: usize,
    /// What messages have slices of, each of [`SLICED`] bytes: to be used again, once none has any more.
    used: VecDeque<Bytes>,
    /// Whether there ever was any.
    is_sliced: bool,
}

/// How many of them are kept: as much as a stream of usual messages may hold. New memory costs more than what
/// is done with it.
const USED: usize = 16;

impl ReadBuffer {
    /// Reads once. 0: the peer has closed.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<usize>> {
        let mut own = self.make_room();
        let room = own.get_mut(self.end..).unwrap_or_default();
        let wanted = room.len();
        let read = Pin::new(transport).poll_read(cx, room);
        self.bytes = own.freeze();
        let read = ready!(read)?;
        self.end += read;
        if read == wanted {
            // Whoever fills it at once has more.
            self.size = if self.is_sliced { SLICED } else { LARGE };
        }
        Poll::Ready(Ok(read))
    }

    /// What is read into, nobody else's, with room behind what is filled. That it grows no further than a
    /// packet may be long is seen to by the session, which refuses a longer one when it sees its length.
    fn make_room(&mut self) -> BytesMut {
        self.size = self.size.max(SMALL);
        let filled = self.end - self.start;
        // Twice what there is of a packet, so that each byte is moved about once.
        let size = self.size.max(2 * filled);
        let is_enough = |len: usize| len.saturating_sub(filled) >= self.size / 4;
        let own = match core::mem::take(&mut self.bytes).try_into_mut() {
            Ok(mut own) if is_enough(own.len()) => {
                own.copy_within(self.start..self.end, 0);
                own
            }
            // It has to be larger.
            Ok(own) => self.moved(&own, BytesMut::zeroed(size)),
            Err(shared) => {
                self.is_sliced = true;
                self.size = self.size.min(SLICED);
                let size = self.size.max(2 * filled);
                let free = self.used.iter().position(|used| used.len() >= size && used.is_unique());
                let free = free.and_then(|place| self.used.remove(place));
                let free = free.and_then(|free| free.try_into_mut().ok());
                let own = self.moved(&shared, free.unwrap_or_else(|| BytesMut::zeroed(size)));
                if shared.len() == SLICED {
                    self.used.push_back(shared);
                }
                if self.used.len() > USED {
                    self.used.pop_front();
                }
                own
            }
        };
        (self.start, self.end) = (0, filled);
        own
    }

    /// With what is not understood in front.
    fn moved(&self, from: &[u8], mut to: BytesMut) -> BytesMut {
        let from = from.get(self.start..self.end).unwrap_or_default();
        if let Some(room) = to.get_mut(..from.len()) {
            room.copy_from_slice(from);
        }
        to
    }

    /// Lends out all, of which [`ReadBuffer::filled`] is not understood; to be given back by
    /// [`ReadBuffer::keep`].
    pub(super) fn lend(&mut self) -> Bytes {
        let skipped = self.skip.min(self.end - self.start);
        self.start += skipped;
        self.skip -= skipped;
        core::mem::take(&mut self.bytes)
    }

    /// What of that which is lent out is not understood: packets, the last of which may have only begun.
    pub(super) const fn filled(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether all is understood.
    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Of what is there all but the last `rest` bytes are understood, and these are the beginning of a
    /// packet unless there `is_more`.
    pub(super) fn keep(&mut self, bytes: Bytes, rest: usize, is_more: bool) {
        self.bytes = bytes;
        self.start = self.end.saturating_sub(rest);
        self.has_packets = is_more && rest > 0;
    }

    /// So many bytes behind what is there are of no interest.
    pub(super) const fn pass_over(&mut self, bytes: usize) {
        self.skip += bytes;
    }

    /// Whether there are packets to be understood without reading more.
    pub(super) const fn has_packets(&self) -> bool {
        self.has_packets
    }

    /// Forgets all, and gives back what was only needed for much.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives back what was only needed for much, if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.is_empty() && self.skip == 0 {
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
    /// A payload that is within this, for as long as somebody wants it.
    pub(super) fn take(&mut self, packets: &Bytes, payload: &[u8]) -> Bytes {
        if payload.len() < SHORT {
            if self.short.capacity() - self.short.len() < payload.len() {
                self.short.reserve(SMALL);
            }
            self.short.extend_from_slice(payload);
            return self.short.split().freeze();
        }
        // Of what was grown for one that is larger not all is to be kept.
        let is_worth_it = packets.len() <= LARGE.max(4 * payload.len());
        let start = payload.as_ptr().addr().wrapping_sub(packets.as_ptr().addr());
        match start.checked_add(payload.len()) {
            Some(end) if is_worth_it && end <= packets.len() => packets.slice(start..end),
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

    /// Up to where all is sent, counted as [`WriteBuffer::end`] does.
    pub(super) const fn sent(&self) -> u64 {
        self.gone + self.sent as u64
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

//! What goes between the broker's thread and the one that has a connection's socket and TLS.

use alloc::sync::Arc;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_session::broker::ConnectionId;

use super::super::bell::Bell;
use super::{Ended, Input};
use crate::broker::worker::Task;

/// From how many waiting bytes on no more are taken, each way.
const MAX_WAITING: usize = 128 * 1024;

/// Both directions of one connection, decrypted.
#[derive(Debug, Default)]
pub(in crate::broker) struct Pipe(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    /// What has come for the broker.
    inbound: Vec<u8>,
    /// Why no more will come.
    ended: Option<Ended>,
    /// The name in the client's certificate.
    identity: Option<String>,
    /// Whether the broker was told that there is something to read.
    broker_told: bool,
    /// What the broker has to send.
    outbound: Vec<u8>,
    /// Whether the broker waits for room.
    broker_waits: bool,
    /// Whether the broker has done with the connection: what is to be sent still is.
    is_finished: bool,
    /// Whether the worker was told that there is something to send, or room for what comes.
    worker_told: bool,
}

/// What the broker wants of the worker.
#[derive(Debug)]
pub(in crate::broker) struct Wanted {
    pub(in crate::broker) outbound: Vec<u8>,
    pub(in crate::broker) is_finished: bool,
    /// Whether the broker is to be told.
    pub(in crate::broker) tell: bool,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Ends> {
        // Nothing is changed in more than one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the broker takes more. If not, the worker is told when it does.
    pub(in crate::broker) fn has_room(&self) -> bool {
        self.lock().inbound.len() < MAX_WAITING
    }

    /// Bytes for the broker, and who they are from. Whether it is to be told.
    pub(in crate::broker) fn put(&self, bytes: &[u8], identity: Option<String>) -> bool {
        let mut ends = self.lock();
        ends.inbound.extend_from_slice(bytes);
        ends.identity = identity.or(ends.identity.take());
        !core::mem::replace(&mut ends.broker_told, true)
    }

    /// No more will come. Whether the broker is to be told.
    pub(in crate::broker) fn end(&self, why: Ended) -> bool {
        let mut ends = self.lock();
        ends.ended.get_or_insert(why);
        !core::mem::replace(&mut ends.broker_told, true)
    }

    /// Whether the broker has done with the connection.
    pub(in crate::broker) fn is_finished(&self) -> bool {
        self.lock().is_finished
    }

    /// What is to be sent.
    pub(in crate::broker) fn wanted(&self) -> Wanted {
        let mut ends = self.lock();
        ends.worker_told = false;
        let outbound = core::mem::take(&mut ends.outbound);
        // Even if it was told of something to read: it may not read before it has written.
        let tell = core::mem::take(&mut ends.broker_waits);
        Wanted { outbound, is_finished: ends.is_finished, tell }
    }
}

/// The broker's end of a [`Pipe`].
#[derive(Debug)]
pub(in crate::broker) struct Remote {
    pipe: Arc<Pipe>,
    /// The number by which the worker knows the connection.
    number: usize,
    worker: Arc<Bell<Task>>,
    /// Whether nothing will be written but what waits now.
    is_last: bool,
}

impl Remote {
    pub(in crate::broker) const fn new(
        pipe: Arc<Pipe>,
        number: usize,
        worker: Arc<Bell<Task>>,
    ) -> Self {
        Self { pipe, number, worker, is_last: false }
    }

    /// Has the worker look, unless it will anyway.
    fn tell(&self, mut ends: MutexGuard<'_, Ends>) {
        if !core::mem::replace(&mut ends.worker_told, true) {
            drop(ends);
            self.worker.ring(Task::Look(self.number));
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Input, Ended> {
        let mut ends = self.pipe.lock();
        ends.broker_told = false;
        let len = ends.inbound.len().min(buffer.len());
        if len == 0 {
            return match ends.ended.take() {
                Some(ended) => Err(ended),
                None => Ok(Input { len: 0, more: false }),
            };
        }
        let was_full = ends.inbound.len() >= MAX_WAITING;
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), ends.inbound.get(..len)) {
            to.copy_from_slice(from);
        }
        ends.inbound.drain(..len);
        let more = !ends.inbound.is_empty() || ends.ended.is_some();
        if ends.inbound.is_empty() {
            ends.inbound = Vec::new();
        }
        if was_full {
            self.tell(ends);
        }
        Ok(Input { len, more })
    }

    pub(super) fn identity(&mut self) -> Option<String> {
        self.pipe.lock().identity.take()
    }

    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut ends = self.pipe.lock();
        if ends.outbound.len() >= MAX_WAITING && !self.is_last {
            ends.broker_waits = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for part in parts {
            ends.outbound.extend_from_slice(part);
        }
        self.tell(ends);
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    /// What waits now is taken whole: nothing more will come.
    pub(super) const fn hurry(&mut self) {
        self.is_last = true;
    }

    /// Sends what is left, and closes.
    pub(super) fn finish(&self) {
        let mut ends = self.pipe.lock();
        ends.is_finished = true;
        self.tell(ends);
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What a worker needs to serve a connection, besides its socket.
#[derive(Debug)]
pub(in crate::broker) struct Served {
    pub(in crate::broker) pipe: Arc<Pipe>,
    pub(in crate::broker) number: usize,
    pub(in crate::broker) id: ConnectionId,
}

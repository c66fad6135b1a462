//! What happens to the connection, as a stream.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_codec::QoS;

use crate::{Error, Server};

/// Something happened to the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The server has accepted.
    Connected {
        /// Which one.
        server: Server,
        /// Whether it goes on with an earlier session.
        session_present: bool,
    },
    /// The connection is gone, or could not be made.
    Disconnected {
        /// Why.
        error: Error,
        /// In what time the next attempt is made; `None`: there will be none.
        retry_after: Option<Duration>,
    },
    /// A message came that is larger than
    /// [`Options::max_packet_size`](crate::Options::max_packet_size), and was passed over: it is
    /// acknowledged, and nothing but this tells of it. Only before version 5, where no server can know of
    /// the limit; from then on the server does so itself, and tells nobody \[MQTT-3.1.2-25].
    Oversized {
        /// Where it was published.
        topic: Arc<str>,
        /// How it was delivered.
        qos: QoS,
        /// How long the packet was, in bytes.
        size: u64,
        /// The limit.
        limit: u32,
    },
}

/// How many events wait at most; then the oldest makes way.
const CAPACITY: usize = 64;

/// What happens to the connection, from [`Client::connection_events`] on. Ends with the client. Of
/// events that are not taken the 64 latest are kept.
///
/// [`Client::connection_events`]: crate::Client::connection_events
#[derive(Debug)]
pub struct ConnectionEvents(pub(crate) Arc<EventQueue>);

#[derive(Debug, Default)]
pub(crate) struct EventQueue(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    events: VecDeque<ConnectionEvent>,
    waker: Option<Waker>,
    closed: bool,
}

impl EventQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: ConnectionEvent) {
        let mut state = self.lock();
        if state.events.len() >= CAPACITY {
            state.events.pop_front();
        }
        state.events.push_back(event);
        wake(state);
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl ConnectionEvents {
    /// The next event; `None` when the client is closed. Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        core::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let mut state = self.0.lock();
        match state.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl futures::Stream for ConnectionEvents {
    type Item = ConnectionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        self.poll(cx)
    }
}

//! How connections end that are said goodbye to, and how the driver does.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures::AsyncWrite;
use mqtt_codec::{Disconnect, ReasonCode};
use mqtt_session::Instant;

use super::storing::tell_stored;
use super::{Driver, Phase, Step};
use crate::shared::Request;
use crate::{ConnectionEvent, Error, Transport};

/// How long the end of a connection may take that was said goodbye to.
const LEAVE: Duration = Duration::from_secs(2);

impl Driver {
    /// Whether the client is being closed, and nothing is left to do or no time to do it.
    pub(super) fn closing_ends(&self, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let unstored = state.outbox.journal().is_some_and(|journal| !journal.is_empty());
        let stored = !unstored && self.commit.is_none() && self.deltas.is_empty();
        state.closing.as_ref().is_some_and(|closing| {
            let idle = stored && state.outbox.len() == 0 && state.requests.is_empty();
            closing.reason.is_none()
                || now >= closing.deadline
                || idle && self.routes.is_settled() && self.written.is_empty()
        })
    }

    /// Says goodbye.
    pub(super) fn say_goodbye(
        &mut self,
        now: Instant,
        transport: Transport,
        reason: ReasonCode,
    ) -> Step {
        let disconnect = Disconnect::new(reason);
        if self.session.disconnect(&disconnect, self.tx.packets()).is_err() {
            return self.finish(&Error::Closed);
        }
        self.phase = Phase::Leaving { transport, until: now + LEAVE, closed: false };
        Step::Again
    }

    /// Sends what there is, and waits until the server has closed too: closing before that could
    /// destroy what it has not read yet.
    pub(super) fn leave(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut transport: Transport,
        until: Instant,
        mut closed: bool,
    ) -> Step {
        let ended = loop {
            if !closed {
                match self.tx.poll_flush(cx, &mut transport) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => break true,
                    Poll::Pending => break false,
                }
                if self.tx.len() > 0 {
                    break false; // which is not stored yet
                }
                self.tell_written(true);
                match Pin::new(&mut transport).poll_close(cx) {
                    Poll::Ready(Ok(())) => closed = true,
                    Poll::Ready(Err(_)) => break true,
                    Poll::Pending => break false,
                }
            }
            self.rx.clear();
            match self.rx.poll_fill(cx, &mut transport) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => break true,
                Poll::Pending => break false,
            }
        };
        if ended || now >= until {
            return self.finish(&Error::Closed);
        }
        self.phase = Phase::Leaving { transport, until, closed };
        Step::Wait(Some(until))
    }

    /// Tells everyone that it is over.
    pub(super) fn finish(&mut self, error: &Error) -> Step {
        #[cfg(feature = "tracing")]
        if self.ever_accepted && !matches!(error, Error::Closed) {
            tracing::error!(%error, "the client has ended");
        }
        self.phase = Phase::Done;
        // Who waits for the end may want to open it again.
        self.options.store = None;
        self.session.closed();
        self.tell_written(false);
        let mut state = self.shared.lock();
        state.outbox.on_events(&mut self.events);
        let (undelivered, waiting) = state.outbox.close();
        state.outbox.take_outcomes(&mut self.finished, &mut self.written);
        let first_end = state.closed.is_none();
        state.closed = Some(error.clone());
        state.answers.clear();
        let requests = core::mem::take(&mut state.requests);
        let listeners = core::mem::take(&mut state.listeners);
        let done = state.closing.take().and_then(|closing| closing.done);
        drop(state);
        self.tell_outcomes();
        waiting.into_values().for_each(core::task::Waker::wake);
        for request in requests {
            match request {
                Request::Subscribe { done, .. } => drop(done.send(Err(error.clone()))),
                Request::Store { done } => self.storing.push(done),
                Request::Reauthenticate { done } => self.reauthenticating.push(done),
                Request::Unsubscribe { .. } => {}
            }
        }
        let commit = self.commit.take().into_iter().flat_map(|commit| commit.waiting);
        let waiting = self.storing.drain(..).chain(commit).collect();
        tell_stored(waiting, &Err(error.clone()));
        for done in self.reauthenticating.drain(..) {
            // Nobody may wait any more.
            let _ = done.send(Err(error.clone()));
        }
        self.routes.close(error);
        if let Some(first) = self.first.take() {
            let _ = first.send(Err(error.clone()));
        }
        for listener in listeners.iter().filter_map(alloc::sync::Weak::upgrade) {
            if first_end {
                let error = error.clone();
                listener.push(ConnectionEvent::Disconnected { error, retry_after: None });
            }
            listener.close();
        }
        if let Some(done) = done {
            let _ = done.send(undelivered);
        }
        Step::Wait(None)
    }
}

//! What is stored before it is sent.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use std::io;

use futures::channel::oneshot;
use futures::future::BoxFuture;

use super::Driver;
use crate::Error;

/// Changes are being stored, and what depends on them waits in the transmit buffer.
pub(super) struct Commit {
    done: BoxFuture<'static, io::Result<()>>,
    /// Up to where it can be sent then.
    until: u64,
    /// Those who wait for this.
    pub(super) waiting: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl Driver {
    /// Stores what has changed, one batch after the other, and lets go what depends on it. What changes
    /// while one is stored is the next.
    pub(super) fn persist(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            if let Some(commit) = &mut self.commit {
                let Poll::Ready(result) = commit.done.as_mut().poll(cx) else { return Ok(()) };
                if let Some(Commit { until, waiting, .. }) = self.commit.take() {
                    let result = result.map_err(|error| Error::Store(Arc::new(error)));
                    tell_stored(waiting, &result);
                    result?;
                    self.tx.permit(until);
                }
            }
            let mut state = self.shared.lock();
            let changes = state.outbox.journal().map(|journal| {
                self.deltas.drain(..).for_each(|delta| journal.received(delta));
                journal.take()
            });
            drop(state);
            let Some((store, changes)) = self.options.store.as_ref().zip(changes) else {
                // There is nothing to wait for.
                let waiting = core::mem::take(&mut self.storing);
                tell_stored(waiting, &Ok(()));
                return Ok(());
            };
            let (until, waiting) = (self.tx.end(), core::mem::take(&mut self.storing));
            if changes.is_empty() {
                self.tx.permit(until);
                tell_stored(waiting, &Ok(()));
                return Ok(());
            }
            self.commit = Some(Commit { done: store.commit(changes), until, waiting });
        }
    }
}

pub(super) fn tell_stored(
    waiting: Vec<oneshot::Sender<Result<(), Error>>>,
    result: &Result<(), Error>,
) {
    for done in waiting {
        // Nobody may want to know any more.
        let _ = done.send(result.clone());
    }
}

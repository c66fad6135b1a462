//! One sleep at a time.

use core::task::{Context, Poll};

use futures::future::BoxFuture;
use mqtt_session::Instant;

use crate::Runtime;

/// A sleep that is only replaced by an earlier one: a deadline that moves away, as that of the Keep
/// Alive does with every packet, costs nothing.
#[derive(Default)]
pub(super) struct Timer(Option<(Instant, BoxFuture<'static, ()>)>);

impl Timer {
    /// Ready when it may be that late; pending until then.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        until: Option<Instant>,
        runtime: &mut dyn Runtime,
    ) -> Poll<()> {
        let Some(until) = until else { return Poll::Pending };
        if until <= now {
            return Poll::Ready(());
        }
        if self.0.as_ref().is_none_or(|(at, _)| *at > until) {
            self.0 = Some((until, runtime.sleep(until.since(now))));
        }
        let Some((_, sleep)) = &mut self.0 else { return Poll::Pending };
        let slept = sleep.as_mut().poll(cx);
        if slept.is_ready() {
            self.0 = None;
        }
        slept
    }
}

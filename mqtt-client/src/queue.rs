//! The bounded queue between the driver and a subscription's stream.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_codec::{QoS, ReasonCode};
use mqtt_session::AckToken;

use crate::extent::{Batch, Extent, Waiting};
use crate::shared::Shared;
use crate::{Lag, Message};

/// The right to acknowledge a message on the connection that it came on.
pub(crate) struct Hold {
    shared: Arc<Shared>,
    token: AckToken,
    /// Which connection.
    epoch: u64,
    /// Whether it is acknowledged when nobody holds it any more.
    automatic: bool,
    answered: AtomicBool,
}

impl Hold {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        token: AckToken,
        epoch: u64,
        automatic: bool,
    ) -> Self {
        Self { shared, token, epoch, automatic, answered: AtomicBool::new(false) }
    }

    /// Acknowledges, the first time.
    pub(crate) fn answer(&self, reason: ReasonCode) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            self.shared.answer(self.token, reason);
        }
    }

    /// Whether the server will send the message again in a session that it has kept.
    fn comes_again(&self, epoch: u64) -> bool {
        self.epoch < epoch
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.automatic {
            self.answer(ReasonCode::Success);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Messages that wait to be taken.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: Extent,
    lag: Lag,
    taken: Taken,
    /// Whether somebody is to hear of it when the stream hands one out: see [`State::needs`].
    attention: AtomicBool,
    state: Mutex<State>,
}

/// What the stream has taken out together, so that the queue is locked once for many messages, and not
/// handed out yet. It counts.
#[derive(Debug, Default)]
struct Taken {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Taken {
    /// Who sees how many messages these are, sees no more bytes than they take.
    fn set(&self, extent: Extent) {
        self.bytes.store(extent.bytes, Ordering::Relaxed);
        self.messages.store(extent.messages, Ordering::SeqCst);
    }

    fn get(&self) -> Extent {
        let messages = self.messages.load(Ordering::SeqCst);
        Extent { messages, bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

#[derive(Debug, Default)]
struct State {
    messages: Batch,
    /// So many messages at the beginning are not held.
    unheld: Extent,
    waker: Option<Waker>,
    closed: bool,
    /// Nobody is interested in what comes.
    ignored: bool,
    /// How many messages were dropped.
    lagged: u64,
    /// The driver, if it waits for room.
    driver: Option<Waker>,
    /// The driver has waited for room in vain, and nothing was taken since.
    stuck: bool,
}

impl State {
    /// Whether none is held.
    fn is_unheld(&self) -> bool {
        self.unheld == self.messages.extent()
    }

    fn push(&mut self, message: Message, hold: Option<Arc<Hold>>) {
        if hold.is_none() && self.is_unheld() {
            self.unheld.add(&message);
        }
        self.messages.push(Waiting { message, hold });
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.messages.pop()?;
        self.was_taken(0, &first.message);
        Some(first)
    }

    /// Takes out the oldest message of QoS 0.
    fn pop_unreliable(&mut self) -> Option<Message> {
        let is_unreliable = |message: &Message| message.qos == QoS::AtMostOnce;
        let (place, oldest) = self.messages.take(is_unreliable)?;
        self.was_taken(place, &oldest.message);
        Some(oldest.message)
    }

    fn was_taken(&mut self, place: usize, message: &Message) {
        if place < self.unheld.messages {
            self.unheld.remove(message);
        }
    }

    /// Some were taken out of the middle.
    fn recount(&mut self) {
        self.unheld = Extent::default();
        for waiting in self.messages.iter().take_while(|waiting| waiting.hold.is_none()) {
            self.unheld.add(&waiting.message);
        }
    }

    /// Whether something hangs on a message being handed out.
    fn needs(&self) -> bool {
        self.stuck || self.driver.is_some() || !self.is_unheld()
    }
}

impl Queue {
    pub(crate) fn new(capacity: Extent, lag: Lag) -> Self {
        Self {
            capacity,
            lag,
            taken: Taken::default(),
            attention: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is.
    fn used(&self, state: &State) -> Extent {
        state.messages.extent().plus(self.taken.get())
    }

    fn is_full(&self, state: &State) -> bool {
        !self.capacity.takes_more_than(self.used(state))
    }

    /// How much there is room for.
    pub(crate) fn room(&self) -> Extent {
        self.capacity.beside(self.used(&self.lock()))
    }

    /// Whether a message more would be beyond the bounds.
    pub(crate) fn has_no_room(&self) -> bool {
        self.is_full(&self.lock())
    }

    /// Adds messages for which there is room. None is held.
    pub(crate) fn append(&self, messages: &mut Batch) {
        let mut state = self.lock();
        if state.ignored {
            drop(state);
            return acknowledge(core::mem::take(messages));
        }
        if state.is_unheld() {
            state.unheld = state.unheld.plus(messages.extent());
        }
        state.messages.append(messages);
    }

    /// Gives back what was only needed for many messages.
    pub(crate) fn rest(&self) {
        self.lock().messages.shrink_to_fit();
    }

    /// Adds a message in any case. `hold` keeps one that is beyond the capacity from being
    /// acknowledged; one that is not to be acknowledged is dropped then. Nobody is woken before
    /// [`Queue::wake`].
    pub(crate) fn push(&self, message: Message, hold: Option<&Arc<Hold>>) {
        let mut state = self.lock();
        if state.ignored {
            drop(state);
            return message.acknowledge();
        }
        let mut held = None;
        if self.is_full(&state) {
            held = hold.cloned();
            if message.qos == QoS::AtMostOnce {
                // A long one may take the place of many, but each only of as much as it needs.
                let there = self.used(&state);
                let takes_place = |state: &State| {
                    let mut with = self.used(state);
                    with.add(&message);
                    with.messages <= there.messages && with.bytes <= there.bytes
                };
                while self.is_full(&state) && !takes_place(&state) {
                    state.lagged += 1;
                    let gives_way = self.lag == Lag::DropOldest;
                    if !gives_way || state.pop_unreliable().is_none() {
                        return;
                    }
                }
            }
        }
        state.push(message, held);
        let released = self.settle(&mut state);
        drop(state);
        drop(released);
    }

    /// Sees to it that what is within the capacity is not held, and that whoever has to hears of the
    /// next message that is handed out. Drop what it returns once nothing is locked.
    fn settle(&self, state: &mut State) -> Vec<Arc<Hold>> {
        // Before it asks how many are taken: the stream tells first, and asks for attention then.
        self.attention.store(state.needs(), Ordering::SeqCst);
        let taken = self.taken.get();
        let mut released = Vec::new();
        while self.capacity.takes_more_than(state.unheld.plus(taken)) {
            let Some(next) = state.messages.get_mut(state.unheld.messages) else { break };
            state.unheld.add(&next.message);
            released.extend(next.hold.take());
        }
        released
    }

    /// Wakes who waits for a message, if there is one: once for many, as waking costs far more than a
    /// message does.
    pub(crate) fn wake(&self) {
        let mut state = self.lock();
        let waker = if state.messages.is_empty() { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// For how long the driver is to wait before messages are dropped.
    pub(crate) const fn patience(&self) -> Duration {
        match self.lag {
            Lag::DropNewest | Lag::DropOldest => Duration::ZERO,
            Lag::Pause(time) => time,
        }
    }

    /// Whether the driver should wait for room: it is full, and something was taken since it last
    /// waited.
    pub(crate) fn should_wait(&self) -> bool {
        let state = self.lock();
        !state.stuck && self.is_full(&state)
    }

    /// The driver waits until there is some room again: whether there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.driver = Some(cx.waker().clone());
        // Before it asks how many are taken: see `settle`.
        self.attention.store(true, Ordering::SeqCst);
        if self.capacity.is_half_free(self.used(&state)) {
            state.driver = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The driver has waited long enough: until something is taken it does not wait again.
    pub(crate) fn give_up_waiting(&self) {
        let mut state = self.lock();
        state.driver = None;
        state.stuck = self.is_full(&state);
        let released = self.settle(&mut state);
        drop(state);
        drop(released);
    }

    /// Adds a message, in favour of which the oldest make way. Returns how many were given up.
    pub(crate) fn push_over(&self, message: Message) -> u64 {
        let mut state = self.lock();
        if state.ignored {
            drop(state);
            message.acknowledge();
            return 1;
        }
        let mut dropped = Batch::default();
        while self.is_full(&state) {
            let Some(oldest) = state.pop() else { break };
            dropped.push(oldest);
        }
        let count = dropped.extent().messages as u64;
        state.lagged += count;
        state.push(message, None);
        drop(state);
        // Left without an answer it would take up the server's quota for good.
        acknowledge(dropped);
        count
    }

    /// Gives up the oldest messages until there are so many, which are within the bounds. Returns how many
    /// they were.
    pub(crate) fn keep(&self, count: usize) -> u64 {
        let mut state = self.lock();
        let mut dropped = Batch::default();
        let is_beyond = |there: Extent| {
            there.messages > count || (there.messages > 1 && there.bytes > self.capacity.bytes)
        };
        while is_beyond(state.messages.extent()) {
            dropped.extend(state.pop());
        }
        let released = self.settle(&mut state);
        drop(state);
        let excess = dropped.extent().messages as u64;
        acknowledge(dropped);
        drop(released);
        excess
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// From now on nobody is interested in what comes, nor in what is here, or somebody is again. What is
    /// of no interest is acknowledged, so that it does not take up the server's quota. Returns how many
    /// messages were here.
    pub(crate) fn ignore(&self, ignored: bool) -> u64 {
        let mut state = self.lock();
        state.ignored = ignored;
        if !ignored {
            return 0;
        }
        let dropped = core::mem::take(&mut state.messages);
        state.recount();
        self.tell(state);
        let count = dropped.extent().messages as u64;
        acknowledge(dropped);
        count
    }

    /// Takes out what is wanted.
    pub(crate) fn take(&self, wanted: impl Fn(&Message) -> bool) -> Batch {
        let mut state = self.lock();
        let (taken, kept): (Batch, Batch) = core::mem::take(&mut state.messages)
            .into_iter()
            .partition(|waiting| wanted(&waiting.message));
        state.messages = kept;
        state.recount();
        let released = self.settle(&mut state);
        drop(state);
        drop(released);
        taken
    }

    /// The server goes on with its session on a new connection: what is not acknowledged comes again.
    pub(crate) fn drop_what_comes_again(&self, epoch: u64) {
        let comes_again = |hold: &Arc<Hold>| hold.comes_again(epoch);
        let mut state = self.lock();
        let stays = |waiting: &Waiting| {
            let receipt = waiting.message.receipt.as_ref().map(|receipt| &receipt.0);
            !waiting.hold.as_ref().or(receipt).is_some_and(comes_again)
        };
        let (kept, dropped): (Batch, Batch) =
            core::mem::take(&mut state.messages).into_iter().partition(stays);
        state.messages = kept;
        state.recount();
        drop(state);
        drop(dropped);
    }

    /// The next message for the stream, which keeps what it has taken out in `taken`.
    pub(crate) fn poll(&self, cx: &Context<'_>, taken: &mut Batch) -> Poll<Option<Message>> {
        if let Some(first) = taken.pop() {
            self.handed_out(taken);
            return Poll::Ready(Some(first.message));
        }
        let mut state = self.lock();
        // What may still be dropped in favour of others or because it comes again stays here.
        let together =
            !state.messages.has_receipts() && state.is_unheld() && self.lag != Lag::DropOldest;
        let first = if together {
            core::mem::swap(&mut state.messages, taken);
            state.unheld = Extent::default();
            taken.pop()
        } else {
            state.pop()
        };
        let Some(first) = first else {
            if state.closed {
                return Poll::Ready(None);
            }
            if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        self.taken.set(taken.extent());
        self.tell(state);
        Poll::Ready(Some(first.message))
    }

    /// One of those that the stream has taken was handed out; these are left.
    pub(crate) fn handed_out(&self, left: &Batch) {
        self.taken.set(left.extent());
        if self.attention.load(Ordering::SeqCst) {
            self.tell(self.lock());
        }
    }

    /// A message was handed out: tells whom it concerns.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.stuck = false;
        let roomy = self.capacity.is_half_free(self.used(&state));
        let driver = if roomy { state.driver.take() } else { None };
        let released = self.settle(&mut state);
        drop(state);
        drop(released);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(crate) fn lagged(&self) -> u64 {
        self.lock().lagged
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Drops messages that nobody waits for.
fn acknowledge(dropped: Batch) {
    for waiting in dropped {
        waiting.message.acknowledge();
    }
}

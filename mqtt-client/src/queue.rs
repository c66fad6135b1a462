//! The bounded queue between the driver and a subscription's stream.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_codec::{QoS, ReasonCode};
use mqtt_session::AckToken;

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
    capacity: usize,
    lag: Lag,
    /// How many messages the stream has taken out together and not handed out yet. They count.
    taken: AtomicUsize,
    /// Whether somebody is to hear of it when the stream hands one out: see [`State::needs`].
    attention: AtomicBool,
    state: Mutex<State>,
}

/// Messages that a stream has taken out of its queue together, so that the queue is locked once for
/// many of them.
pub(crate) type Taken = VecDeque<Waiting>;

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Waiting>,
    /// No message before this one is held.
    unheld: usize,
    /// How many of the messages have a receipt: those are dropped when they come again, and so are
    /// taken one by one.
    receipts: usize,
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

#[derive(Debug)]
pub(crate) struct Waiting {
    message: Message,
    /// Beyond the capacity: what acknowledges the message once it is within.
    hold: Option<Arc<Hold>>,
}

impl From<Message> for Waiting {
    fn from(message: Message) -> Self {
        Self { message, hold: None }
    }
}

impl State {
    fn push(&mut self, message: Message, hold: Option<Arc<Hold>>) {
        if hold.is_none() && self.unheld == self.messages.len() {
            self.unheld += 1;
        }
        self.receipts += usize::from(message.receipt.is_some());
        self.messages.push_back(Waiting { message, hold });
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.messages.pop_front()?;
        self.unheld = self.unheld.saturating_sub(1);
        self.receipts -= usize::from(first.message.receipt.is_some());
        Some(first)
    }

    /// Some were taken out of the middle.
    fn recount(&mut self) {
        self.unheld = self.messages.iter().take_while(|waiting| waiting.hold.is_none()).count();
        let receipts = self.messages.iter().filter(|waiting| waiting.message.receipt.is_some());
        self.receipts = receipts.count();
    }

    /// Whether something hangs on a message being handed out.
    fn needs(&self) -> bool {
        self.stuck || self.driver.is_some() || self.unheld < self.messages.len()
    }
}

impl Queue {
    pub(crate) fn new(capacity: usize, lag: Lag) -> Self {
        Self {
            capacity: capacity.max(1),
            lag,
            taken: AtomicUsize::new(0),
            attention: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room_in(&self, state: &State) -> usize {
        let waiting = state.messages.len() + self.taken.load(Ordering::SeqCst);
        self.capacity.saturating_sub(waiting)
    }

    /// How many messages there is room for.
    pub(crate) fn room(&self) -> usize {
        self.room_in(&self.lock())
    }

    /// Adds messages for which there is room, so many of them with a receipt. None is held.
    pub(crate) fn append(&self, messages: &mut Taken, receipts: usize) {
        let mut state = self.lock();
        if state.ignored {
            drop(state);
            return acknowledge(messages);
        }
        if state.unheld == state.messages.len() {
            state.unheld += messages.len();
        }
        state.receipts += receipts;
        if state.messages.is_empty() {
            core::mem::swap(&mut state.messages, messages);
        } else {
            state.messages.append(messages);
        }
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
        if self.room_in(&state) == 0 {
            held = hold.cloned();
            if message.qos == QoS::AtMostOnce {
                state.lagged += 1;
                let oldest = match self.lag {
                    Lag::DropNewest | Lag::Pause(_) => None,
                    Lag::DropOldest => {
                        state.messages.iter().position(|w| w.message.qos == QoS::AtMostOnce)
                    }
                };
                match oldest {
                    Some(oldest) => {
                        drop(state.messages.remove(oldest));
                        state.recount();
                    }
                    None => return,
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
        let taken = self.taken.load(Ordering::SeqCst);
        let within = self.capacity.saturating_sub(taken).min(state.messages.len());
        if within <= state.unheld {
            return Vec::new();
        }
        let newly = state.messages.range_mut(state.unheld..within);
        let released = newly.filter_map(|waiting| waiting.hold.take()).collect();
        state.unheld = within;
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
        !state.stuck && self.room_in(&state) == 0
    }

    /// The driver waits until there is some room again: whether there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.driver = Some(cx.waker().clone());
        // Before it asks how many are taken: see `settle`.
        self.attention.store(true, Ordering::SeqCst);
        if self.room_in(&state) * 2 >= self.capacity {
            state.driver = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The driver has waited long enough: until something is taken it does not wait again.
    pub(crate) fn give_up_waiting(&self) {
        let mut state = self.lock();
        state.driver = None;
        state.stuck = self.room_in(&state) == 0;
        let released = self.settle(&mut state);
        drop(state);
        drop(released);
    }

    /// Adds a message, in favour of which the oldest one makes way; whether none had to.
    pub(crate) fn push_over(&self, message: Message) -> bool {
        let mut state = self.lock();
        if state.ignored {
            drop(state);
            message.acknowledge();
            return false;
        }
        let oldest = if state.messages.len() >= self.capacity {
            state.lagged += 1;
            state.pop()
        } else {
            None
        };
        state.push(message, None);
        drop(state);
        // Left without an answer it would take up the server's quota for good.
        if let Some(oldest) = &oldest {
            oldest.message.acknowledge();
        }
        oldest.is_none()
    }

    /// Gives up the oldest messages until there are so many. Returns how many they were.
    pub(crate) fn keep(&self, count: usize) -> u64 {
        let mut state = self.lock();
        let excess = state.messages.len().saturating_sub(count);
        let mut dropped: Taken = (0..excess).map_while(|_| state.pop()).collect();
        let released = self.settle(&mut state);
        drop(state);
        acknowledge(&mut dropped);
        drop(released);
        excess as u64
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
        let mut dropped = core::mem::take(&mut state.messages);
        state.recount();
        self.tell(state);
        let count = dropped.len() as u64;
        acknowledge(&mut dropped);
        count
    }

    /// Moves what is wanted into another queue.
    pub(crate) fn hand_over(&self, to: &Self, wanted: impl Fn(&Message) -> bool) {
        let mut state = self.lock();
        let (taken, kept): (Taken, Taken) = core::mem::take(&mut state.messages)
            .into_iter()
            .partition(|waiting| wanted(&waiting.message));
        state.messages = kept;
        state.recount();
        let released = self.settle(&mut state);
        drop(state);
        for Waiting { message, hold } in taken {
            to.push(message, hold.as_ref());
        }
        drop(released);
    }

    /// The server goes on with its session on a new connection: what is not acknowledged comes again.
    pub(crate) fn drop_what_comes_again(&self, epoch: u64) {
        let comes_again = |hold: &Arc<Hold>| hold.comes_again(epoch);
        let mut state = self.lock();
        state.messages.retain(|waiting| {
            let receipt = waiting.message.receipt.as_ref().map(|receipt| &receipt.0);
            !waiting.hold.as_ref().or(receipt).is_some_and(comes_again)
        });
        state.recount();
    }

    /// The next message for the stream, which keeps what it has taken out in `taken`.
    pub(crate) fn poll(&self, cx: &Context<'_>, taken: &mut Taken) -> Poll<Option<Message>> {
        if let Some(first) = taken.pop_front() {
            self.handed_out(taken.len());
            return Poll::Ready(Some(first.message));
        }
        let mut state = self.lock();
        // What may still be dropped in favour of others or because it comes again stays here.
        let together = state.receipts == 0
            && state.unheld == state.messages.len()
            && self.lag != Lag::DropOldest;
        let first = if together {
            core::mem::swap(&mut state.messages, taken);
            state.unheld = 0;
            taken.pop_front()
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
        self.taken.store(taken.len(), Ordering::SeqCst);
        self.tell(state);
        Poll::Ready(Some(first.message))
    }

    /// One of those that the stream has taken was handed out; so many are left of them.
    pub(crate) fn handed_out(&self, left: usize) {
        self.taken.store(left, Ordering::SeqCst);
        if self.attention.load(Ordering::SeqCst) {
            self.tell(self.lock());
        }
    }

    /// A message was handed out: tells whom it concerns.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.stuck = false;
        let roomy = self.room_in(&state) * 2 >= self.capacity;
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
fn acknowledge(dropped: &mut Taken) {
    for waiting in dropped.drain(..) {
        waiting.message.acknowledge();
    }
}

//! How many messages there are, and how many bytes they take.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::Message;
use crate::queue::Hold;

/// So many messages, and so many bytes of topics, payloads and properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Extent {
    /// What is full with one message or byte at the least.
    pub(crate) fn bound(messages: usize, bytes: usize) -> Self {
        Self { messages: messages.max(1), bytes: bytes.max(1) }
    }

    pub(crate) fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.size();
    }

    pub(crate) fn remove(&mut self, message: &Message) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.size());
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }

    /// Whether a message more is within this bound. It is while the others do not take all bytes, however
    /// long it is itself: what is longer than the bound finds its way too.
    pub(crate) const fn takes_more_than(self, others: Self) -> bool {
        others.messages < self.messages && others.bytes < self.bytes
    }

    /// What is left of it beside others.
    pub(crate) const fn beside(self, others: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(others.messages),
            bytes: self.bytes.saturating_sub(others.bytes),
        }
    }

    /// Whether at least half of it is left beside others.
    pub(crate) const fn is_half_free(self, others: Self) -> bool {
        let left = self.beside(others);
        left.messages.saturating_mul(2) >= self.messages
            && left.bytes.saturating_mul(2) >= self.bytes
    }
}

/// A message that waits to be taken.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Message,
    /// Beyond the bounds: what acknowledges the message once it is within.
    pub(crate) hold: Option<Arc<Hold>>,
}

impl From<Message> for Waiting {
    fn from(message: Message) -> Self {
        Self { message, hold: None }
    }
}

/// Messages in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    waiting: VecDeque<Waiting>,
    extent: Extent,
    /// How many of them have a receipt: those are dropped when they come again, and so are taken one by
    /// one.
    receipts: usize,
}

impl Batch {
    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) const fn has_receipts(&self) -> bool {
        self.receipts > 0
    }

    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.extent.add(&waiting.message);
        self.receipts += usize::from(waiting.message.receipt.is_some());
        self.waiting.push_back(waiting);
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front();
        self.forget(first)
    }

    /// Takes out the first one of which this holds, and tells where it was.
    pub(crate) fn take(&mut self, is: impl Fn(&Message) -> bool) -> Option<(usize, Waiting)> {
        let place = self.waiting.iter().position(|waiting| is(&waiting.message))?;
        let taken = self.waiting.remove(place);
        Some((place, self.forget(taken)?))
    }

    fn forget(&mut self, taken: Option<Waiting>) -> Option<Waiting> {
        let taken = taken?;
        self.extent.remove(&taken.message);
        self.receipts -= usize::from(taken.message.receipt.is_some());
        Some(taken)
    }

    /// Puts others behind these.
    pub(crate) fn append(&mut self, others: &mut Self) {
        if self.is_empty() {
            return core::mem::swap(self, others);
        }
        self.waiting.append(&mut others.waiting);
        self.extent = self.extent.plus(core::mem::take(&mut others.extent));
        self.receipts += core::mem::take(&mut others.receipts);
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Waiting> {
        self.waiting.get_mut(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.waiting.shrink_to_fit();
    }
}

impl Extend<Waiting> for Batch {
    fn extend<I: IntoIterator<Item = Waiting>>(&mut self, waiting: I) {
        waiting.into_iter().for_each(|waiting| self.push(waiting));
    }
}

impl IntoIterator for Batch {
    type Item = Waiting;
    type IntoIter = alloc::collections::vec_deque::IntoIter<Waiting>;

    fn into_iter(self) -> Self::IntoIter {
        self.waiting.into_iter()
    }
}

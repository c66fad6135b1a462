//! How two threads call each other: a list of what has happened, and a bell that is rung once for
//! however much of it there is.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mio::Waker;

/// One thread rings it, another answers it.
#[derive(Debug)]
pub(super) struct Bell<T> {
    waker: Arc<Waker>,
    /// Whether the other thread was woken and has not looked yet.
    is_rung: AtomicBool,
    list: Mutex<Vec<T>>,
}

impl<T> Bell<T> {
    pub(super) const fn new(waker: Arc<Waker>) -> Self {
        Self { waker, is_rung: AtomicBool::new(false), list: Mutex::new(Vec::new()) }
    }

    /// Adds to the list, and wakes the other thread unless it will look anyway.
    pub(super) fn ring(&self, item: T) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            // It fails only for a thread that has ended.
            let _ = self.waker.wake();
        }
    }

    /// All that has happened.
    pub(super) fn answer(&self) -> Vec<T> {
        // Before the list is taken: what comes behind it rings again.
        self.is_rung.store(false, Ordering::Release);
        core::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

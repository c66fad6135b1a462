//! A driver whose turns are taken by whichever thread has something for it to do.
//!
//! A driver has a thread of its own, which takes all turns that nobody else does, above all those that time
//! brings. But to wake that thread takes the system longer than most turns last. So who wakes the driver and is about to
//! wait anyway takes its turn right away: the thread that publishes and then waits for the outcome, and the one that has
//! read something and would read on.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::Driver;

/// A driver and the thread that runs it.
#[derive(Default)]
pub(super) struct Turns {
    /// As long as it has not ended.
    driver: Mutex<Option<Pin<Box<Driver>>>>,
    /// When it is to have its turn although nothing has happened.
    alarm: Mutex<Option<Instant>>,
    thread: OnceLock<Thread>,
}

std::thread_local! {
    /// While this thread puts off to wake a driver: the one that is to be woken.
    static PUT_OFF: RefCell<Option<Option<Arc<Turns>>>> = const { RefCell::new(None) };
}

/// Does something on this thread. If that wakes the thread of a driver, it is put off, and the driver is
/// returned: it has to get a turn, or be woken.
pub(super) fn putting_off<R>(act: impl FnOnce() -> R) -> (R, Option<Arc<Turns>>) {
    /// Ends it, also when this panics.
    struct End(Option<Option<Arc<Turns>>>);

    impl End {
        fn end(&mut self) -> Option<Arc<Turns>> {
            PUT_OFF.replace(self.0.take()).flatten()
        }
    }

    impl Drop for End {
        fn drop(&mut self) {
            if let Some(turns) = self.end() {
                turns.ring();
            }
        }
    }

    let mut end = End(PUT_OFF.replace(Some(None)));
    let result = act();
    let turns = end.end();
    core::mem::forget(end);
    (result, turns)
}

impl Wake for Turns {
    fn wake(self: Arc<Self>) {
        let put_off = PUT_OFF.try_with(|put_off| {
            let mut put_off = put_off.try_borrow_mut().ok()?;
            let place = put_off.as_mut()?;
            let same = place.as_ref().is_none_or(|turns| Arc::ptr_eq(turns, &self));
            same.then(|| *place = Some(Arc::clone(&self)))
        });
        if !matches!(put_off, Ok(Some(()))) {
            self.ring();
        }
    }
}

impl Turns {
    /// Wakes the thread of the driver.
    pub(super) fn ring(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Runs the driver to its end on this thread.
    pub(super) fn run(self: Arc<Self>, driver: Driver) {
        *lock(&self.driver) = Some(Box::pin(driver));
        // Nobody has run it before.
        let _ = self.thread.set(thread::current());
        while self.poll(lock(&self.driver)) {
            let mut alarm = lock(&self.alarm);
            let left = alarm.map(|alarm| alarm.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                // It goes off once: perhaps nothing is due any more.
                *alarm = None;
                continue;
            }
            drop(alarm);
            match left {
                None => thread::park(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Gives the driver one turn on this thread. What remains to be done is left to its own.
    pub(super) fn take_turn(self: &Arc<Self>) {
        /// Rings, also when the driver panics.
        struct Bell<'t>(&'t Turns);

        impl Drop for Bell<'_> {
            fn drop(&mut self) {
                self.0.ring();
            }
        }

        let bell = Bell(self);
        let driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            // It has its turn now, and gets another one.
            Err(TryLockError::WouldBlock) => return,
        };
        let before = *lock(&self.alarm);
        let goes_on = self.poll(driver);
        let after = *lock(&self.alarm);
        // Its thread waits for an alarm that is no later.
        if goes_on && after.is_none_or(|after| before.is_some_and(|before| before <= after)) {
            core::mem::forget(bell);
        }
    }

    /// Polls the driver; whether it goes on. If it panics, it has ended.
    fn poll(self: &Arc<Self>, mut driver: MutexGuard<'_, Option<Pin<Box<Driver>>>>) -> bool {
        let Some(mut polled) = driver.take() else { return false };
        let waker = Waker::from(Arc::clone(self));
        if polled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return false;
        }
        *driver = Some(polled);
        true
    }

    /// From now on the driver is to have its turn at that moment.
    pub(super) fn set_alarm(&self, until: Instant) {
        *lock(&self.alarm) = Some(until);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

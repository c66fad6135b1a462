//! Time as an argument.

use core::num::NonZeroU64;
use core::time::Duration;

/// A moment: milliseconds since an epoch that the caller chooses and keeps to, up to 2^64 - 2 of them.
/// Never goes back. One that there may be takes no more memory than one that there is.
///
/// ```
/// use core::time::Duration;
/// use mqtt_session::Instant;
/// let now = Instant::from_millis(500);
/// assert_eq!(now + Duration::from_secs(1), Instant::from_millis(1500));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// One more than the milliseconds.
    NonZeroU64,
);

impl Default for Instant {
    /// The epoch.
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl Instant {
    /// The moment this many milliseconds after the epoch, or the last one that there is.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// The system's monotonic clock.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: std::time::Instant,
    /// What it showed then.
    start: Instant,
}

#[cfg(feature = "std")]
impl Clock {
    /// A clock that begins at 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: std::time::Instant::now(), start: Instant::default() }
    }

    /// A clock that begins at the time since the Unix epoch, for moments that are stored. Once it has
    /// begun it does not follow when the system's time is set.
    #[must_use]
    pub fn unix() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let start = Instant::default() + now.unwrap_or_default();
        Self { started: std::time::Instant::now(), start }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.start + self.started.elapsed()
    }

    /// When this moment comes, by the system's clock; now if it has passed before the clock began.
    #[must_use]
    pub fn deadline(&self, instant: Instant) -> std::time::Instant {
        let after = instant.since(self.start);
        // The end of time is further away than the system can say.
        self.started.checked_add(after).unwrap_or_else(|| self.started + FAR)
    }
}

/// A hundred years.
#[cfg(feature = "std")]
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

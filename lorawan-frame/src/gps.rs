//! GPS time: seconds since 1980-01-06 without leap seconds, the clock of beacons, DeviceTimeAns
//! and the application packages.

/// Unix time of the GPS epoch, 1980-01-06T00:00:00Z.
pub const EPOCH_UNIX: i64 = 315_964_800;

/// Unix time from which one more leap second lies between GPS and UTC (IERS Bulletin C).
///
/// A new leap second needs a new row; there has been none since 2017, and none is announced.
const LEAP_SECONDS: [i64; 18] = [
    362_793_600,   // 1981-07-01
    394_329_600,   // 1982-07-01
    425_865_600,   // 1983-07-01
    489_024_000,   // 1985-07-01
    567_993_600,   // 1988-01-01
    631_152_000,   // 1990-01-01
    662_688_000,   // 1991-01-01
    709_948_800,   // 1992-07-01
    741_484_800,   // 1993-07-01
    773_020_800,   // 1994-07-01
    820_454_400,   // 1996-01-01
    867_715_200,   // 1997-07-01
    915_148_800,   // 1999-01-01
    1_136_073_600, // 2006-01-01
    1_230_768_000, // 2009-01-01
    1_341_100_800, // 2012-07-01
    1_435_708_800, // 2015-07-01
    1_483_228_800, // 2017-01-01
];

/// GPS seconds of a Unix time; `None` before the GPS epoch.
///
/// ```
/// use lorawan_frame::gps;
///
/// let new_year_2026 = 1_767_225_600;
/// assert_eq!(gps::from_unix(new_year_2026), Some(1_451_260_818));
/// assert_eq!(gps::to_unix(1_451_260_818), new_year_2026);
/// ```
#[must_use]
pub fn from_unix(unix_seconds: i64) -> Option<u64> {
    let leaps = LEAP_SECONDS.iter().take_while(|&&from| from <= unix_seconds).count();
    let seconds = unix_seconds.checked_sub(EPOCH_UNIX)?;
    u64::try_from(seconds).ok()?.checked_add(leaps as u64)
}

/// Unix time of GPS seconds. The leap second itself has the Unix time of the second after it.
#[must_use]
pub fn to_unix(gps_seconds: u64) -> i64 {
    let continuous = EPOCH_UNIX.saturating_add(i64::try_from(gps_seconds).unwrap_or(i64::MAX));
    let leaps = LEAP_SECONDS
        .iter()
        .zip(1..)
        .take_while(|&(&from, leap): &(&i64, i64)| from + leap <= continuous)
        .count();
    continuous.saturating_sub(leaps as i64)
}

/// Unix seconds and nanoseconds of a time in UTC, as gateways write it: ISO 8601
/// (`2013-03-31T16:21:17.528002Z`, with `-` and `:` left out or not) or the `stat` form
/// (`2014-01-12 08:59:28 GMT`).
///
/// `None` when the text is no such time. A leap second (`:60`) counts as the second after it.
#[must_use]
pub fn parse_utc(text: &str) -> Option<(i64, u32)> {
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix(" GMT"))
        .or_else(|| text.strip_suffix("+00:00").or_else(|| text.strip_suffix("-00:00")))?;
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let month_index = usize::try_from(month).ok()?.checked_sub(1)?;
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap_year { 29 } else { 28 };
    let days_of_month = *[31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].get(month_index)?;
    if !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days from civil: a year that begins in March puts the leap day last.
    let shifted_year = i64::from(year) - i64::from(month <= 2);
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let days = shifted_year * 365 + shifted_year.div_euclid(4) - shifted_year.div_euclid(100)
        + shifted_year.div_euclid(400)
        + day_of_year
        - 719_468;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some((days * 86_400 + seconds, nanoseconds(fraction)?))
}

/// Three numbers of these widths, with the separator between them or none at all.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[u32; 3]> {
    let mut rest = text;
    let mut numbers = [0; 3];
    let separated = text.contains(separator);
    for (n, (number, width)) in numbers.iter_mut().zip(widths).enumerate() {
        if separated && n > 0 {
            rest = rest.strip_prefix(separator)?;
        }
        let (digits, after) = rest.split_at_checked(width)?;
        *number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        rest = after;
    }
    rest.is_empty().then_some(numbers)
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| {
        fraction
            .bytes()
            .chain(core::iter::repeat(b'0'))
            .take(9)
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    })
}

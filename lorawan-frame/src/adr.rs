//! Figures for adaptive data rate and link budgets.
//!
//! What a server does with them is its policy; [`step`] and [`nb_trans`] are those of ChirpStack's
//! default algorithm, given as a well-known starting point.

/// EIRP in dBm of the MaxEIRP index in TxParamSetupReq (LoRaWAN 1.1, 5.8).
pub const MAX_EIRP_DBM: [u8; 16] = [8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36];

/// The highest MaxEIRP index whose EIRP is not above `eirp_cdbm`, hundredths of a dBm; `None`
/// below 8 dBm.
#[must_use]
pub fn max_eirp_index(eirp_cdbm: i16) -> Option<u8> {
    (0u8..16).rev().find(|&index| {
        MAX_EIRP_DBM.get(usize::from(index)).is_some_and(|&dbm| i16::from(dbm) * 100 <= eirp_cdbm)
    })
}

/// SNR in hundredths of a dB at which a spreading factor is just demodulated; `None` outside SF5
/// to SF12.
#[must_use]
pub const fn required_snr_cdb(spreading_factor: u8) -> Option<i16> {
    match spreading_factor {
        5..=12 => Some(1000 - 250 * spreading_factor as i16),
        _ => None,
    }
}

/// Sensitivity of a receiver in hundredths of a dBm: thermal noise of -174 dBm/Hz over the
/// bandwidth, plus its noise figure (about 6 dB), plus the SNR it needs; both in hundredths of a
/// dB. Exact to 0.01 dB.
///
/// ```
/// use lorawan_frame::adr;
///
/// let snr = adr::required_snr_cdb(12).unwrap();
/// assert_eq!(adr::sensitivity_cdbm(125_000, 600, snr), -137_03);
/// ```
#[must_use]
pub fn sensitivity_cdbm(bandwidth_hz: u32, noise_figure_cdb: i16, snr_cdb: i16) -> i32 {
    -17_400 + ten_log10_centi(bandwidth_hz) + i32::from(noise_figure_cdb) + i32::from(snr_cdb)
}

/// How much weaker than sent a frame may arrive, in hundredths of a dB: the power sent (hundredths
/// of a dBm) less the receiver's sensitivity ([`sensitivity_cdbm`]). Gains of antennas come on top.
///
/// ```
/// use lorawan_frame::adr;
///
/// let sensitivity = adr::sensitivity_cdbm(125_000, 600, -2000);
/// assert_eq!(adr::link_budget_cdb(1700, sensitivity), 154_03);
/// ```
#[must_use]
pub const fn link_budget_cdb(tx_power_cdbm: i16, sensitivity_cdbm: i32) -> i32 {
    (tx_power_cdbm as i32).saturating_sub(sensitivity_cdbm)
}

/// 10 * log10(n) in hundredths, rounded; 0 for 0. There is no logarithm in `core`.
fn ten_log10_centi(n: u32) -> i32 {
    // log2 in 16 fractional bits: the mantissa is squared, each carry is one bit.
    let whole = n.max(1).ilog2();
    let mut mantissa = u64::from(n.max(1)) << 31 >> whole;
    let mut log2 = u64::from(whole);
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        let carry = mantissa >> 32;
        mantissa >>= carry;
        log2 = log2 << 1 | carry;
    }
    // 10 * log10(2) * 100 = 301.029_996; 2^16 as divisor.
    ((log2 * 301_029_996 + (1 << 15) * 1_000_000) / (1_000_000 << 16)) as i32
}

/// How many steps of 3 dB a device has to spare (or lacks): the best SNR of the last uplinks,
/// less what its data rate needs, less an installation margin; all in hundredths of a dB.
#[must_use]
pub const fn steps(best_snr_cdb: i32, required_snr_cdb: i32, margin_cdb: i32) -> i32 {
    best_snr_cdb.saturating_sub(required_snr_cdb).saturating_sub(margin_cdb) / 300
}

/// Where [`step`] stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Highest data rate.
    pub max_data_rate: u8,
    /// Highest TXPower index (lowest power).
    pub max_tx_power_index: u8,
}

/// TXPower index and data rate after `steps`: spare steps raise the data rate first and then lower
/// the power; missing steps only raise the power, as the device lowers its data rate by itself.
#[must_use]
pub const fn step(steps: i32, tx_power_index: u8, data_rate: u8, limits: Limits) -> (u8, u8) {
    if steps < 0 {
        return (saturating_sub(tx_power_index, steps.unsigned_abs()), data_rate);
    }
    let to_rate = steps.unsigned_abs();
    let room = limits.max_data_rate.saturating_sub(data_rate);
    let faster = if to_rate < room as u32 { to_rate as u8 } else { room };
    let to_power = to_rate - faster as u32;
    let room = limits.max_tx_power_index.saturating_sub(tx_power_index);
    let weaker = if to_power < room as u32 { to_power as u8 } else { room };
    (tx_power_index.saturating_add(weaker), data_rate.saturating_add(faster))
}

const fn saturating_sub(value: u8, by: u32) -> u8 {
    if by < value as u32 { value - by as u8 } else { 0 }
}

/// NbTrans for a loss of uplinks, in thousandths, after `current` (1 to 3).
///
/// Below 5 %, 10 %, 30 % and above: more repetitions the more is lost, fewer when all is well.
#[must_use]
pub fn nb_trans(loss_per_mille: u16, current: u8) -> u8 {
    const TABLE: [[u8; 3]; 4] = [[1, 1, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3]];
    let row = match loss_per_mille {
        0..50 => 0,
        50..100 => 1,
        100..300 => 2,
        _ => 3,
    };
    let column = usize::from(current.clamp(1, 3)) - 1;
    TABLE.get(row).and_then(|row| row.get(column)).copied().unwrap_or(3)
}

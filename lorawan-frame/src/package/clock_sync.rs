//! TS003 application layer clock synchronization, version 1 and 2 (which differ in the version
//! they announce only).
//!
//! Times are GPS seconds modulo 2^32.

use super::wire::{Bits, Cursor, Walk};
use super::{PackageVersionAns, messages};
use crate::Error;

messages! {
    /// Device to server.
    Uplink, "TS003", package 1, port 202;
    /// Version of the package.
    0x00 PackageVersionAns(PackageVersionAns);
    /// The device's time; asks for the correction.
    0x01 AppTimeReq(AppTimeReq);
    /// Whether the device will ask periodically.
    0x02 DeviceAppTimePeriodicityAns(DeviceAppTimePeriodicityAns);
}

messages! {
    /// Server to device.
    Downlink, "TS003", package 1, port 202;
    /// Asks for the version of the package.
    0x00 PackageVersionReq;
    /// The correction to apply.
    0x01 AppTimeAns(AppTimeAns);
    /// Sets how often the device asks for the time.
    0x02 DeviceAppTimePeriodicityReq(DeviceAppTimePeriodicityReq);
    /// Makes the device ask for the time now.
    0x03 ForceDeviceResyncReq(ForceDeviceResyncReq);
}

/// AppTimeReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AppTimeReq {
    /// The device's clock when it sent the frame, GPS seconds modulo 2^32.
    pub device_time: u32,
    /// Number of the request, 0 to 15; the answer repeats it.
    pub token_req: u8,
    /// Whether the server answers even when the clock is right.
    pub ans_required: bool,
}

impl AppTimeReq {
    /// The answer of a server that received the frame at this GPS time in seconds.
    #[must_use]
    pub const fn answer(&self, received_at: u64) -> AppTimeAns {
        AppTimeAns {
            time_correction: (received_at as u32).wrapping_sub(self.device_time) as i32,
            token_ans: self.token_req,
        }
    }
}

impl<'a> Walk<'a> for AppTimeReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u32(&mut self.device_time)?;
        w.byte(&mut [
            Bits::Number(&mut self.token_req, 4),
            Bits::Flag(&mut self.ans_required),
            Bits::Rfu(3),
        ])
    }
}

/// AppTimeAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AppTimeAns {
    /// Seconds to add to the device's clock.
    pub time_correction: i32,
    /// The number of the request, 0 to 15; other answers must be ignored.
    pub token_ans: u8,
}

impl<'a> Walk<'a> for AppTimeAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.i32(&mut self.time_correction)?;
        w.byte(&mut [Bits::Number(&mut self.token_ans, 4), Bits::Rfu(4)])
    }
}

/// DeviceAppTimePeriodicityReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceAppTimePeriodicityReq {
    /// The device asks every 128 * 2^period seconds, give or take 30; 0 to 15.
    pub period: u8,
}

impl<'a> Walk<'a> for DeviceAppTimePeriodicityReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.period, 4), Bits::Rfu(4)])
    }
}

/// DeviceAppTimePeriodicityAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceAppTimePeriodicityAns {
    /// The device cannot ask periodically.
    pub not_supported: bool,
    /// The device's clock, GPS seconds modulo 2^32.
    pub time: u32,
}

impl<'a> Walk<'a> for DeviceAppTimePeriodicityAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Flag(&mut self.not_supported), Bits::Rfu(7)])?;
        w.u32(&mut self.time)
    }
}

/// ForceDeviceResyncReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ForceDeviceResyncReq {
    /// How often the device sends AppTimeReq, 0 to 7.
    pub nb_transmissions: u8,
}

impl<'a> Walk<'a> for ForceDeviceResyncReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.nb_transmissions, 3), Bits::Rfu(5)])
    }
}

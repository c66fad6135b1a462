//! TS005 remote multicast setup, version 1 and 2 (version 2 adds `start_missed`).
//!
//! The multicast keys are derived in [`derivation`](crate::derivation).

use super::wire::{Bits, Cursor, Walk};
use super::{PackageVersionAns, Version, messages};
use crate::{DevAddr, Error, Frequency};

messages! {
    /// Device to server.
    Uplink, "TS005", package 2, port 200;
    /// Version of the package.
    0x00 PackageVersionAns(PackageVersionAns);
    /// Which groups the device is in.
    0x01 McGroupStatusAns(McGroupStatusAns);
    /// Whether the group was set up.
    0x02 McGroupSetupAns(McGroupSetupAns);
    /// Whether the group was deleted.
    0x03 McGroupDeleteAns(McGroupDeleteAns);
    /// Whether the Class C session will happen.
    0x04 McClassCSessionAns(McSessionAns);
    /// Whether the Class B session will happen.
    0x05 McClassBSessionAns(McSessionAns);
}

messages! {
    /// Server to device.
    Downlink, "TS005", package 2, port 200;
    /// Asks for the version of the package.
    0x00 PackageVersionReq;
    /// Asks which groups the device is in.
    0x01 McGroupStatusReq(McGroupStatusReq);
    /// Sets a group up.
    0x02 McGroupSetupReq(McGroupSetupReq);
    /// Deletes a group.
    0x03 McGroupDeleteReq(McGroupDeleteReq);
    /// Starts a Class C session of a group.
    0x04 McClassCSessionReq(McClassCSessionReq);
    /// Starts a Class B session of a group.
    0x05 McClassBSessionReq(McClassBSessionReq);
}

/// McGroupStatusReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupStatusReq {
    /// The groups asked about, bit 0 is group 0; 4 bits.
    pub req_group_mask: u8,
}

impl<'a> Walk<'a> for McGroupStatusReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.req_group_mask, 4), Bits::Rfu(4)])
    }
}

/// One group of a McGroupStatusAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroup {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// Its address.
    pub mc_addr: DevAddr,
}

/// McGroupStatusAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupStatusAns {
    /// Groups set up in the device, 0 to 7.
    pub nb_total_groups: u8,
    /// The groups that `items` tells of, bit 0 is group 0; 4 bits.
    pub ans_group_mask: u8,
    /// As many groups as the mask has bits, then `None`.
    pub items: [Option<McGroup>; 4],
}

impl<'a> Walk<'a> for McGroupStatusAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        let reading = w.reading_version().is_some();
        w.byte(&mut [
            Bits::Number(&mut self.ans_group_mask, 4),
            Bits::Number(&mut self.nb_total_groups, 3),
            Bits::Rfu(1),
        ])?;
        let listed = self.ans_group_mask.count_ones() as usize;
        for (n, item) in self.items.iter_mut().enumerate() {
            if !reading && item.is_some() != (n < listed) {
                return Err(w.out_of_range(listed as u32));
            }
            if n < listed {
                let mut group = item.unwrap_or_default();
                w.byte(&mut [Bits::Number(&mut group.mc_group_id, 2), Bits::Rfu(6)])?;
                w.dev_addr(&mut group.mc_addr)?;
                *item = Some(group);
            }
        }
        Ok(())
    }
}

/// McGroupSetupReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupSetupReq {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// Its address.
    pub mc_addr: DevAddr,
    /// McKey, decrypted with McKEKey: the device encrypts it to get the key.
    pub mc_key_encrypted: [u8; 16],
    /// First frame counter of the group.
    pub min_mc_fcnt: u32,
    /// Frame counter at which the group ends.
    pub max_mc_fcnt: u32,
}

impl<'a> Walk<'a> for McGroupSetupReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.mc_group_id, 2), Bits::Rfu(6)])?;
        w.dev_addr(&mut self.mc_addr)?;
        w.bytes(&mut self.mc_key_encrypted)?;
        w.u32(&mut self.min_mc_fcnt)?;
        w.u32(&mut self.max_mc_fcnt)
    }
}

/// McGroupSetupAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupSetupAns {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// The device has no such group.
    pub id_error: bool,
}

impl<'a> Walk<'a> for McGroupSetupAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Number(&mut self.mc_group_id, 2),
            Bits::Flag(&mut self.id_error),
            Bits::Rfu(5),
        ])
    }
}

/// McGroupDeleteReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupDeleteReq {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
}

impl<'a> Walk<'a> for McGroupDeleteReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.mc_group_id, 2), Bits::Rfu(6)])
    }
}

/// McGroupDeleteAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McGroupDeleteAns {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// The group was not set up.
    pub mc_group_undefined: bool,
}

impl<'a> Walk<'a> for McGroupDeleteAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Number(&mut self.mc_group_id, 2),
            Bits::Flag(&mut self.mc_group_undefined),
            Bits::Rfu(5),
        ])
    }
}

/// McClassCSessionReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McClassCSessionReq {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// Start of the session, GPS seconds modulo 2^32.
    pub session_time: u32,
    /// The session lasts at most 2^time_out seconds, 0 to 15.
    pub time_out: u8,
    /// Where the device listens.
    pub dl_frequency: Frequency,
    /// Data rate.
    pub dr: u8,
}

impl<'a> Walk<'a> for McClassCSessionReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.mc_group_id, 2), Bits::Rfu(6)])?;
        w.u32(&mut self.session_time)?;
        w.byte(&mut [Bits::Number(&mut self.time_out, 4), Bits::Rfu(4)])?;
        w.frequency(&mut self.dl_frequency)?;
        w.u8(&mut self.dr)
    }
}

/// McClassBSessionReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McClassBSessionReq {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// Start of the session, GPS seconds modulo 2^32, a multiple of 128.
    pub session_time: u32,
    /// The session lasts at most 128 * 2^time_out seconds, 0 to 15.
    pub time_out: u8,
    /// Ping slots every 2^periodicity seconds, 0 to 7.
    pub periodicity: u8,
    /// Where the device listens; 0 is the region's ping-slot frequency.
    pub dl_frequency: Frequency,
    /// Data rate.
    pub dr: u8,
}

impl<'a> Walk<'a> for McClassBSessionReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.mc_group_id, 2), Bits::Rfu(6)])?;
        w.u32(&mut self.session_time)?;
        w.byte(&mut [
            Bits::Number(&mut self.time_out, 4),
            Bits::Number(&mut self.periodicity, 3),
            Bits::Rfu(1),
        ])?;
        w.frequency(&mut self.dl_frequency)?;
        w.u8(&mut self.dr)
    }
}

/// McClassCSessionAns and McClassBSessionAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct McSessionAns {
    /// Number of the group, 0 to 3.
    pub mc_group_id: u8,
    /// The device cannot use the data rate.
    pub dr_error: bool,
    /// The device cannot use the frequency.
    pub freq_error: bool,
    /// The group is not set up.
    pub mc_group_undefined: bool,
    /// The start lies in the past. Version 2; a reserved bit in version 1.
    pub start_missed: bool,
    /// Seconds until the session starts, 24 bits. On the wire exactly when there is no error;
    /// building with an error leaves it out.
    pub time_to_start: Option<u32>,
}

impl McSessionAns {
    const fn has_error(&self) -> bool {
        self.dr_error || self.freq_error || self.mc_group_undefined || self.start_missed
    }
}

impl<'a> Walk<'a> for McSessionAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Number(&mut self.mc_group_id, 2),
            Bits::Flag(&mut self.dr_error),
            Bits::Flag(&mut self.freq_error),
            Bits::Flag(&mut self.mc_group_undefined),
            Bits::Flag(&mut self.start_missed),
            Bits::Rfu(2),
        ])?;
        if w.reading_version() == Some(Version::V1) {
            self.start_missed = false;
        }
        if self.has_error() {
            return Ok(());
        }
        let mut time_to_start = self.time_to_start.unwrap_or(0);
        w.u24(&mut time_to_start)?;
        self.time_to_start = Some(time_to_start);
        Ok(())
    }
}

//! TS006 firmware management, version 1.

use super::wire::{Bits, Cursor, Walk};
use super::{PackageVersionAns, messages};
use crate::Error;

messages! {
    /// Device to server.
    Uplink, "TS006", package 4, port 203;
    /// Version of the package.
    0x00 PackageVersionAns(PackageVersionAns);
    /// What the device runs, and on what.
    0x01 DevVersionAns(DevVersionAns);
    /// When the device will reboot.
    0x02 DevRebootTimeAns(RebootTime);
    /// In how long the device will reboot.
    0x03 DevRebootCountdownAns(RebootCountdown);
    /// Whether an image is ready.
    0x04 DevUpgradeImageAns(DevUpgradeImageAns);
    /// Whether the image was deleted.
    0x05 DevDeleteImageAns(DevDeleteImageAns);
}

messages! {
    /// Server to device.
    Downlink, "TS006", package 4, port 203;
    /// Asks for the version of the package.
    0x00 PackageVersionReq;
    /// Asks what the device runs.
    0x01 DevVersionReq;
    /// Reboot at a time.
    0x02 DevRebootTimeReq(RebootTime);
    /// Reboot in some seconds.
    0x03 DevRebootCountdownReq(RebootCountdown);
    /// Asks whether an image is ready.
    0x04 DevUpgradeImageReq;
    /// Delete an image.
    0x05 DevDeleteImageReq(DevDeleteImageReq);
}

/// DevVersionAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DevVersionAns {
    /// Version of the firmware, as its maker counts.
    pub fw_version: u32,
    /// Version of the hardware.
    pub hw_version: u32,
}

impl<'a> Walk<'a> for DevVersionAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u32(&mut self.fw_version)?;
        w.u32(&mut self.hw_version)
    }
}

/// DevRebootTimeReq and DevRebootTimeAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RebootTime {
    /// GPS seconds modulo 2^32; 0 as soon as possible, 0xFFFF_FFFF not at all.
    pub reboot_time: u32,
}

impl<'a> Walk<'a> for RebootTime {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u32(&mut self.reboot_time)
    }
}

/// DevRebootCountdownReq and DevRebootCountdownAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RebootCountdown {
    /// Seconds, 24 bits; 0 as soon as possible, 0xFF_FFFF not at all.
    pub countdown: u32,
}

impl<'a> Walk<'a> for RebootCountdown {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u24(&mut self.countdown)
    }
}

/// DevUpgradeImageAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DevUpgradeImageAns {
    /// No image.
    #[default]
    NoImage,
    /// The image is corrupt or its signature wrong.
    Invalid,
    /// The image is for other hardware.
    WrongHardware,
    /// The image is valid.
    Valid {
        /// Its version, which the next reboot starts.
        next_firmware_version: u32,
    },
}

impl<'a> Walk<'a> for DevUpgradeImageAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        let (mut status, mut version) = match *self {
            Self::NoImage => (0, 0),
            Self::Invalid => (1, 0),
            Self::WrongHardware => (2, 0),
            Self::Valid { next_firmware_version } => (3, next_firmware_version),
        };
        w.byte(&mut [Bits::Number(&mut status, 2), Bits::Rfu(6)])?;
        if status == 3 {
            w.u32(&mut version)?;
        }
        *self = match status {
            0 => Self::NoImage,
            1 => Self::Invalid,
            2 => Self::WrongHardware,
            _ => Self::Valid { next_firmware_version: version },
        };
        Ok(())
    }
}

/// DevDeleteImageReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DevDeleteImageReq {
    /// Version of the image to delete.
    pub firmware_to_delete_version: u32,
}

impl<'a> Walk<'a> for DevDeleteImageReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u32(&mut self.firmware_to_delete_version)
    }
}

/// DevDeleteImageAns; without errors the image is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DevDeleteImageAns {
    /// There is no valid image.
    pub error_no_valid_image: bool,
    /// The image has another version.
    pub error_invalid_version: bool,
}

impl<'a> Walk<'a> for DevDeleteImageAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Flag(&mut self.error_no_valid_image),
            Bits::Flag(&mut self.error_invalid_version),
            Bits::Rfu(6),
        ])
    }
}

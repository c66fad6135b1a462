//! Regional parameters (RP002): data rates, channels, windows, power, masks, as `const` data.
//!
//! One [`Plan`] is one region under one revision of the regional parameters. Every region is a
//! Cargo feature, so a firmware build carries the tables of the regions it ships to, and no more:
//! name the plan (`region::eu868::PLAN`) where the region is known when the firmware is built,
//! or ask [`Region::plan`] where it is chosen at run time.
//!
//! ```
//! use lorawan_frame::region::{Region, Revision};
//!
//! let plan = Region::Eu868.plan(Revision::Rp002_1_0_4);
//! assert_eq!(plan.rx2_frequency_hz, 869_525_000);
//! // A device on DR 5 whose network set RX1DROffset 2 listens on DR 3.
//! assert_eq!(plan.rx1_data_rate(5, 2, false), Some(3));
//! // DR 0 carries 51 bytes of application payload when there are no MAC commands.
//! assert_eq!(plan.payload_limit(0, false, false).unwrap().frm_payload(0), 51);
//! ```
//!
//! The texts of RP002 were not at hand when these tables were written: the values are those that
//! several public implementations of RP002-1.0.4 agree on. Where they disagree, the field or the
//! table says so.

use core::{fmt, str::FromStr};

#[cfg(feature = "as923")]
pub mod as923;
#[cfg(feature = "au915")]
pub mod au915;
#[cfg_attr(
    not(feature = "regions"),
    allow(dead_code, reason = "each region needs only some of what its table can be made of")
)]
mod channel;
#[cfg_attr(
    not(feature = "regions"),
    allow(dead_code, reason = "each region needs only some of what its table can be made of")
)]
mod channel_mask;
#[cfg(feature = "cn470")]
pub mod cn470;
#[cfg_attr(
    not(feature = "regions"),
    allow(dead_code, reason = "each region needs only some of what its table can be made of")
)]
mod data_rate;
#[cfg(feature = "eu433")]
pub mod eu433;
#[cfg(feature = "eu868")]
pub mod eu868;
#[cfg(feature = "in865")]
pub mod in865;
#[cfg(feature = "ism2400")]
pub mod ism2400;
#[cfg(feature = "kr920")]
pub mod kr920;
#[cfg_attr(
    not(feature = "regions"),
    allow(dead_code, reason = "each region needs only some of what its table can be made of")
)]
mod plan;
#[cfg(feature = "ru864")]
pub mod ru864;
#[cfg(feature = "us915")]
pub mod us915;

pub use channel::{
    Band, BeaconLayout, Channel, ChannelBlock, Hopping, Join, JoinChannel, Rx1Channel, WorChannel,
};
pub use channel_mask::{ChMaskError, ChMaskRequests, ChannelMask, Channels, MaskControl};
pub use data_rate::{DataRate, LrFhssCodingRate, PayloadLimit, Rx1DataRates};
pub use plan::Plan;

/// The revision of the regional parameters a device and its network agreed on, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Revision {
    /// Chapter 7 of the LoRaWAN 1.0.0 specification.
    V1_0_0,
    /// Chapter 7 of the LoRaWAN 1.0.1 specification.
    V1_0_1,
    /// The regional parameters published beside LoRaWAN 1.0.2, 1.0.3 and 1.1 (RP001).
    Rp001,
    /// RP002-1.0.0.
    Rp002_1_0_0,
    /// RP002-1.0.1.
    Rp002_1_0_1,
    /// RP002-1.0.2, the first with LR-FHSS.
    Rp002_1_0_2,
    /// RP002-1.0.3.
    Rp002_1_0_3,
    /// RP002-1.0.4, the default.
    #[default]
    Rp002_1_0_4,
}

macro_rules! regions {
    ($($feature:literal $region:ident $name:literal $plan:path, $doc:literal;)*) => {
        /// A region of the regional parameters.
        ///
        /// Text form: the name RP002 gives it, such as `EU868`, `AS923-2` or `CN470-20A`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Region {
            $(#[cfg(feature = $feature)] #[doc = $doc] $region,)*
        }

        impl Region {
            /// Every region this build knows.
            pub const ALL: &'static [Self] = &[$(#[cfg(feature = $feature)] Self::$region,)*];

            /// The name RP002 gives the region.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(#[cfg(feature = $feature)] Self::$region => $name,)* }
            }

            /// The region's tables under one revision.
            ///
            /// A revision that does not define the region yields its first definition.
            #[must_use]
            pub const fn plan(self, revision: Revision) -> &'static Plan {
                // A build without any region has none to ask about.
                let _ = revision;
                match self { $(#[cfg(feature = $feature)] Self::$region => $plan(revision),)* }
            }
        }
    };
}

regions! {
    "eu868" Eu868 "EU868" eu868::plan, "Europe, 863 to 870 MHz.";
    "us915" Us915 "US915" us915::plan, "North America, 902 to 928 MHz.";
    "au915" Au915 "AU915" au915::plan, "Australia and South America, 915 to 928 MHz.";
    "as923" As923_1 "AS923-1" as923::plan_1, "Asia, group 1: 923.2 and 923.4 MHz.";
    "as923" As923_2 "AS923-2" as923::plan_2, "Asia, group 2: 1.8 MHz below group 1.";
    "as923" As923_3 "AS923-3" as923::plan_3, "Asia, group 3: 6.6 MHz below group 1.";
    "as923" As923_4 "AS923-4" as923::plan_4, "Asia, group 4: 5.9 MHz below group 1.";
    "in865" In865 "IN865" in865::plan, "India, 865 to 867 MHz.";
    "kr920" Kr920 "KR920" kr920::plan, "Korea, 920.9 to 923.3 MHz.";
    "cn470" Cn470 "CN470" cn470::plan_legacy, "China, the 96-channel plan used before RP002.";
    "cn470" Cn470_20A "CN470-20A" cn470::plan_20a, "China, 20 MHz antenna, plan A.";
    "cn470" Cn470_20B "CN470-20B" cn470::plan_20b, "China, 20 MHz antenna, plan B.";
    "cn470" Cn470_26A "CN470-26A" cn470::plan_26a, "China, 26 MHz antenna, plan A.";
    "cn470" Cn470_26B "CN470-26B" cn470::plan_26b, "China, 26 MHz antenna, plan B.";
    "eu433" Eu433 "EU433" eu433::plan, "Europe, 433.05 to 434.79 MHz.";
    "ru864" Ru864 "RU864" ru864::plan, "Russia, 864 to 870 MHz.";
    "ism2400" Ism2400 "ISM2400" ism2400::plan, "Worldwide, 2.4 GHz.";
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a region this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownRegion;

impl fmt::Display for UnknownRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a LoRaWAN region in this build")
    }
}

impl core::error::Error for UnknownRegion {}

impl FromStr for Region {
    type Err = UnknownRegion;

    /// Reads a name in any case, with `-` or `_`; plain `AS923` is group 1.
    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let same = |name: &str| {
            name.len() == text.len()
                && name.bytes().zip(text.bytes()).all(|(name, given)| {
                    name.eq_ignore_ascii_case(&given) || (name == b'-' && given == b'_')
                })
        };
        let short = |name: &str| name == "AS923-1" && text.eq_ignore_ascii_case("AS923");
        Self::ALL
            .iter()
            .copied()
            .find(|region| same(region.name()) || short(region.name()))
            .ok_or(UnknownRegion)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::types::TextVisitor(core::marker::PhantomData))
    }
}

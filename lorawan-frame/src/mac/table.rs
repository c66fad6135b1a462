//! The one table of MAC commands: identifier, direction, length, fields and their bits.

use super::field::{Bits, Field, FieldValue, FilterEui, WorRssi, WorSnr};
use crate::data::Direction;
use crate::error::{Error, Place};
use crate::keys::Key;
use crate::types::{DevAddr, Frequency};

/// What the table knows of a command before its payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandInfo {
    /// Command identifier.
    pub cid: u8,
    /// Who sends it.
    pub direction: Direction,
    /// Name in the specification.
    pub name: &'static str,
    /// Payload bytes after the CID; FilterListReq has FilterListLen more.
    pub payload_len: u8,
    /// First version that has it: of LoRaWAN, or TS011.
    pub since: &'static str,
    /// Section that defines it.
    pub section: &'static str,
}

macro_rules! commands {
    ($(
        $(#[$doc:meta])*
        $cid:literal $direction:ident $name:ident[$len:literal] $since:literal $section:literal
        $({$(
            $(#[$field_doc:meta])*
            $field:ident: $type:ty = $start:literal, $width:literal;
        )*})?
    )*) => {
        /// A MAC command of either direction, LoRaWAN 1.0 to 1.1, Class B and relay.
        ///
        /// Fields are named as in the specification; values are what is on the wire unless the
        /// field says otherwise. Reserved bits are ignored on reading and 0 on writing.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[non_exhaustive]
        pub enum MacCommand<'a> {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nCID ", stringify!($cid), ", since ", $since, ", section ", $section, ".")]
                $name $({$( $(#[$field_doc])* $field: $type, )*})?,
            )*
            /// PingSlotInfoReq as LoRaWAN 1.0.2 has it (section 14.1 there). Read only when
            /// [`Dialect::ping_slot_info_v1_0_2`](super::Dialect::ping_slot_info_v1_0_2) asks for it:
            /// nothing in the bytes tells the two layouts apart.
            PingSlotInfoReqV1_0_2 {
                /// Period of 2^periodicity seconds, 0 to 7.
                periodicity: u8,
                /// Data rate index at which the device expects pings, 0 to 15.
                dr: u8,
            },
            /// CID 0x80 to 0xff: the vendor's own. A parser that is not told its length takes the
            /// rest of the list as its payload.
            Proprietary {
                /// 0x80 or more.
                cid: u8,
                /// Payload.
                payload: &'a [u8],
            },
        }

        /// One constant per command, named like its variant.
        #[expect(non_upper_case_globals, reason = "named as the specification names the commands")]
        mod info {
            use super::{CommandInfo, Direction};

            $(pub(super) const $name: CommandInfo = CommandInfo {
                cid: $cid,
                direction: Direction::$direction,
                name: stringify!($name),
                payload_len: $len,
                since: $since,
                section: $section,
            };)*
        }

        /// All commands, in the order of their identifiers.
        pub const MAC_COMMANDS: &[CommandInfo] = &[$(info::$name,)*];

        /// Length of the fixed payload; `None` for an unknown command.
        pub(super) const fn payload_len(cid: u8, direction: Direction) -> Option<usize> {
            match (cid, direction) {
                $(($cid, Direction::$direction) => Some($len),)*
                _ => None,
            }
        }

        impl MacCommand<'_> {
            /// Reads the payload of a command that [`payload_len`] knows.
            pub(super) fn read(cid: u8, direction: Direction, payload: &[u8]) -> Result<Option<Self>, Error> {
                match (cid, direction) {
                    $(($cid, Direction::$direction) => Ok(Some(Self::$name $({$(
                        $field: <$type>::read(payload, const { Bits::within($start, $width, $len) })?,
                    )*})?)),)*
                    _ => Ok(None),
                }
            }

            /// Writes the payload into zeroed bytes of the right length.
            pub(super) fn write(&self, payload: &mut [u8]) -> Result<(), Error> {
                match self {
                    $(Self::$name $({$($field),*})? => {
                        $($(
                            $field.write(
                                payload,
                                const { Bits::within($start, $width, $len) },
                                &Place { field: concat!(stringify!($name), " ", stringify!($field)), section: $section },
                            )?;
                        )*)?
                    })*
                    Self::PingSlotInfoReqV1_0_2 { periodicity, dr } => {
                        let place = const { &Place { field: "PingSlotInfoReq", section: "14.1" } };
                        periodicity.write(payload, v1_0_2::PERIODICITY, place)?;
                        dr.write(payload, v1_0_2::DR, place)?;
                    }
                    Self::Proprietary { payload: bytes, .. } => payload.copy_from_slice(bytes),
                }
                Ok(())
            }

            /// Command identifier.
            pub const fn cid(&self) -> u8 {
                match self {
                    $(Self::$name $({$($field: _),*})? => $cid,)*
                    Self::PingSlotInfoReqV1_0_2 { .. } => info::PingSlotInfoReq.cid,
                    Self::Proprietary { cid, .. } => *cid,
                }
            }

            /// What the table says; `None` for proprietary commands.
            pub const fn info(&self) -> Option<&'static CommandInfo> {
                match self {
                    $(Self::$name $({$($field: _),*})? => Some(&info::$name),)*
                    Self::PingSlotInfoReqV1_0_2 { .. } => Some(&info::PingSlotInfoReq),
                    Self::Proprietary { .. } => None,
                }
            }

            /// Hands each field to `visit` with its name, in the order of the table: for tools that
            /// print commands.
            pub fn fields(&self, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
                match self {
                    $(Self::$name $({$($field),*})? => {
                        $($($field.show(stringify!($field), visit);)*)?
                    })*
                    Self::PingSlotInfoReqV1_0_2 { periodicity, dr } => {
                        periodicity.show("periodicity", visit);
                        dr.show("dr", visit);
                    }
                    Self::Proprietary { payload, .. } => visit("payload", FieldValue::Bytes(payload)),
                }
            }
        }
    };
}

/// The one command that an older version lays out differently.
pub(super) mod v1_0_2 {
    use super::{Bits, Error, Field, MacCommand};

    pub(super) const PERIODICITY: Bits = Bits::within(4, 3, 1);
    pub(super) const DR: Bits = Bits::within(0, 4, 1);

    pub(in crate::mac) fn ping_slot_info_req<'a>(payload: &[u8]) -> Result<MacCommand<'a>, Error> {
        let (periodicity, dr) = (u8::read(payload, PERIODICITY)?, u8::read(payload, DR)?);
        Ok(MacCommand::PingSlotInfoReqV1_0_2 { periodicity, dr })
    }
}

// CID, who sends it, name[payload bytes], first version, section, { field: type = first bit, bits }.
commands! {
    /// The device was reset (ABP only).
    0x01 Up ResetInd[1] "1.1" "5.1" {
        /// Minor version: 1 is LoRaWAN 1.1.
        minor: u8 = 0, 4;
    }
    /// Answers ResetInd.
    0x01 Down ResetConf[1] "1.1" "5.1" {
        /// Minor version of the server.
        minor: u8 = 0, 4;
    }
    /// Asks how well the network hears the device.
    0x02 Up LinkCheckReq[0] "1.0" "5.2"
    /// Answers LinkCheckReq.
    0x02 Down LinkCheckAns[2] "1.0" "5.2" {
        /// Link margin in dB above the demodulation floor, 0 to 254.
        margin: u8 = 0, 8;
        /// Gateways that heard the request.
        gw_cnt: u8 = 8, 8;
    }
    /// Answers LinkADRReq. With any flag unset nothing was applied.
    0x03 Up LinkADRAns[1] "1.0" "5.3" {
        /// The channel mask is usable.
        ch_mask_ack: bool = 0, 1;
        /// The data rate is known.
        dr_ack: bool = 1, 1;
        /// The power can be set (the nearest lower one may be used).
        power_ack: bool = 2, 1;
    }
    /// Sets data rate, power, channels and repetitions.
    0x03 Down LinkADRReq[4] "1.0" "5.3" {
        /// Data rate index; 15 keeps the current one (from 1.0.4).
        dr: u8 = 4, 4;
        /// Power index; 15 keeps the current one (from 1.0.4).
        tx_power: u8 = 0, 4;
        /// 16 channels, as ch_mask_cntl says.
        ch_mask: u16 = 8, 16;
        /// Which block of 16 channels, or a special meaning, by region.
        ch_mask_cntl: u8 = 28, 3;
        /// Transmissions of each uplink, 1 to 15; 0 is the default.
        nb_trans: u8 = 24, 4;
    }
    /// Answers DutyCycleReq.
    0x04 Up DutyCycleAns[0] "1.0" "5.4"
    /// Limits the aggregated duty cycle.
    0x04 Down DutyCycleReq[1] "1.0" "5.4" {
        /// The limit is 1 / 2^max_duty_cycle; 0 is none.
        max_duty_cycle: u8 = 0, 4;
    }
    /// Answers RXParamSetupReq; repeated in every uplink until a downlink comes.
    0x05 Up RXParamSetupAns[1] "1.0" "5.5" {
        /// The frequency is usable.
        channel_ack: bool = 0, 1;
        /// The RX2 data rate is known.
        rx2_dr_ack: bool = 1, 1;
        /// The RX1 offset is in range.
        rx1_dr_offset_ack: bool = 2, 1;
    }
    /// Sets the receive windows.
    0x05 Down RXParamSetupReq[4] "1.0" "5.5" {
        /// Offset between uplink and RX1 data rate.
        rx1_dr_offset: u8 = 4, 3;
        /// Data rate index of RX2.
        rx2_dr: u8 = 0, 4;
        /// Frequency of RX2.
        freq: Frequency = 8, 24;
    }
    /// Battery and reception of the device.
    0x06 Up DevStatusAns[2] "1.0" "5.6" {
        /// 0 external power, 1 to 254 empty to full, 255 unknown.
        battery: u8 = 0, 8;
        /// SNR of DevStatusReq in dB, -32 to 31.
        margin: i8 = 8, 6;
    }
    /// Asks for battery and reception.
    0x06 Down DevStatusReq[0] "1.0" "5.6"
    /// Answers NewChannelReq.
    0x07 Up NewChannelAns[1] "1.0" "5.7" {
        /// The frequency is usable.
        freq_ok: bool = 0, 1;
        /// The data rates are usable.
        dr_ok: bool = 1, 1;
    }
    /// Defines or changes a channel.
    0x07 Down NewChannelReq[5] "1.0" "5.7" {
        /// Channel index.
        ch_index: u8 = 0, 8;
        /// Frequency; 0 disables the channel.
        freq: Frequency = 8, 24;
        /// Highest data rate index.
        max_dr: u8 = 36, 4;
        /// Lowest data rate index.
        min_dr: u8 = 32, 4;
    }
    /// Answers RXTimingSetupReq; repeated in every uplink until a downlink comes.
    0x08 Up RXTimingSetupAns[0] "1.0" "5.8"
    /// Sets the delay of the first receive window.
    0x08 Down RXTimingSetupReq[1] "1.0" "5.8" {
        /// Seconds; 0 means 1.
        delay: u8 = 0, 4;
    }
    /// Answers TxParamSetupReq.
    0x09 Up TxParamSetupAns[0] "1.0.2" "5.9"
    /// Sets dwell times and EIRP, where the region has them.
    0x09 Down TxParamSetupReq[1] "1.0.2" "5.9" {
        /// Downlinks are limited to 400 ms.
        dl_dwell: bool = 5, 1;
        /// Uplinks are limited to 400 ms.
        ul_dwell: bool = 4, 1;
        /// Index into 8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36 dBm.
        max_eirp_index: u8 = 0, 4;
    }
    /// Answers DlChannelReq; repeated in every uplink until a downlink comes.
    0x0A Up DlChannelAns[1] "1.0.2" "5.7" {
        /// The frequency is usable.
        freq_ok: bool = 0, 1;
        /// The channel has an uplink frequency.
        uplink_freq_exists: bool = 1, 1;
    }
    /// Sets another RX1 frequency for a channel.
    0x0A Down DlChannelReq[4] "1.0.2" "5.7" {
        /// Channel index.
        ch_index: u8 = 0, 8;
        /// Frequency of RX1.
        freq: Frequency = 8, 24;
    }
    /// The new session is in use (OTAA, 1.1).
    0x0B Up RekeyInd[1] "1.1" "5.10" {
        /// Minor version: 1 is LoRaWAN 1.1.
        minor: u8 = 0, 4;
    }
    /// Answers RekeyInd.
    0x0B Down RekeyConf[1] "1.1" "5.10" {
        /// Minor version of the server.
        minor: u8 = 0, 4;
    }
    /// Answers ADRParamSetupReq.
    0x0C Up ADRParamSetupAns[0] "1.1" "5.11"
    /// Sets when a device asks for a sign of life.
    0x0C Down ADRParamSetupReq[1] "1.1" "5.11" {
        /// ADR_ACK_LIMIT = 2^limit_exp.
        limit_exp: u8 = 4, 4;
        /// ADR_ACK_DELAY = 2^delay_exp.
        delay_exp: u8 = 0, 4;
    }
    /// Asks for the time.
    0x0D Up DeviceTimeReq[0] "1.0.3" "5.12"
    /// The time at the end of the uplink that asked.
    0x0D Down DeviceTimeAns[5] "1.0.3" "5.12" {
        /// Seconds since the GPS epoch, 1980-01-06 00:00 UTC, without leap seconds.
        seconds: u32 = 0, 32;
        /// 1/256 seconds.
        fraction: u8 = 32, 8;
    }
    /// Orders rejoin-requests. The byte order is disputed, see [`Dialect`](super::Dialect).
    0x0E Down ForceRejoinReq[2] "1.1" "5.13" {
        /// Delay between retries: 32 s * 2^period + a random 0 to 32 s.
        period: u8 = 11, 3;
        /// Retries.
        max_retries: u8 = 8, 3;
        /// 0 or 1: type 0; 2: type 2.
        rejoin_type: u8 = 4, 3;
        /// Data rate index to send with.
        dr: u8 = 0, 4;
    }
    /// Answers RejoinParamSetupReq.
    0x0F Up RejoinParamSetupAns[1] "1.1" "5.14" {
        /// The device keeps time, so the time limit counts too.
        time_ok: bool = 0, 1;
    }
    /// Sets how often a device sends rejoin-requests type 0.
    0x0F Down RejoinParamSetupReq[1] "1.1" "5.14" {
        /// At least every 2^(max_time_n + 10) seconds.
        max_time_n: u8 = 4, 4;
        /// At least every 2^(max_count_n + 4) uplinks.
        max_count_n: u8 = 0, 4;
    }
    /// Says how often the device opens ping slots. LoRaWAN 1.0.2 had another layout of this byte.
    0x10 Up PingSlotInfoReq[1] "1.0" "14.1" {
        /// Period of 2^periodicity seconds, 0 to 7.
        periodicity: u8 = 0, 3;
    }
    /// Answers PingSlotInfoReq.
    0x10 Down PingSlotInfoAns[0] "1.0" "14.1"
    /// Answers PingSlotChannelReq.
    0x11 Up PingSlotChannelAns[1] "1.0" "14.3" {
        /// The frequency is usable.
        freq_ok: bool = 0, 1;
        /// The data rate is known.
        dr_ok: bool = 1, 1;
    }
    /// Sets frequency and data rate of ping slots.
    0x11 Down PingSlotChannelReq[4] "1.0" "14.3" {
        /// Frequency; 0 is the default of the region.
        freq: Frequency = 0, 24;
        /// Data rate index.
        dr: u8 = 24, 4;
    }
    /// Asks when the next beacon comes (deprecated).
    0x12 Up BeaconTimingReq[0] "1.0" "14.4"
    /// Answers BeaconTimingReq (deprecated).
    0x12 Down BeaconTimingAns[3] "1.0" "14.4" {
        /// The beacon comes in 30 * delay to 30 * (delay + 1) ms.
        delay: u16 = 0, 16;
        /// Beacon channel.
        channel: u8 = 16, 8;
    }
    /// Answers BeaconFreqReq.
    0x13 Up BeaconFreqAns[1] "1.0" "14.2" {
        /// The frequency is usable.
        freq_ok: bool = 0, 1;
    }
    /// Sets the beacon frequency.
    0x13 Down BeaconFreqReq[3] "1.0" "14.2" {
        /// Frequency; 0 is the default of the region.
        freq: Frequency = 0, 24;
    }
    /// The class of the device has changed.
    0x20 Up DeviceModeInd[1] "1.1" "18.1" {
        /// 0 Class A, 2 Class C.
        class: u8 = 0, 8;
    }
    /// Answers DeviceModeInd.
    0x20 Down DeviceModeConf[1] "1.1" "18.1" {
        /// 0 Class A, 2 Class C.
        class: u8 = 0, 8;
    }
    /// Answers RelayConfReq.
    0x40 Up RelayConfAns[1] "TS011" "TS011 10.1" {
        /// The frequency of the second channel is usable.
        second_ch_freq_ack: bool = 0, 1;
        /// The offset of its ACK channel is usable.
        second_ch_ack_offset_ack: bool = 1, 1;
        /// Its data rate is known.
        second_ch_dr_ack: bool = 2, 1;
        /// The index of the second channel is usable.
        second_ch_idx_ack: bool = 3, 1;
        /// The index of the default channel is usable.
        default_ch_idx_ack: bool = 4, 1;
        /// The period of channel activity detection is usable.
        cad_periodicity_ack: bool = 5, 1;
    }
    /// Sets up a relay.
    0x40 Down RelayConfReq[5] "TS011" "TS011 10.1" {
        /// 1 starts, 0 stops relaying.
        start_stop: u8 = 13, 1;
        /// Channel activity detection every 1000, 500, 250, 100, 50 or 20 ms (0 to 5).
        cad_periodicity: u8 = 10, 3;
        /// Default wake-on-radio channel of the region.
        default_ch_idx: u8 = 9, 1;
        /// Second channel: 0 none, 1 as given here.
        second_ch_idx: u8 = 7, 2;
        /// Data rate index of the second channel.
        second_ch_dr: u8 = 3, 4;
        /// Offset of the ACK channel: 0, 200, 400, 800, 1600, 3200 kHz (0 to 5).
        second_ch_ack_offset: u8 = 0, 3;
        /// Frequency of the second channel.
        second_ch_freq: Frequency = 16, 24;
    }
    /// Answers EndDeviceConfReq.
    0x41 Up EndDeviceConfAns[1] "TS011" "TS011 10.2" {
        /// The frequency of the second channel is usable.
        second_ch_freq_ack: bool = 0, 1;
        /// Its data rate is known.
        second_ch_dr_ack: bool = 1, 1;
        /// The index of the second channel is usable.
        second_ch_idx_ack: bool = 2, 1;
        /// The back-off is usable.
        backoff_ack: bool = 3, 1;
    }
    /// Sets up a device that speaks through a relay.
    0x41 Down EndDeviceConfReq[6] "TS011" "TS011 10.2" {
        /// 0 off, 1 on, 2 dynamic, 3 as the device decides.
        relay_mode: u8 = 2, 2;
        /// Missed downlinks before the relay is used: 8, 16, 32, 64 (0 to 3).
        smart_level: u8 = 0, 2;
        /// Wake-on-radio frames without answer before an uplink is sent anyway.
        backoff: u8 = 17, 6;
        /// Second channel: 0 none, 1 as given here.
        second_ch_idx: u8 = 15, 2;
        /// Data rate index of the second channel.
        second_ch_dr: u8 = 11, 4;
        /// Offset of the ACK channel.
        second_ch_ack_offset: u8 = 8, 3;
        /// Frequency of the second channel.
        second_ch_freq: Frequency = 24, 24;
    }
    /// Answers FilterListReq.
    0x42 Up FilterListAns[1] "TS011" "TS011 10.3" {
        /// The action is possible.
        action_ack: bool = 0, 1;
        /// The length is possible.
        len_ack: bool = 1, 1;
        /// The rules together make sense.
        combined_rules_ack: bool = 2, 1;
    }
    /// Sets which join-requests a relay forwards.
    0x42 Down FilterListReq[2] "TS011" "TS011 10.3" {
        /// Rule, 0 to 15.
        idx: u8 = 7, 4;
        /// 0 none, 1 forward, 2 filter.
        action: u8 = 5, 2;
        /// Leading bytes of JoinEUI | DevEUI that the rule matches.
        eui: FilterEui = 0, 0;
    }
    /// Answers UpdateUplinkListReq.
    0x43 Up UpdateUplinkListAns[0] "TS011" "TS011 10.4"
    /// Entrusts a device to a relay.
    0x43 Down UpdateUplinkListReq[26] "TS011" "TS011 10.4" {
        /// Entry, 0 to 15.
        idx: u8 = 0, 4;
        /// Uplinks per hour; 63 is no limit.
        reload_rate: u8 = 8, 6;
        /// Bucket of 1, 2, 4 or 12 times the rate (0 to 3).
        bucket_size: u8 = 14, 2;
        /// The device.
        dev_addr: DevAddr = 16, 32;
        /// Its wake-on-radio frame counter.
        wfcnt: u32 = 48, 32;
        /// Its wake-on-radio root key.
        root_wor_s_key: Key = 80, 128;
    }
    /// Answers CtrlUplinkListReq.
    0x44 Up CtrlUplinkListAns[5] "TS011" "TS011 10.5" {
        /// The entry exists.
        idx_ack: bool = 0, 1;
        /// Wake-on-radio frame counter of the entry.
        wfcnt: u32 = 8, 32;
    }
    /// Reads or removes a device entrusted to a relay.
    0x44 Down CtrlUplinkListReq[1] "TS011" "TS011 10.5" {
        /// 0 reads the counter, 1 removes the entry.
        action: u8 = 4, 1;
        /// Entry, 0 to 15.
        idx: u8 = 0, 4;
    }
    /// Answers ConfigureFwdLimitReq.
    0x45 Up ConfigureFwdLimitAns[0] "TS011" "TS011 10.6"
    /// Limits what a relay forwards; a rate of 127 is no limit.
    0x45 Down ConfigureFwdLimitReq[5] "TS011" "TS011 10.6" {
        /// 0 counters to 0, 1 to the rate, 2 to the bucket, 3 keep.
        reset_limit_counter: u8 = 28, 2;
        /// Join-requests per hour.
        join_reload: u8 = 21, 7;
        /// NotifyNewEndDeviceReq per hour.
        notify_reload: u8 = 14, 7;
        /// Uplinks per hour of all devices together.
        global_reload: u8 = 7, 7;
        /// Everything together per hour.
        overall_reload: u8 = 0, 7;
        /// Bucket of 1, 2, 4 or 12 times the rate (0 to 3).
        join_size: u8 = 38, 2;
        /// Bucket of notifications.
        notify_size: u8 = 36, 2;
        /// Bucket of uplinks.
        global_size: u8 = 34, 2;
        /// Bucket of everything.
        overall_size: u8 = 32, 2;
    }
    /// A relay has heard a device that it does not know.
    0x46 Up NotifyNewEndDeviceReq[6] "TS011" "TS011 10.7" {
        /// The device.
        dev_addr: DevAddr = 0, 32;
        /// Signal-to-noise ratio of its wake-on-radio frame.
        wor_snr: WorSnr = 32, 5;
        /// Power of its wake-on-radio frame.
        wor_rssi: WorRssi = 37, 7;
    }
}

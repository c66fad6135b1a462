//! The cipher blocks of data frames: which bytes a MIC and an encryption cover besides the frame.

use crate::bytes;
use crate::data::Direction;
use crate::error::{Error, ErrorKind, Place};
use crate::keys::{Block, KeyHandle, NetworkKeys};
use crate::types::DevAddr;

/// The four bytes that end a frame, in wire order.
pub type Mic = [u8; 4];

/// The largest PHYPayload: what LoRa can carry.
pub(crate) const MAX_PHY_PAYLOAD: usize = 255;

/// How FOpts are encrypted in LoRaWAN 1.1 (section 4.3.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum FOptsCipher {
    /// As the erratum "FOpts encryption, usage of FCntDwn" of 2018 says, and networks do.
    #[default]
    Errata,
    /// As the text of LoRaWAN 1.1 says, before the erratum.
    Literal,
}

/// What both sides must know besides the frame to check a LoRaWAN 1.1 frame. 1.0 needs none of
/// it: leave it at the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Context {
    /// Low 16 bits of the counter of the confirmed frame that this frame acknowledges. Counts
    /// only when the ACK bit is set (section 4.4).
    pub conf_fcnt: u16,
    /// Data rate index of the uplink (section 4.4.1).
    pub tx_dr: u8,
    /// Index of the channel of the uplink (section 4.4.1).
    pub tx_ch: u8,
    /// Form of the FOpts encryption.
    pub fopts_cipher: FOptsCipher,
}

/// Identifies one frame to the ciphers.
#[derive(Clone, Copy)]
pub(crate) struct FrameId {
    pub(crate) direction: Direction,
    pub(crate) dev_addr: DevAddr,
    pub(crate) fcnt: u32,
}

impl FrameId {
    /// `first | args(4) | Dir | DevAddr | FCnt | 00 | last`: the shape that B0, B1 and A share.
    #[inline(always)]
    fn block(self, first: u8, args: u32, direction: u8, last: u8) -> Block {
        let addr = u64::from(self.dev_addr.value());
        let low = u64::from(first) | u64::from(args) << 8 | u64::from(direction) << 40 | addr << 48;
        let high = addr >> 16 | u64::from(self.fcnt) << 16 | u64::from(last) << 56;
        bytes::block([low, high])
    }

    /// B0 (section 4.4). `conf_fcnt` is 0 but in an acknowledging 1.1 downlink.
    #[inline(always)]
    fn b0(self, conf_fcnt: u16, len: u8) -> Block {
        self.block(0x49, conf_fcnt.into(), self.direction as u8, len)
    }

    /// B1 of 1.1 uplinks (section 4.4.1).
    #[inline(always)]
    fn b1(self, conf_fcnt: u16, context: &Context, len: u8) -> Block {
        let radio = u32::from(context.tx_dr) << 16 | u32::from(context.tx_ch) << 24;
        self.block(0x49, u32::from(conf_fcnt) | radio, 0, len)
    }

    /// A_i of FRMPayload (section 4.3.3).
    #[inline(always)]
    fn a(self, i: u8) -> Block {
        self.block(0x01, 0, self.direction as u8, i)
    }

    /// XORs FRMPayload with its key stream; encryption and decryption are the same. `output` is as
    /// long as `input`.
    #[inline(always)]
    pub(crate) fn crypt_payload<K: KeyHandle>(
        self,
        key: &K,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        key.xor_key_stream(&self.a(1), input, output)
    }

    /// [`FrameId::crypt_payload`] with a small copy in between.
    pub(crate) fn crypt_payload_in_place<K: KeyHandle>(
        self,
        key: &K,
        data: &mut [u8],
    ) -> Result<(), Error> {
        for (first, data) in (1..).step_by(4).zip(data.chunks_mut(4 * 16)) {
            let mut input = [0; 4 * 16];
            bytes::copy(data, &mut input);
            key.xor_key_stream(&self.a(first), &input, data)?;
        }
        Ok(())
    }

    /// XORs FOpts with its key stream (LoRaWAN 1.1 only). `application` says that this is a
    /// downlink with FPort 1 or more, which counts with AFCntDown.
    pub(crate) fn crypt_fopts<K: KeyHandle>(
        self,
        key: &K,
        form: FOptsCipher,
        application: bool,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let (counter, last) = match form {
            FOptsCipher::Errata => (if application { 2 } else { 1 }, 1),
            FOptsCipher::Literal => (0, 0),
        };
        let block = self.block(0x01, counter << 24, self.direction as u8, last);
        key.xor_key_stream(&block, input, output)
    }

    /// The MIC over `message` (MHDR to FRMPayload, as on air) (sections 4.4.1, 4.4.2).
    #[inline(always)]
    pub(crate) fn mic<K: KeyHandle>(
        self,
        keys: &NetworkKeys<K>,
        context: &Context,
        ack: bool,
        message: &[u8],
    ) -> Result<Mic, Error> {
        let ((key, head), other) = self.mic_blocks(keys, context, ack, message.len());
        let mic = truncated(key, Some(&head), message)?;
        let Some((key, head)) = other else { return Ok(mic) };
        let [s0, s1, ..] = mic;
        let [f0, f1, ..] = truncated(key, Some(&head), message)?;
        Ok([s0, s1, f0, f1])
    }

    /// Key and first block of the MIC; and those of its second half, which 1.1 uplinks have.
    #[inline(always)]
    pub(crate) fn mic_blocks<'k, K>(
        self,
        keys: &'k NetworkKeys<K>,
        context: &Context,
        ack: bool,
        len: usize,
    ) -> ((&'k K, Block), Option<(&'k K, Block)>) {
        // Data frames are at most 255 bytes long, which the callers have checked.
        let len = len as u8;
        let conf_fcnt = if ack { context.conf_fcnt } else { 0 };
        match keys {
            NetworkKeys::V1_0(key) => ((&key.0, self.b0(0, len)), None),
            NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, .. } => match self.direction {
                Direction::Up => (
                    (&s_nwk_s_int_key.0, self.b1(conf_fcnt, context, len)),
                    Some((&f_nwk_s_int_key.0, self.b0(0, len))),
                ),
                Direction::Down => ((&s_nwk_s_int_key.0, self.b0(conf_fcnt, len)), None),
            },
        }
    }
}

/// The first four bytes of the CMAC.
#[inline]
pub(crate) fn truncated<K: KeyHandle>(
    key: &K,
    head: Option<&Block>,
    message: &[u8],
) -> Result<Mic, Error> {
    Ok(first_four(&key.cmac(head, message)?))
}

/// What of a CMAC travels.
#[inline]
pub(crate) const fn first_four(tag: &Block) -> Mic {
    let [m0, m1, m2, m3, ..] = *tag;
    [m0, m1, m2, m3]
}

/// Compares two MICs in constant time: both are one machine word, and there is one branch, on
/// the final verdict.
#[inline]
pub(crate) fn check_mic(computed: Mic, received: Mic, offset: usize) -> Result<(), Error> {
    let difference = u32::from_ne_bytes(computed) ^ u32::from_ne_bytes(received);
    if core::hint::black_box(difference) == 0 {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Mic, Place::MIC, offset))
    }
}

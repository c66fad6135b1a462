//! A Join-Accept as the ciphers take it.

use super::{CfList, DlSettings, JoinAccept, JoinContext};
use crate::bytes::{Lanes, Writer, block, lanes, push_front};
use crate::crypto::{Mic, check_mic, first_four};
use crate::error::{Error, ErrorKind, Place, in_range};
use crate::keys::{Block, KeyHandle};
use crate::phy::FType;
use crate::types::{DevAddr, JoinNonce, NetId};

pub(super) const SHORT: usize = 17;
pub(super) const LONG: usize = 33;
pub(super) const MIC_LEN: usize = 4;
/// Without MHDR and MIC.
pub(super) const BODY_SHORT: usize = SHORT - 1 - MIC_LEN;
pub(super) const BODY_LONG: usize = LONG - 1 - MIC_LEN;

/// How a join-accept is signed.
pub(super) enum Signing<'a, K> {
    /// OptNeg = 0: by the root key, over the frame alone.
    Plain(&'a K),
    /// OptNeg = 1: by the JSIntKey, over the request too.
    Bound(&'a K, &'a JoinContext),
}

impl<K: KeyHandle> Signing<'_, K> {
    #[inline(always)]
    pub(super) fn mic(&self, clear: &Clear) -> Result<Mic, Error> {
        let tag = match self {
            Self::Plain(key) => {
                let (first, next) = push_front(clear.mhdr, clear.first);
                match clear.second {
                    None => key.cmac_short(None, &block(first), SHORT - MIC_LEN)?,
                    Some(second) => {
                        let (second, _) = push_front(next, second);
                        key.cmac_short(Some(&block(first)), &block(second), LONG - 16 - MIC_LEN)?
                    }
                }
            }
            Self::Bound(key, context) => {
                // JoinReqType | JoinEUI | DevNonce, which are 11 bytes, then the frame.
                let request = [context.join_eui.value(), context.nonce.into()];
                let ([r0, r1], _) = push_front(context.request as u8, request);
                let [low, high] = clear.first;
                let head = block([r0, r1 | u64::from(clear.mhdr) << 24 | low << 32]);
                let middle = low >> 32 | high << 32;
                match clear.second {
                    None => key.cmac_short(Some(&head), &block([middle, 0]), 8)?,
                    Some([low, high_of_second]) => {
                        let mut rest = [0; 24];
                        Writer(&mut rest)
                            .put(block([middle, high >> 32 | low << 32]))
                            .put((low >> 32 | high_of_second << 32).to_le_bytes());
                        key.cmac(Some(&head), &rest)?
                    }
                }
            }
        };
        Ok(first_four(&tag))
    }
}

/// A join-accept in clear, as the ciphers take it: MHDR, and one or two blocks that end with the
/// MIC. Always inlined: passed in memory, it is written and read back in pieces of other sizes,
/// for which processors wait.
#[derive(Clone, Copy)]
pub(super) struct Clear {
    pub(super) mhdr: u8,
    pub(super) first: Lanes,
    pub(super) second: Option<Lanes>,
}

impl Clear {
    /// From MHDR, body and MIC; `None` for any other length than 17 or 33.
    #[inline(always)]
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&mhdr, blocks) = bytes.split_first()?;
        let (first, rest) = blocks.split_first_chunk()?;
        let second = if rest.is_empty() { None } else { Some(lanes(rest.try_into().ok()?)) };
        Some(Self { mhdr, first: lanes(first), second })
    }

    /// MHDR, body and MIC, and how many bytes they are.
    #[inline(always)]
    pub(super) fn to_bytes(self) -> ([u8; LONG], usize) {
        let mut bytes = [0; LONG];
        Writer(&mut bytes).put([self.mhdr]).put(block(self.first)).put_if(self.second.map(block));
        (bytes, if self.second.is_some() { LONG } else { SHORT })
    }

    /// Puts each block through `cipher`.
    #[inline(always)]
    pub(super) fn through(
        self,
        cipher: impl FnOnce(&mut [Block]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let (first, second) = match self.second {
            None => {
                let mut blocks = [block(self.first)];
                cipher(&mut blocks)?;
                let [first] = blocks;
                (first, None)
            }
            Some(second) => {
                let mut blocks = [block(self.first), block(second)];
                cipher(&mut blocks)?;
                let [first, second] = blocks;
                (first, Some(lanes(&second)))
            }
        };
        Ok(Self { mhdr: self.mhdr, first: lanes(&first), second })
    }

    /// The fields; the MIC is not among them.
    #[inline(always)]
    pub(super) fn accept(&self) -> JoinAccept {
        let [low, high] = self.first;
        let (n, d) = (low.to_le_bytes(), high.to_le_bytes());
        let list = |second| {
            let [second_low, second_high] = second;
            CfList::from_wire(block([
                high >> 32 | second_low << 32,
                second_low >> 32 | second_high << 32,
            ]))
        };
        JoinAccept {
            join_nonce: JoinNonce::from_wire([n[0], n[1], n[2]]),
            net_id: NetId::from_wire([n[3], n[4], n[5]]),
            dev_addr: DevAddr::from_wire([n[6], n[7], d[0], d[1]]),
            dl_settings: DlSettings::from_wire(d[2]),
            rx_delay: d[3] & 0x0f,
            cf_list: self.second.map(list),
        }
    }

    /// The fields of `accept`, and no MIC yet.
    #[inline(always)]
    pub(super) fn of(accept: &JoinAccept) -> Result<Self, Error> {
        in_range(accept.rx_delay.into(), 15, Place::RX_DELAY, 12)?;
        let settings = accept.dl_settings.to_wire(11)?;
        let addr = u64::from(accept.dev_addr.value());
        let net_id = u64::from(accept.net_id.value()) << 24;
        let low = u64::from(accept.join_nonce.value()) | net_id | addr << 48;
        let high = addr >> 16 | u64::from(settings) << 16 | u64::from(accept.rx_delay) << 24;
        let list = accept.cf_list.map(|list| lanes(&list.to_wire()));
        Ok(Self {
            mhdr: FType::JoinAccept.mhdr(),
            first: [low, high | list.map_or(0, |[low, _]| low << 32)],
            second: list.map(|[low, high]| [low >> 32 | high << 32, high >> 32]),
        })
    }

    #[inline(always)]
    pub(super) fn mic(&self) -> Mic {
        let [_, end] = self.second.unwrap_or(self.first);
        ((end >> 32) as u32).to_le_bytes()
    }

    #[inline(always)]
    pub(super) fn with_mic(mut self, mic: Mic) -> Self {
        let [_, end] = self.second.as_mut().unwrap_or(&mut self.first);
        *end |= u64::from(u32::from_le_bytes(mic)) << 32;
        self
    }

    #[inline(always)]
    pub(super) fn verify<K: KeyHandle>(
        &self,
        opt_neg: bool,
        signing: &Signing<'_, K>,
    ) -> Result<JoinAccept, Error> {
        let offset = if self.second.is_some() { LONG - MIC_LEN } else { SHORT - MIC_LEN };
        check_mic(signing.mic(self)?, self.mic(), offset)?;
        let accept = self.accept();
        if accept.dl_settings.opt_neg != opt_neg {
            let kind = ErrorKind::OutOfRange { max: opt_neg.into() };
            return Err(Error::new(kind, Place::DL_SETTINGS, 11));
        }
        Ok(accept)
    }
}

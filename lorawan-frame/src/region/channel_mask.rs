//! Sets of channels, and how LinkADRReq addresses them.

use core::fmt;

/// A set of channels, numbered from 0 to 95.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelMask(u128);

impl ChannelMask {
    /// The number of channels a mask can hold.
    pub const CAPACITY: u8 = 96;
    /// No channel.
    pub const EMPTY: Self = Self(0);

    /// The channels from 0 to `count` - 1.
    #[must_use]
    pub const fn first(count: u8) -> Self {
        let count = if count > Self::CAPACITY { Self::CAPACITY } else { count };
        Self((1 << count) - 1)
    }

    /// From ChMask words of 16 channels; channel 0 is the lowest bit of the first word.
    #[must_use]
    pub fn from_words(words: [u16; 6]) -> Self {
        Self(words.iter().rev().fold(0, |sum, &word| sum << 16 | u128::from(word)))
    }

    /// As ChMask words of 16 channels.
    #[must_use]
    pub fn to_words(self) -> [u16; 6] {
        core::array::from_fn(|block| self.word(block as u8))
    }

    /// Adds or removes a channel; numbers from 96 on change nothing.
    pub fn set(&mut self, channel: u8, enabled: bool) {
        if channel < Self::CAPACITY {
            let bit = 1 << channel;
            self.0 = if enabled { self.0 | bit } else { self.0 & !bit };
        }
    }

    /// Whether the channel is in the set.
    #[must_use]
    pub const fn contains(self, channel: u8) -> bool {
        channel < Self::CAPACITY && self.0 >> channel & 1 == 1
    }

    /// Whether every channel of `self` is in `other`.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The number of channels in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is no channel in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The channels in the set, in order.
    #[must_use]
    pub fn channels(self) -> Channels {
        Channels { mask: self, next: 0 }
    }

    const fn word(self, block: u8) -> u16 {
        (self.0 >> (16 * block as u32)) as u16
    }

    const fn with_word(self, block: u8, word: u16) -> Self {
        let shift = 16 * block as u32;
        Self(self.0 & !(0xFFFF << shift) | (word as u128) << shift)
    }
}

impl FromIterator<u8> for ChannelMask {
    fn from_iter<I: IntoIterator<Item = u8>>(channels: I) -> Self {
        let mut mask = Self::EMPTY;
        channels.into_iter().for_each(|channel| mask.set(channel, true));
        mask
    }
}

impl fmt::Debug for ChannelMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.channels()).finish()
    }
}

/// The channels of a [`ChannelMask`], in order.
#[derive(Clone, Debug)]
pub struct Channels {
    mask: ChannelMask,
    next: u8,
}

impl Iterator for Channels {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let found = (self.next..ChannelMask::CAPACITY).find(|&n| self.mask.contains(n))?;
        self.next = found + 1;
        Some(found)
    }
}

/// What the values of ChMaskCntl mean in a region (RP002, LinkADRReq).
///
/// Values below `blocks` address 16 channels each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaskControl {
    /// Number of channels the plan can have.
    pub channels: u8,
    /// Number of 16-channel blocks that can be addressed one by one.
    pub blocks: u8,
    /// The value that switches all channels on.
    pub all_on: u8,
    /// The value that switches all channels off.
    pub all_off: Option<u8>,
    /// Whether `all_on` and `all_off` spare the last block and set it from ChMask (US915, AU915).
    pub last_block_apart: bool,
    /// The value whose bits switch banks of 8 channels of 125 kHz with their 500 kHz channel.
    pub banks: Option<u8>,
}

/// Why a device refuses a ChMask (ChMaskACK = 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChMaskError {
    /// ChMaskCntl is reserved in this region.
    ReservedControl(u8),
    /// The mask enables a channel that is not defined.
    UndefinedChannel(u8),
    /// No channel would be left, or fewer than the region's rules want.
    TooFewChannels,
}

impl fmt::Display for ChMaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedControl(control) => {
                write!(f, "LinkADRReq: ChMaskCntl {control} is reserved in this region (RP002)")
            }
            Self::UndefinedChannel(channel) => {
                write!(f, "LinkADRReq: ChMask enables channel {channel}, which is not defined")
            }
            Self::TooFewChannels => {
                f.write_str("LinkADRReq: ChMask leaves too few channels enabled")
            }
        }
    }
}

impl core::error::Error for ChMaskError {}

impl MaskControl {
    /// 16 channels of any frequency.
    pub(super) const DYNAMIC: Self = Self {
        channels: 16,
        blocks: 1,
        all_on: 6,
        all_off: None,
        last_block_apart: false,
        banks: None,
    };

    /// 64 channels of 125 kHz and 8 of 500 kHz.
    pub(super) const US: Self = Self {
        channels: 72,
        blocks: 5,
        all_on: 6,
        all_off: Some(7),
        last_block_apart: true,
        banks: Some(5),
    };

    const fn last_block(&self) -> u8 {
        self.blocks.saturating_sub(1)
    }

    /// The channels `all_on` switches on, and `all_off` off.
    fn switched(&self, defined: ChannelMask) -> ChannelMask {
        if self.last_block_apart { defined.with_word(self.last_block(), 0) } else { defined }
    }

    /// The channels a device uses after one ChMaskCntl and ChMask, before the final check that a
    /// channel is left. `defined` are the channels the device knows.
    ///
    /// # Errors
    /// [`ChMaskError`] when ChMaskCntl is reserved or a channel is not defined.
    pub fn apply(
        &self,
        current: ChannelMask,
        defined: ChannelMask,
        ch_mask_cntl: u8,
        ch_mask: u16,
    ) -> Result<ChannelMask, ChMaskError> {
        // ChMask of the last block of US915 and AU915 is 8 bits wide, the others are RFU.
        let ch_mask = if self.last_block_apart && ch_mask_cntl >= self.last_block() {
            ch_mask & 0xFF
        } else {
            ch_mask
        };
        let next = if self.banks == Some(ch_mask_cntl) {
            let mut next = ChannelMask::EMPTY.with_word(self.last_block(), ch_mask);
            (0..64).for_each(|channel| next.set(channel, ch_mask >> (channel / 8) & 1 == 1));
            next
        } else if ch_mask_cntl == self.all_on || Some(ch_mask_cntl) == self.all_off {
            let on = ch_mask_cntl == self.all_on;
            let next = if on { self.switched(defined) } else { ChannelMask::EMPTY };
            let last = if self.last_block_apart { ch_mask } else { next.word(self.last_block()) };
            next.with_word(self.last_block(), last)
        } else if ch_mask_cntl < self.blocks {
            current.with_word(ch_mask_cntl, ch_mask)
        } else {
            return Err(ChMaskError::ReservedControl(ch_mask_cntl));
        };
        match next.channels().find(|&channel| !defined.contains(channel)) {
            Some(channel) => Err(ChMaskError::UndefinedChannel(channel)),
            None => Ok(next),
        }
    }

    /// The channels a device uses after a block of LinkADRReq, given as (ChMaskCntl, ChMask).
    ///
    /// # Errors
    /// [`ChMaskError`] when any of them is refused or no channel is left: nothing is applied then.
    pub fn apply_all(
        &self,
        current: ChannelMask,
        defined: ChannelMask,
        requests: impl IntoIterator<Item = (u8, u16)>,
    ) -> Result<ChannelMask, ChMaskError> {
        let next = requests.into_iter().try_fold(current, |current, (control, mask)| {
            self.apply(current, defined, control, mask)
        })?;
        if next.is_empty() { Err(ChMaskError::TooFewChannels) } else { Ok(next) }
    }

    /// The shortest block of LinkADRReq that takes a device from the channels `current` to the
    /// channels `wanted`; empty when they are the same.
    #[must_use]
    pub fn requests(&self, current: ChannelMask, wanted: ChannelMask) -> ChMaskRequests {
        if current == wanted {
            return ChMaskRequests::default();
        }
        let last = self.last_block();
        let every = ChannelMask::first(self.channels);
        let mut best = ChMaskRequests::from_state(None, current, wanted, self.blocks);
        let mut consider = |first: (u8, u16), state: ChannelMask| {
            let requests = ChMaskRequests::from_state(Some(first), state, wanted, self.blocks);
            if requests.len() < best.len() {
                best = requests;
            }
        };
        // Switching all on is only safe to count on when the plan's channels are fixed: in other
        // regions it depends on what the device has defined.
        let fixed = self.blocks > 1;
        for (control, on) in self
            .all_off
            .map(|off| (off, false))
            .into_iter()
            .chain(fixed.then_some((self.all_on, true)))
        {
            let state = if on { self.switched(every) } else { ChannelMask::EMPTY };
            if self.last_block_apart {
                consider((control, wanted.word(last)), state.with_word(last, wanted.word(last)));
            } else {
                consider((control, 0), state);
            }
        }
        if let Some(control) = self.banks {
            let banks = wanted.word(last) & 0xFF;
            if let Ok(state) = self.apply(current, every, control, banks) {
                consider((control, banks), state);
            }
        }
        best
    }
}

/// A block of LinkADRReq as (ChMaskCntl, ChMask); see [`MaskControl::requests`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChMaskRequests {
    requests: [(u8, u16); 7],
    len: u8,
}

impl ChMaskRequests {
    /// `first`, which leads to `state`, then one request for each block that is still different.
    fn from_state(
        first: Option<(u8, u16)>,
        state: ChannelMask,
        wanted: ChannelMask,
        blocks: u8,
    ) -> Self {
        let different = (0..blocks)
            .map(|block| (block, wanted.word(block)))
            .filter(|&(block, word)| state.word(block) != word);
        let mut block = Self::default();
        for (slot, request) in block.requests.iter_mut().zip(first.into_iter().chain(different)) {
            *slot = request;
            block.len += 1;
        }
        block
    }
}

impl core::ops::Deref for ChMaskRequests {
    type Target = [(u8, u16)];

    fn deref(&self) -> &[(u8, u16)] {
        self.requests.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

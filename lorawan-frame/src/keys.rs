//! AES-128 keys: bytes that are wiped and never printed, expanded forms that can be kept, and
//! the trait behind which a secure element or a server's key store can stand.

use core::fmt;
use core::str::FromStr;

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, ParBlocks,
};
use aes::{Aes128Dec, Aes128Enc};
use zeroize::Zeroize;

use crate::bytes::{Lanes, block, lanes, load, load_short, store, store_short, xor};
use crate::cmac;
use crate::crypto::MAX_PHY_PAYLOAD;
use crate::error::{Error, Place};

/// One AES block.
pub type Block = [u8; 16];

/// What a device needs of a key: AES-128 encryption and CMAC. Implement it for a secure element,
/// a hardware AES or a remote key store; [`Key`] and [`ExpandedKey`] are the software forms.
///
/// Failures are reported with [`Error::key_fault`]. To derive a session key inside the key store,
/// feed it the block from [`derivation`](crate::derivation).
pub trait KeyHandle {
    /// Encrypts each block by itself (ECB).
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error>;

    /// AES-CMAC (RFC 4493) over `head` (16 bytes, or nothing) followed by `message`.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        let encrypt = |block: &mut Block| self.encrypt(core::slice::from_mut(block));
        let mut zero = [0; 16];
        encrypt(&mut zero)?;
        let subkeys = cmac::Subkeys::new(zero);
        cmac::compute(encrypt, &subkeys, head.copied(), message)
    }

    /// [`KeyHandle::cmac`] over `head` (16 bytes, or nothing) followed by the first `len` bytes (at
    /// most 16) of `last`: join frames, whose few bytes then need not be written and read again.
    /// The provided form calls `cmac`.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        self.cmac(head, last.get(..len).unwrap_or(last))
    }

    /// XORs `input` (at most 255 bytes) with the encryptions of `first`, `first` + 1, ... into
    /// `output`, as much as both have. The last byte of the block counts.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        const GROUP: usize = 16 * STREAM_BLOCKS;
        let mut i = 0u8;
        let len = input.len().min(output.len());
        let (Some(input), Some(output)) = (input.get(..len), output.get_mut(..len)) else {
            return Ok(());
        };
        for (input, output) in input.chunks(GROUP).zip(output.chunks_mut(GROUP)) {
            let mut stream = [[0; 16]; STREAM_BLOCKS];
            let used = stream.get_mut(..input.len().div_ceil(16)).unwrap_or(&mut []);
            for block in used.iter_mut() {
                *block = nth_block(first, i);
                i = i.wrapping_add(1);
            }
            self.encrypt(used)?;
            for ((output, input), stream) in output.iter_mut().zip(input).zip(used.as_flattened()) {
                *output = input ^ stream;
            }
        }
        Ok(())
    }
}

/// One call of the key store for all but the longest payloads.
const STREAM_BLOCKS: usize = 8;

/// The block with `i` added to its last byte.
#[inline(always)]
fn nth_block(first: &Block, i: u8) -> Block {
    let [low, high] = lanes(first);
    block([low, high.wrapping_add(u64::from(i) << 56)])
}

/// What a server needs besides: AES-128 decryption, with which join-accepts and multicast keys
/// are made, so that a device gets along with encryption only (section 6.2.3).
pub trait ServerKeyHandle: KeyHandle {
    /// Decrypts each block by itself (ECB).
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error>;
}

impl<K: KeyHandle + ?Sized> KeyHandle for &K {
    #[inline]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        (**self).encrypt(blocks)
    }

    #[inline]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        (**self).cmac(head, message)
    }

    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        (**self).cmac_short(head, last, len)
    }

    #[inline]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        (**self).xor_key_stream(first, input, output)
    }
}

impl<K: ServerKeyHandle + ?Sized> ServerKeyHandle for &K {
    #[inline]
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        (**self).decrypt(blocks)
    }
}

/// The 16 bytes of a key, in the order in which they are written. Keys are byte strings: unlike
/// identifiers they are never reversed.
///
/// Usable as it is ([`KeyHandle`]); every use expands it anew. Keep an [`ExpandedKey`] where
/// speed counts. Wiped when dropped; `Debug` prints no byte of it.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// From its bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret itself, for storage that is worth of it.
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// Computes the round keys and CMAC subkeys once.
    pub fn expand(&self) -> ExpandedKey {
        ExpandedKey::new(self)
    }

    /// [`Key::expand`], and the round keys of decryption too: for servers.
    pub fn expand_server(&self) -> ExpandedServerKey {
        ExpandedServerKey { key: self.expand(), decipher: Aes128Dec::new(&self.0.into()) }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Key {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        u128::from_ne_bytes(self.0) ^ u128::from_ne_bytes(other.0) == 0
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl From<[u8; 16]> for Key {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Reads 32 hexadecimal digits, first byte first.
    ///
    /// # Errors
    /// As for the identifiers; the text itself is not repeated in the error.
    fn from_str(text: &str) -> Result<Self, Error> {
        crate::types::parse_hex(text, Place::KEY).map(Self)
    }
}

impl KeyHandle for Key {
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        Aes128Enc::new(&self.0.into()).encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        Ok(())
    }

    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        self.expand().cmac(head, message)
    }

    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        Aes128Enc::new(&self.0.into()).encrypt_with_backend(StreamInBackend {
            first: Halves::new(lanes(first)),
            input,
            output,
        });
        Ok(())
    }
}

impl ServerKeyHandle for Key {
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        Aes128Dec::new(&self.0.into()).decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        Ok(())
    }
}

/// A key with its round keys and CMAC subkeys computed. About 200 bytes with a hardware AES only,
/// more where the portable implementation is compiled in as well. Wiped when dropped.
#[derive(Clone)]
pub struct ExpandedKey {
    cipher: Aes128Enc,
    subkeys: cmac::Subkeys,
}

impl ExpandedKey {
    /// Expands `key`.
    pub fn new(key: &Key) -> Self {
        let cipher = Aes128Enc::new(&key.0.into());
        let mut zero = Array::default();
        cipher.encrypt_block(&mut zero);
        Self { cipher, subkeys: cmac::Subkeys::new(zero.into()) }
    }

    #[inline]
    pub(crate) const fn cipher(&self) -> &Aes128Enc {
        &self.cipher
    }

    #[inline]
    pub(crate) const fn subkeys(&self) -> &cmac::Subkeys {
        &self.subkeys
    }
}

impl fmt::Debug for ExpandedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandedKey(..)")
    }
}

impl From<&Key> for ExpandedKey {
    fn from(key: &Key) -> Self {
        Self::new(key)
    }
}

impl KeyHandle for ExpandedKey {
    #[inline(always)]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        let one = |tag: &mut Block| {
            let last = Halves::new(lanes(tag));
            self.cipher.encrypt_with_backend(ChainInBackend { head: None, last, tag });
        };
        match blocks {
            [block] => one(block),
            [first, second] => {
                one(first);
                one(second);
            }
            many => self.cipher.encrypt_blocks(Array::cast_slice_from_core_mut(many)),
        }
        Ok(())
    }

    #[inline(always)]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        let mut tag = [0; 16];
        self.cipher.encrypt_with_backend(CmacInBackend {
            subkeys: &self.subkeys,
            head: head.map(|head| Halves::new(lanes(head))),
            message,
            tag: &mut tag,
        });
        Ok(tag)
    }

    #[inline(always)]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        if len == 0 {
            return self.cmac(head, &[]);
        }
        let last = cmac::last_block(&self.subkeys, lanes(last), len);
        let mut tag = [0; 16];
        self.cipher.encrypt_with_backend(ChainInBackend {
            head: head.map(|head| Halves::new(lanes(head))),
            last: Halves::new(last),
            tag: &mut tag,
        });
        Ok(tag)
    }

    #[inline(always)]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        self.cipher.encrypt_with_backend(StreamInBackend {
            first: Halves::new(lanes(first)),
            input,
            output,
        });
        Ok(())
    }
}

/// An [`ExpandedKey`] that can also decrypt, as a server must ([`ServerKeyHandle`]). Wiped when
/// dropped.
#[derive(Clone)]
pub struct ExpandedServerKey {
    key: ExpandedKey,
    decipher: Aes128Dec,
}

impl fmt::Debug for ExpandedServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandedServerKey(..)")
    }
}

impl KeyHandle for ExpandedServerKey {
    #[inline]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        self.key.encrypt(blocks)
    }

    #[inline]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        self.key.cmac(head, message)
    }

    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        self.key.cmac_short(head, last, len)
    }

    #[inline]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        self.key.xor_key_stream(first, input, output)
    }
}

impl ServerKeyHandle for ExpandedServerKey {
    #[inline(always)]
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        let one = |output: &mut Block| {
            let input = Halves::new(lanes(output));
            self.decipher.decrypt_with_backend(DecryptInBackend { input, output });
        };
        match blocks {
            [block] => one(block),
            [first, second] => {
                one(first);
                one(second);
            }
            many => self.decipher.decrypt_blocks(Array::cast_slice_from_core_mut(many)),
        }
        Ok(())
    }
}

/// A block on its way into the cipher. Blocks are made of integers just before they are used;
/// passed as 16 bytes, a block is written in halves and read back as a whole, for which
/// processors wait until all earlier work is done (20 ns of 50 when measured). Rotating both halves
/// keeps the compiler from joining the two reads.
#[derive(Clone, Copy)]
struct Halves(u64, u64);

impl Halves {
    const TURN: u32 = 8;

    #[inline(always)]
    fn new([low, high]: Lanes) -> Self {
        Self(low.rotate_left(Self::TURN), high.rotate_left(Self::TURN))
    }

    #[inline(always)]
    fn lanes(self) -> Lanes {
        [self.0.rotate_right(Self::TURN), self.1.rotate_right(Self::TURN)]
    }

    #[inline(always)]
    fn block(self) -> Block {
        block(self.lanes())
    }
}

/// The whole CMAC in one call of the cipher, so that the choice of AES implementation is made
/// once per message and not once per block.
struct CmacInBackend<'a> {
    subkeys: &'a cmac::Subkeys,
    head: Option<Halves>,
    message: &'a [u8],
    tag: &'a mut Block,
}

impl BlockSizeUser for CmacInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for CmacInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let encrypt = |block: &mut Block| {
            backend.encrypt_block_inplace(block.into());
            Ok::<(), core::convert::Infallible>(())
        };
        let head = self.head.map(Halves::block);
        let Ok(tag) = cmac::compute(encrypt, self.subkeys, head, self.message);
        *self.tag = tag;
    }
}

/// One block, or two of which the second waits for the first: the CMAC of a short message.
struct ChainInBackend<'a> {
    head: Option<Halves>,
    /// Padded, and with its subkey.
    last: Halves,
    tag: &'a mut Block,
}

impl BlockSizeUser for ChainInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for ChainInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = self.last.block();
        if let Some(head) = self.head {
            let mut first = head.block();
            backend.encrypt_block_inplace((&mut first).into());
            state = block(xor(lanes(&first), self.last.lanes()));
        }
        backend.encrypt_block_inplace((&mut state).into());
        *self.tag = state;
    }
}

/// One block, decrypted.
struct DecryptInBackend<'a> {
    input: Halves,
    output: &'a mut Block,
}

impl BlockSizeUser for DecryptInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for DecryptInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = self.input.block();
        backend.decrypt_block_inplace((&mut state).into());
        *self.output = state;
    }
}

/// The whole key stream in one call of the cipher; blocks are made, encrypted and used without
/// a buffer for all of them.
struct StreamInBackend<'a> {
    first: Halves,
    input: &'a [u8],
    output: &'a mut [u8],
}

impl BlockSizeUser for StreamInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for StreamInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self { first, input, output } = self;
        let len = input.len().min(output.len());
        let (Some(mut input), Some(mut output)) = (input.get(..len), output.get_mut(..len)) else {
            return;
        };
        let mut i = 0u8;
        let mut next = || {
            let block = nth_block(&first.block(), i);
            i = i.wrapping_add(1);
            block
        };
        let group = 16 * B::ParBlocksSize::USIZE;
        // A backend of more blocks at once than a frame has would set up for them in vain.
        if group <= MAX_PHY_PAYLOAD && len >= group {
            let mut inputs = input.chunks_exact(group);
            let mut outputs = output.chunks_exact_mut(group);
            for (input, output) in (&mut inputs).zip(&mut outputs) {
                let mut stream = ParBlocks::<B>::default();
                for block in &mut stream {
                    *block = next().into();
                }
                backend.encrypt_par_blocks_inplace(&mut stream);
                let blocks = input.chunks_exact(16).zip(output.chunks_exact_mut(16));
                for ((input, output), block) in blocks.zip(&stream) {
                    store(xor(load(input), lanes(&(*block).into())), output);
                }
            }
            (input, output) = (inputs.remainder(), outputs.into_remainder());
        }
        while !input.is_empty() {
            let mut stream = next().into();
            backend.encrypt_block_inplace(&mut stream);
            let stream = lanes(&stream.into());
            let Some((from, from_rest)) = input.split_first_chunk() else {
                return store_short(xor(load_short(input), stream), output);
            };
            let Some((to, to_rest)) = output.split_first_chunk_mut() else { return };
            *to = block(xor(lanes(from), stream));
            (input, output) = (from_rest, to_rest);
        }
    }
}

/// Names for keys by what they may be used for: a call that wants an AppSKey cannot be handed an
/// AppKey. `K` is the form: [`Key`], [`ExpandedKey`], or a handle of your own.
macro_rules! key_names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<K = Key>(pub K);

        impl $name {
            /// From the 16 bytes of the key.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(Key::new(bytes))
            }

            /// Computes the round keys once, for repeated use.
            pub fn expand(&self) -> $name<ExpandedKey> {
                $name(self.0.expand())
            }

            /// [`Self::expand`], and the round keys of decryption too: for servers.
            pub fn expand_server(&self) -> $name<ExpandedServerKey> {
                $name(self.0.expand_server())
            }
        }

        impl<K> fmt::Debug for $name<K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self::new(bytes)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads 32 hexadecimal digits, first byte first.
            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Key::deserialize(deserializer).map(Self)
            }
        }

        #[cfg(feature = "defmt")]
        impl<K> defmt::Format for $name<K> {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}(..)", stringify!($name));
            }
        }
    )*};
}

key_names! {
    /// Root key of a 1.0 device; in 1.1 the root of the AppSKey only (section 6.1.1.3).
    AppKey;
    /// Network root key of a 1.1 device (section 6.1.1.3).
    NwkKey;
    /// Root of the multicast keys of a 1.0 device (TS005).
    GenAppKey;
    /// Network session key of 1.0: MIC of data frames, and FRMPayload on FPort 0.
    NwkSKey;
    /// Application session key: FRMPayload on the application's ports (section 6.1.2.5).
    AppSKey;
    /// Forwarding network session integrity key of 1.1 (section 6.1.2.2).
    FNwkSIntKey;
    /// Serving network session integrity key of 1.1 (section 6.1.2.3).
    SNwkSIntKey;
    /// Network session encryption key of 1.1 (section 6.1.2.4): FOpts and FPort 0.
    NwkSEncKey;
    /// Signs rejoin-requests type 1 and the join-accepts of 1.1 (section 6.1.1.4).
    JsIntKey;
    /// Encrypts the join-accept that answers a rejoin-request (section 6.1.1.4).
    JsEncKey;
    /// Root of a device's multicast keys (TS005 3.1).
    McRootKey;
    /// Key-encryption key of a device's multicast groups (TS005 3.1).
    McKeKey;
    /// Key of one multicast group (TS005 3.1).
    McKey;
    /// Application session key of a multicast group (TS005 3.1).
    McAppSKey;
    /// Network session key of a multicast group (TS005 3.1).
    McNetSKey;
    /// Signs a fragmented data block (TS004 version 2).
    DataBlockIntKey;
    /// Root of the wake-on-radio keys of a device under a relay (TS011 4).
    RootWorSKey;
    /// Integrity key of wake-on-radio frames (TS011 4).
    WorSIntKey;
    /// Encryption key of wake-on-radio frames (TS011 4).
    WorSEncKey;
}

/// A root key that signs join-requests: [`AppKey`] on a 1.0 device, [`NwkKey`] on a 1.1 device.
pub trait JoinKey {
    /// The device knows OptNeg. To a 1.0 device the bit is reserved, and ignored.
    const KNOWS_OPT_NEG: bool;
    /// The form in which the key is held.
    type Handle: KeyHandle;
    /// The key itself.
    fn handle(&self) -> &Self::Handle;
}

impl<K: KeyHandle> JoinKey for AppKey<K> {
    const KNOWS_OPT_NEG: bool = false;
    type Handle = K;
    fn handle(&self) -> &K {
        &self.0
    }
}

impl<K: KeyHandle> JoinKey for NwkKey<K> {
    const KNOWS_OPT_NEG: bool = true;
    type Handle = K;
    fn handle(&self) -> &K {
        &self.0
    }
}

/// The network's half of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkKeys<K = Key> {
    /// LoRaWAN 1.0.x, and a 1.1 device on a 1.0 network (OptNeg = 0): one key for everything.
    V1_0(NwkSKey<K>),
    /// LoRaWAN 1.1 (OptNeg = 1).
    V1_1 {
        /// Second half of the uplink MIC.
        f_nwk_s_int_key: FNwkSIntKey<K>,
        /// First half of the uplink MIC, and the downlink MIC.
        s_nwk_s_int_key: SNwkSIntKey<K>,
        /// FOpts, and FRMPayload on FPort 0.
        nwk_s_enc_key: NwkSEncKey<K>,
    },
}

impl<K> NetworkKeys<K> {
    /// The key of FRMPayload on the network's own ports (0 and 226).
    pub const fn encryption_key(&self) -> &K {
        match self {
            Self::V1_0(key) => &key.0,
            Self::V1_1 { nwk_s_enc_key, .. } => &nwk_s_enc_key.0,
        }
    }
}

/// The keys of one activated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys<K = Key> {
    /// MIC, MAC commands.
    pub network: NetworkKeys<K>,
    /// Application payload.
    pub app_s_key: AppSKey<K>,
}

impl SessionKeys {
    /// Keys of a 1.0 session, as activation by personalization gives them.
    pub const fn v1_0(nwk_s_key: NwkSKey, app_s_key: AppSKey) -> Self {
        Self { network: NetworkKeys::V1_0(nwk_s_key), app_s_key }
    }

    /// Computes all round keys once: what a server keeps for an active device.
    pub fn expand(&self) -> SessionKeys<ExpandedKey> {
        SessionKeys { network: self.network.expand(), app_s_key: self.app_s_key.expand() }
    }
}

impl NetworkKeys {
    /// Computes all round keys once.
    pub fn expand(&self) -> NetworkKeys<ExpandedKey> {
        match self {
            Self::V1_0(key) => NetworkKeys::V1_0(key.expand()),
            Self::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } => NetworkKeys::V1_1 {
                f_nwk_s_int_key: f_nwk_s_int_key.expand(),
                s_nwk_s_int_key: s_nwk_s_int_key.expand(),
                nwk_s_enc_key: nwk_s_enc_key.expand(),
            },
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::types::TextVisitor(core::marker::PhantomData))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Key {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Key(..)");
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Key {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.arbitrary().map(Self)
    }
}

//! Checking the MICs of many frames at once, on a server.
//!
//! A MIC is a chain: each AES block waits for the one before, and most of the time the AES unit of
//! the processor waits too. Frames of different devices have different keys, for which the `aes`
//! crate has no call; but its closures nest, and inside four of them the chains of four frames
//! advance in turn.

use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
};

use crate::cmac;
use crate::crypto::{Context, FrameId, Mic, check_mic};
use crate::data::DataFrame;
use crate::error::Error;
use crate::keys::{Block, ExpandedKey, NetworkKeys};

/// A received frame and what its MIC is checked with.
#[derive(Debug, Clone, Copy)]
pub struct BatchFrame<'a> {
    /// The frame.
    pub frame: DataFrame<'a>,
    /// The session of its device.
    pub keys: &'a NetworkKeys<ExpandedKey>,
    /// The 32-bit counter that it should have.
    pub fcnt: u32,
    /// What LoRaWAN 1.1 needs besides.
    pub context: Context,
}

/// Checks the MICs of frames of any number of devices, and hands each verdict to `verdict` with
/// the index of the frame, in order: the same as [`DataFrame::verify`] for each of them, and
/// faster for long frames where the AES of the processor is used.
pub fn verify_batch(frames: &[BatchFrame<'_>], mut verdict: impl FnMut(usize, Result<(), Error>)) {
    for (first, group) in (0..).step_by(LANES).zip(frames.chunks(LANES)) {
        if group.iter().any(|item| item.frame.bytes().len() < LONG) {
            for (index, item) in (first..).zip(group) {
                verdict(index, item.frame.verify(item.keys, item.fcnt, &item.context));
            }
        } else {
            verify_group(group, |i, result| verdict(first + i, result));
        }
    }
}

/// Chains that advance in turn: with AES-NI a block takes about ten times as long as the processor
/// needs before it can start the next one; four chains fit into its registers.
const LANES: usize = 4;

/// Shorter frames go one by one: a processor that looks far ahead overlaps them by itself, up to
/// about this size when measured.
const LONG: usize = 100;

/// At most [`LANES`] frames: in a first round the first MIC of each, in a second round the other
/// half that 1.1 uplinks have.
fn verify_group(frames: &[BatchFrame<'_>], mut verdict: impl FnMut(usize, Result<(), Error>)) {
    let mut found: [Result<Mic, Error>; LANES] = [Ok([0; 4]); LANES];
    for half in [Half::First, Half::Second] {
        let mut jobs: [Option<Job<'_>>; LANES] = [const { None }; LANES];
        for ((job, found), item) in jobs.iter_mut().zip(&mut found).zip(frames) {
            match Job::of(item, half) {
                Ok(next) => *job = next,
                Err(error) => *found = Err(error),
            }
        }
        let Some(any) = jobs.iter().flatten().next().copied() else { continue };
        // A lane without a job does another's: it costs nothing.
        let tags = run(jobs.map(|job| job.unwrap_or(any)));
        for ((found, job), tag) in found.iter_mut().zip(&jobs).zip(tags) {
            if let (Ok(mic), Some(_)) = (found, job) {
                let [t0, t1, t2, t3, ..] = tag;
                *mic = match (half, *mic) {
                    (Half::First, _) => [t0, t1, t2, t3],
                    (Half::Second, [s0, s1, ..]) => [s0, s1, t0, t1],
                };
            }
        }
    }
    for (i, (found, item)) in found.into_iter().zip(frames).enumerate() {
        let offset = item.frame.bytes().len().saturating_sub(4);
        verdict(i, found.and_then(|mic| check_mic(mic, item.frame.mic(), offset)));
    }
}

#[derive(Clone, Copy)]
enum Half {
    /// The whole MIC, but of a 1.1 uplink the part under SNwkSIntKey.
    First,
    /// The part of a 1.1 uplink under FNwkSIntKey.
    Second,
}

/// One CMAC.
#[derive(Clone, Copy)]
struct Job<'a> {
    key: &'a ExpandedKey,
    head: Block,
    message: &'a [u8],
}

impl<'a> Job<'a> {
    fn of(item: &BatchFrame<'a>, half: Half) -> Result<Option<Self>, Error> {
        let id: FrameId = item.frame.id(item.fcnt)?;
        let message = item.frame.signed_bytes();
        let heads = id.mic_blocks(item.keys, &item.context, item.frame.fctrl.ack, message.len());
        let chosen = match half {
            Half::First => Some(heads.0),
            Half::Second => heads.1,
        };
        Ok(chosen.map(|(key, head)| Self { key, head, message }))
    }
}

fn run(jobs: [Job<'_>; LANES]) -> [Block; LANES] {
    let mut tags = [[0; 16]; LANES];
    let [a, ..] = &jobs;
    a.key.cipher().encrypt_with_backend(Lane1 { jobs: &jobs, tags: &mut tags });
    tags
}

/// The closures, one inside the other: each adds the backend of its key.
macro_rules! lanes {
    ($($name:ident<$($backend:ident $field:ident),*> adds $own:ident, then $index:literal $next:ident;)*) => {$(
        struct $name<'a, $($backend),*> {
            jobs: &'a [Job<'a>; LANES],
            tags: &'a mut [Block; LANES],
            $($field: &'a $backend,)*
        }

        impl<$($backend),*> BlockSizeUser for $name<'_, $($backend),*> {
            type BlockSize = U16;
        }

        impl<$($backend: BlockCipherEncBackend<BlockSize = U16>),*> BlockCipherEncClosure for $name<'_, $($backend),*> {
            #[inline(always)]
            fn call<Own: BlockCipherEncBackend<BlockSize = U16>>(self, $own: &Own) {
                let Self { jobs, tags, $($field),* } = self;
                jobs[$index].key.cipher().encrypt_with_backend($next { jobs, tags, $($field,)* $own });
            }
        }
    )*};
}

lanes! {
    Lane1<> adds a, then 1 Lane2;
    Lane2<A a> adds b, then 2 Lane3;
    Lane3<A a, B b> adds c, then 3 Lane4;
}

struct Lane4<'a, A, B, C> {
    jobs: &'a [Job<'a>; LANES],
    tags: &'a mut [Block; LANES],
    a: &'a A,
    b: &'a B,
    c: &'a C,
}

impl<A, B, C> BlockSizeUser for Lane4<'_, A, B, C> {
    type BlockSize = U16;
}

impl<A, B, C> BlockCipherEncClosure for Lane4<'_, A, B, C>
where
    A: BlockCipherEncBackend<BlockSize = U16>,
    B: BlockCipherEncBackend<BlockSize = U16>,
    C: BlockCipherEncBackend<BlockSize = U16>,
{
    #[inline(always)]
    fn call<D: BlockCipherEncBackend<BlockSize = U16>>(self, d: &D) {
        let Self { jobs, tags, a, b, c } = self;
        let chains = jobs.map(|job| cmac::Chain::new(job.key.subkeys(), job.head, job.message));
        cmac::compute_lanes(
            |[s0, s1, s2, s3]| {
                a.encrypt_block_inplace(s0.into());
                b.encrypt_block_inplace(s1.into());
                c.encrypt_block_inplace(s2.into());
                d.encrypt_block_inplace(s3.into());
            },
            chains,
            tags,
        );
    }
}

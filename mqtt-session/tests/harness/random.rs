//! Random numbers that are the same for the same seed, and random actions.

use mqtt_codec::QoS;

use super::{Action, CLIENT, Crash, SERVER, World};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How likely faults are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// One in so many deliveries ends in a crash.
    pub(crate) crash: usize,
    /// One in so many actions cuts the connection.
    pub(crate) cut: usize,
    /// Whether the server may forget the session.
    pub(crate) forget: bool,
    /// Whether acknowledgements by hand may be out of order.
    pub(crate) shuffle: bool,
}

/// Something that can happen now.
pub(crate) fn action(world: &World, random: &mut Random, faults: &Faults) -> Action {
    if !world.connected {
        return match random.below(4) {
            0 => submit(random),
            1 => Action::Tick,
            _ => Action::Connect {
                receive_maximum: [1 + random.below(4) as u16, 1 + random.below(4) as u16],
                forget: faults.forget && random.one_in(4),
            },
        };
    }
    if random.one_in(faults.cut) {
        let arrived = [CLIENT, SERVER].map(|side| random.below(world.wire[side].len() + 1));
        return Action::Cut { arrived };
    }
    let side = random.below(2);
    let crash = match random.below(2 * faults.crash) {
        0 => Crash::Before,
        1 => Crash::After,
        _ => Crash::Never,
    };
    let to_do = world.sides[side].to_do.len();
    match random.below(12) {
        0 | 1 => submit(random),
        2 if random.one_in(4) => Action::Tick,
        2..=5 if to_do > 0 => {
            let index = if faults.shuffle { random.below(to_do) } else { 0 };
            Action::Acknowledge { side, index, crash }
        }
        _ => {
            let bytes = world.wire[side].len();
            let bytes = if random.one_in(2) { bytes } else { random.below(bytes + 1) };
            Action::Deliver { side, bytes, crash }
        }
    }
}

fn submit(random: &mut Random) -> Action {
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][random.below(3)];
    Action::Submit { side: random.below(2), qos, topic: random.below(3) as u8 }
}

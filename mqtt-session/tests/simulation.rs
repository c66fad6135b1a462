//! Client and server over a link that breaks, with crashes at every step, checked against a model:
//! QoS 1 at least once, QoS 2 exactly once, in order, nothing lost, invented or leaked.
//!
//! A run that fails prints its seed and all that happened; `SEED=n cargo test --test simulation`
//! runs it again alone.

mod harness;

use harness::random::{Faults, Random, action};
use harness::{Options, World};
use mqtt_codec::{PacketId, Version};

fn run(seed: u64, faults: impl Fn(&mut Random) -> Faults) {
    let mut random = Random(seed);
    let options = Options {
        version: if random.one_in(2) { Version::V5 } else { Version::V311 },
        manual: random.one_in(3),
        room: [64, 80, 200, usize::MAX][random.below(4)],
        slots: 1 + random.below(8) as u16,
        keep_alive: [0, 10][random.below(2)],
        last_id: [PacketId::MIN, PacketId::new(65_530).unwrap()][random.below(2)],
    };
    let faults = faults(&mut random);
    let mut world = World::new(options);
    world.trace.push(format!("seed {seed}, {faults:?}"));
    for _ in 0..300 {
        let action = action(&world, &mut random, &faults);
        world.apply(action);
    }
    world.settle();
    world.check(!faults.shuffle || !options.manual);
}

/// The seeds to run: so many, or the one in the environment.
fn seeds(many: u64) -> Box<dyn Iterator<Item = u64>> {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => Box::new(core::iter::once(seed)),
        None => Box::new(0..many),
    }
}

#[test]
fn messages_survive_cuts_and_crashes_mqtt_4_3_2_4_mqtt_4_3_3_8_mqtt_4_4_0_1_mqtt_4_6_0_1() {
    for seed in seeds(4000) {
        run(seed, |random| Faults {
            crash: [4, 20, 100][random.below(3)],
            cut: [5, 20, 100][random.below(3)],
            forget: false,
            shuffle: random.one_in(2),
        });
    }
}

#[test]
fn a_forgotten_session_neither_repeats_qos_2_nor_loses_messages_in_silence_mqtt_3_2_2_5() {
    for seed in seeds(2000) {
        run(seed, |random| Faults {
            crash: [10, 100][random.below(2)],
            cut: [5, 20][random.below(2)],
            forget: true,
            shuffle: false,
        });
    }
}

//! Every state that the exchange of QoS 2 can reach, over the real code: whatever arrives, breaks or
//! crashes, in any order and as often as it likes.

mod harness;

use core::hash::{Hash, Hasher};
use std::collections::HashSet;
use std::hash::DefaultHasher;

use harness::{Action, CLIENT, Crash, Options, SERVER, World};
use mqtt_codec::{PacketId, QoS, Rules, Sender, Version};

/// What can happen next: packets arrive one by one, as a session takes them.
fn actions(world: &World, messages: &[(usize, QoS)]) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some((side, qos)) = messages.get(world.submitted.len()) {
        actions.push(Action::Submit { side: *side, qos: *qos, topic: 0 });
    }
    if !world.connected {
        actions.push(Action::Connect { receive_maximum: [2, 2], forget: false });
        return actions;
    }
    actions.push(Action::Cut { arrived: [0, 0] });
    for side in [CLIENT, SERVER] {
        // What a cut lets through arrives before it, one packet after the other.
        let Some(bytes) = first_packet(&world.wire[side], world.options.version) else { continue };
        for crash in [Crash::Never, Crash::Before, Crash::After] {
            actions.push(Action::Deliver { side, bytes, crash });
        }
    }
    actions
}

fn first_packet(wire: &[u8], version: Version) -> Option<usize> {
    let header = Rules::new(version, Sender::Either).fixed_header(wire).unwrap()?;
    Some(header.packet_len())
}

/// A number for all that matters. Who takes part in a connection for which time makes no difference,
/// and in which number, does not.
fn fingerprint(world: &World) -> u64 {
    let state = world.state();
    let mut hasher = DefaultHasher::new();
    for (i, part) in state.split("connection: ").enumerate() {
        // What follows is the number of the connection, which tells tokens apart that are not used.
        let part = if i == 0 { part } else { part.trim_start_matches(char::is_numeric) };
        part.hash(&mut hasher);
    }
    hasher.finish()
}

/// Visits every state that can be reached, and from each that has submitted all messages lets the
/// two come to rest. Returns how many there are.
fn explore(version: Version, messages: &[(usize, QoS)]) -> usize {
    let options = Options {
        version,
        manual: false,
        room: usize::MAX,
        slots: 4,
        keep_alive: 0,
        last_id: PacketId::MIN,
    };
    let replay = |path: &[Action]| {
        let mut world = World::new(options);
        world.tracing = false;
        path.iter().for_each(|action| world.apply(*action));
        world
    };
    let mut seen = HashSet::from([fingerprint(&replay(&[]))]);
    let mut paths = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let mut settled = replay(&path);
        settled.trace.push(format!("{path:#?}"));
        for action in actions(&settled, messages) {
            let mut longer = path.clone();
            longer.push(action);
            if seen.insert(fingerprint(&replay(&longer))) {
                assert!(seen.len() < 200_000, "there is no end: {longer:#?}");
                paths.push(longer);
            }
        }
        settled.settle();
        settled.check(true);
    }
    seen.len()
}

fn report(what: &str, messages: &[(usize, QoS)]) {
    for version in [Version::V311, Version::V5] {
        let states = explore(version, messages);
        println!("{what}, {version}: {states} states");
        assert!(states > 100);
    }
}

#[test]
fn qos_2_is_delivered_exactly_once_in_every_reachable_state_mqtt_4_3_3_10() {
    report("one message", &[(CLIENT, QoS::ExactlyOnce)]);
    report("one message from the server", &[(SERVER, QoS::ExactlyOnce)]);
    report("two messages", &[(CLIENT, QoS::ExactlyOnce); 2]);
}

#[test]
fn both_ways_at_once_it_is_the_same_in_every_reachable_state() {
    report("one each way", &[(CLIENT, QoS::ExactlyOnce), (SERVER, QoS::ExactlyOnce)]);
}

#[test]
fn with_qos_1_among_them_it_is_the_same_in_every_reachable_state_mqtt_4_3_2_3() {
    report("QoS 1, then QoS 2", &[(CLIENT, QoS::AtLeastOnce), (CLIENT, QoS::ExactlyOnce)]);
}

use alloc::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use super::{Fault, Relay, Told};
use crate::broker::Settings;

/// A bridge that is let in with this CONNACK.
fn let_in(more: &str, connack: &[u8]) -> Relay {
    let text = format!(
        "[[bridge]]\nname = \"up\"\naddresses = [\"h:1\"]\nclient_id = \"b\"\n{more}\n\
         [[bridge.topic]]\ndirection = \"both\"\npattern = \"#\"\nqos = 2\n"
    );
    let settings = Arc::new(Settings::parse(&text).unwrap().bridges.remove(0));
    let mut relay = Relay::new(settings, Arc::default(), 1000, QoS::ExactlyOnce);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    relay.connect(false, &mut up);
    let told = relay.take_remote(&mut &connack[..], &mut up, &mut down).unwrap();
    assert_eq!(told, Some(Some(Told::LetIn { session_present: true })));
    relay
}

// [MQTT-3.1.2-27]
#[test]
fn a_topic_alias_of_an_upstream_ends_the_connection() {
    let mut relay = let_in("", b"\x20\x03\x01\0\0");
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let taken = relay.take_remote(&mut &b"\x30\x07\0\x01a\x03\x23\0\x01"[..], &mut up, &mut down);
    assert!(matches!(taken, Err(Fault::Unexpected(_))), "{taken:?}");
    assert!(down.is_empty());
}

/// After a restart nobody knows that the message went with QoS 1.
#[test]
fn a_pubrel_of_an_earlier_run_is_answered_here_where_the_upstream_takes_no_qos_2() {
    let v5: &[u8] = b"\x20\x05\x01\0\x02\x24\x01";
    for (more, connack, is_here) in [
        ("", v5, true),
        ("max_qos = 1", b"\x20\x03\x01\0\0", true),
        ("max_qos = 1\nversion = \"3.1.1\"", b"\x20\x02\x01\0", true),
        ("version = \"3.1.1\"", b"\x20\x02\x01\0", false),
    ] {
        let mut relay = let_in(more, connack);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        assert!(relay.take_local(&mut &b"\x62\x02\0\x07"[..], &mut up, &mut down).unwrap());
        let pubrel: &[u8] = if is_here { b"" } else { b"\x62\x02\0\x07" };
        let pubcomp: &[u8] = if is_here { b"\x70\x02\0\x07" } else { b"" };
        assert_eq!((&up[..], &down[..]), (pubrel, pubcomp), "{more}");
    }
}

/// Each SUBSCRIBE brings all retained messages, if no Retain Handling says otherwise [MQTT-3.8.4-3 of 3.1.1].
#[test]
fn what_an_upstream_of_3_1_1_has_in_its_session_is_not_subscribed_to_again() {
    let (v311, v5) = ("version = \"3.1.1\"", "");
    for (version, suback, session_present, again) in [
        (v311, &b"\x90\x03\0\x01\x02"[..], true, false),
        (v311, b"\x90\x03\0\x01\x80", true, true),
        (v311, b"\x90\x03\0\x01\x02", false, true),
        (v5, b"\x90\x04\0\x01\0\x02", true, true),
    ] {
        let connack: &[u8] =
            if version.is_empty() { b"\x20\x03\x01\0\0" } else { b"\x20\x02\x01\0" };
        let mut relay = let_in(version, connack);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let id = PacketId::new(1).unwrap();
        assert!(
            relay.attach(true, id, &mut up, &mut down),
            "an earlier run may have had other topics"
        );
        let told = relay.take_remote(&mut &suback[..], &mut up, &mut down).unwrap();
        assert_eq!(told, Some(Some(Told::Subscribed)));
        relay.connect(false, &mut up);
        relay.take_remote(&mut &connack[..], &mut up, &mut down).unwrap();
        let subscribes = relay.attach(session_present, id, &mut up, &mut down);
        assert_eq!(subscribes, again, "{version} {suback:02x?} {session_present}");
    }
}

/// Whatever an upstream sends: it is an error, or is taken, and answered by no more than it is.
#[test]
fn an_upstream_that_sends_nonsense_is_no_trouble() {
    const SEEDS: [&[u8]; 8] = [
        b"\x20\x02\x01\0",
        b"\x90\x03\0\x01\x02",
        b"\x32\x06\0\x01a\0\x07x",
        b"\x34\x06\0\x01a\0\x07x",
        b"\x30\xFF\x7F\0\x01abcdefgh",
        b"\x62\x02\0\x07",
        b"\x50\x02\0\x07",
        b"\x40\x02\0\x07",
    ];
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut taken = 0;
    for _ in 0..3000 {
        let mut relay = let_in("version = \"3.1.1\"", b"\x20\x02\x01\0");
        let mut bytes = Vec::new();
        for _ in 0..next(20) {
            let mut packet = SEEDS[1 + next(SEEDS.len() - 1)].to_vec();
            if next(4) == 0 {
                let at = next(packet.len());
                packet[at] = next(256) as u8;
            }
            bytes.extend(packet);
        }
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let mut rx = &bytes[..];
        while let Ok(Some(_)) = relay.take_remote(&mut rx, &mut up, &mut down) {
            taken += 1;
        }
        // What is added to a message is less than a hundred bytes.
        assert!(up.len() <= bytes.len() && down.len() <= 20 * (100 + bytes.len()), "{bytes:02x?}");
    }
    assert!(taken > 5000, "{taken}");
}

/// What it adds must fit into what this broker takes.
#[test]
fn a_message_as_large_as_an_upstream_may_send_goes_on() {
    let mut relay = let_in("", b"\x20\x03\x01\0\0");
    let largest = relay.largest() as usize;
    for (len, is_taken) in [(largest, true), (largest + 1, false)] {
        let mut packet = vec![0x30, 0, 0, 0, 1, b'a', 0];
        packet.resize(len, b'x');
        let rest = len - 3;
        (packet[1], packet[2]) = (rest as u8 | 0x80, (rest >> 7) as u8);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let taken = relay.take_remote(&mut &packet[..], &mut up, &mut down);
        assert_eq!(taken.is_ok(), is_taken, "{taken:?}");
        assert_eq!(down.len() > len && down.len() <= 1000, is_taken, "{}", down.len());
    }
}

/// Whether messages go one at a time after two connections that an upstream ended with this reason at the first one.
fn is_wary(reason: u8) -> bool {
    let mut in_flight = Vec::new();
    let mut relay = let_in("", b"\x20\x03\x01\0\0");
    for _ in 0..3 {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        relay.connect(false, &mut up);
        let connack = b"\x20\x03\x01\0\0";
        relay.take_remote(&mut &connack[..], &mut up, &mut down).unwrap();
        relay.attach(true, PacketId::MAX, &mut up, &mut down);
        let rules = mqtt_codec::Rules::new(mqtt_codec::Version::V5, mqtt_codec::Sender::Client);
        let packet = rules.decode(&mut &down[..]).unwrap();
        let Some(mqtt_codec::Packet::Connect(connect)) = packet else { panic!("{packet:?}") };
        in_flight.push(connect.properties.receive_maximum().unwrap().get());
        let publish = b"\x32\x07\0\x01a\0\x07\0x";
        assert!(relay.take_local(&mut &publish[..], &mut up, &mut down).unwrap());
        let disconnect = [0xE0, 1, reason];
        let ended = relay.take_remote(&mut &disconnect[..], &mut up, &mut down);
        assert!(matches!(ended, Err(Fault::Ended(_))), "{ended:?}");
        // The socket is closed as well.
        relay.on_hang_up();
    }
    assert_eq!(in_flight[..2], [100, 100]);
    in_flight[2] == 1
}

// Table 3-13 of version 5.0.
#[test]
fn an_upstream_that_says_what_is_wrong_with_a_message_is_sent_one_at_a_time() {
    for (reason, wary) in [(0x90, true), (0x87, true), (0x95, true), (0x8B, false), (0x8E, false)] {
        assert_eq!(is_wary(reason), wary, "0x{reason:02X}");
    }
}

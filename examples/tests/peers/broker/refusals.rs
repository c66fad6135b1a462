//! Bytes that break the rules, and who must not notice.

use core::net::SocketAddr;

use crate::support::Version;
use crate::support::paho::Paho;
use crate::support::raw::{Connect, Raw, packet};

/// What is wrong, and the bytes: malformed or forbidden from a connected client in either version.
const BAD: [(&str, &[u8]); 9] = [
    ("a reserved packet type", &[0x00, 0x00]),
    ("a SUBSCRIBE without a filter", &[0x82, 0x02, 0x00, 0x01]),
    ("a SUBSCRIBE whose flags are not 2", &[0x80, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00]),
    ("a PUBLISH with QoS 3", &[0x36, 0x06, 0x00, 0x01, b'a', 0x00, 0x01, 0x00]),
    ("a PUBLISH with packet identifier 0", &[0x32, 0x06, 0x00, 0x01, b'a', 0x00, 0x00, 0x00]),
    ("a PUBLISH to a wildcard", &[0x30, 0x04, 0x00, 0x01, b'#', 0x00]),
    ("a topic longer than its packet", &[0x30, 0x03, 0x00, 0x09, b'a']),
    ("a topic that is not UTF-8", &[0x30, 0x05, 0x00, 0x02, 0xc3, 0x28, 0x00]),
    ("a topic with U+0000 in it", &[0x30, 0x04, 0x00, 0x01, 0x00, 0x00]),
];

/// The same; to these, mosquitto 2.0 closes the connection without a DISCONNECT.
const BAD_WITHOUT_A_WORD: [(&str, &[u8]); 4] = [
    ("a PUBREL whose flags are not 2", &[0x60, 0x02, 0x00, 0x01]),
    ("a Remaining Length of five bytes", &[0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ("a DISCONNECT with reserved flags set", &[0xe1, 0x00]),
    ("a CONNACK, which only servers send", &[0x20, 0x02, 0x00, 0x00]),
];

/// The same; mosquitto 2.0 does not mind.
const PASSED: [(&str, &[u8]); 2] = [
    ("a PINGREQ with reserved flags set", &[0xc1, 0x00]),
    ("a PUBLISH of QoS 0 with DUP", &[0x38, 0x04, 0x00, 0x01, b'a', 0x00]),
];

/// Each of `packets`, from a client of its own, beside one that does nothing wrong.
fn close_only_their_own_connection(address: SocketAddr, packets: &[(&str, &[u8])]) -> Option<()> {
    for version in Version::BOTH {
        let mut bystander = Paho::connected(address, version, "bystander")?;
        bystander.subscribe("calm", 1);
        for (what, bytes) in packets {
            let mut offender = Raw::connected(address, version, "offender");
            offender.send(bytes);
            let last = offender.until_closed();
            // To a 3.1.1 client there is no packet to say it with.
            assert!(last.is_none() || version == Version::V5, "{what}: {last:02x?}");
            bystander.publish("calm", what, 1, false);
            assert_eq!(bystander.message().payload, *what);
        }
    }
    Some(())
}

/// For each of `packets`, a 5.0 client gets a DISCONNECT that says what was wrong.
fn are_answered(address: SocketAddr, packets: &[(&str, &[u8])]) -> Option<()> {
    for (what, bytes) in packets {
        let mut offender = Raw::connected(address, Version::V5, "offender");
        offender.send(bytes);
        let told = offender.packet().unwrap_or_else(|| panic!("{what}: closed without a word"));
        assert_eq!(told[0], 0xe0, "{what}: a DISCONNECT, not {told:02x?}");
        // 0x90 Topic Name invalid is the closer reason for a wildcard in a topic.
        assert!([0x81, 0x82, 0x90].contains(&told[2]), "{what}: {told:02x?}");
        assert_eq!(offender.packet(), None, "{what}: and then the close");
    }
    Some(())
}

/// 5.0 [MQTT-4.13.1-1], [MQTT-2.1.3-1], [MQTT-2.2.1-3], [MQTT-3.3.1-4], [MQTT-3.3.2-2],
/// [MQTT-3.6.1-1], [MQTT-3.8.3-2], [MQTT-1.5.4-1], [MQTT-1.5.4-2]; [MQTT-4.8.0-1 of 3.1.1],
/// [MQTT-2.2.2-2 of 3.1.1], [MQTT-2.3.1-1 of 3.1.1], [MQTT-3.3.1-4 of 3.1.1],
/// [MQTT-3.3.2-2 of 3.1.1], [MQTT-3.6.1-1 of 3.1.1], [MQTT-3.8.3-3 of 3.1.1],
/// [MQTT-1.5.3-1 of 3.1.1], [MQTT-1.5.3-2 of 3.1.1].
pub(crate) fn a_malformed_packet_closes_only_its_own_connection(address: SocketAddr) -> Option<()> {
    close_only_their_own_connection(address, &[&BAD[..], &BAD_WITHOUT_A_WORD].concat())
}

/// 5.0 [MQTT-2.1.3-1], [MQTT-3.3.1-2]; [MQTT-2.2.2-2 of 3.1.1], [MQTT-3.3.1-2 of 3.1.1].
pub(crate) fn what_other_brokers_let_pass_is_refused(address: SocketAddr) -> Option<()> {
    close_only_their_own_connection(address, &PASSED)
}

/// 5.0 sections 4.13.1 and 3.14.2.1: 0x81 Malformed Packet, 0x82 Protocol Error.
pub(crate) fn v5_clients_are_told_what_was_wrong(address: SocketAddr) -> Option<()> {
    are_answered(address, &BAD)
}

/// The same for what mosquitto answers with a bare close, or not at all.
pub(crate) fn v5_clients_are_told_in_every_case(address: SocketAddr) -> Option<()> {
    are_answered(address, &[&BAD_WITHOUT_A_WORD[..], &PASSED].concat())
}

/// 5.0 [MQTT-3.1.0-2], section 3.14.2.1.
pub(crate) fn a_second_v5_connect_is_called_a_protocol_error(address: SocketAddr) -> Option<()> {
    let mut client = Raw::connected(address, Version::V5, "twice");
    client.send(&Connect::new(Version::V5, "twice").bytes());
    let told = client.until_closed().expect("a DISCONNECT");
    assert_eq!((told[0], told[2]), (0xe0, 0x82), "{told:02x?}");
    Some(())
}

/// [MQTT-3.1.0-1].
pub(crate) fn a_first_packet_that_is_not_connect_is_refused(address: SocketAddr) -> Option<()> {
    let first: [(&str, &[u8]); 5] = [
        ("PINGREQ", &[0xc0, 0x00]),
        ("PUBLISH", &[0x30, 0x04, 0x00, 0x01, b'a', b'x']),
        ("SUBSCRIBE", &[0x82, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00]),
        ("DISCONNECT", &[0xe0, 0x00]),
        ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n"),
    ];
    for (what, bytes) in first {
        let mut raw = Raw::open(address);
        raw.send(bytes);
        assert_eq!(raw.packet(), None, "{what}");
    }
    Some(())
}

/// [MQTT-3.1.0-2].
pub(crate) fn a_second_connect_closes_the_connection(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut client = Raw::connected(address, version, "twice");
        client.send(&Connect::new(version, "twice").bytes());
        client.until_closed();
    }
    Some(())
}

/// 5.0 [MQTT-3.1.2-2]; [MQTT-3.1.2-2 of 3.1.1]: CONNACK 0x01 or 0x84, then the close.
pub(crate) fn a_connect_with_an_unknown_protocol_level_is_refused(
    address: SocketAddr,
) -> Option<()> {
    let mut raw = Raw::open(address);
    raw.send(&packet(0x10, b"\x00\x04MQTT\x07\x02\x00\x00\x00\x01c"));
    if let Some(answer) = raw.packet() {
        assert_eq!((answer[0], answer[2]), (0x20, 0), "{answer:02x?}");
        assert!([0x01, 0x84].contains(&answer[3]), "{answer:02x?}");
        assert_eq!(raw.packet(), None);
    }
    // And the next one is served.
    drop(Raw::connected(address, Version::V311, "next"));
    Some(())
}

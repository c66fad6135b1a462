use alloc::sync::Arc;

use mqtt_codec::QoS;

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

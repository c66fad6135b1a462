//! Packets and frames that are not as they should be.

use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_session::broker::Config;

use super::tls::start_tls;
use crate::broker::{BrokerServer, Endpoint, Place};

/// Packets, a few bytes of each changed, cut out or doubled.
fn mutated(state: &mut u64) -> Vec<u8> {
    const SEEDS: [&[u8]; 5] = [
        b"\x82\x09\x00\x01\x00\x00\x03a/#\x01",
        b"\x34\x0B\x00\x03a/b\x00\x01\x00abc",
        b"\x62\x02\x00\x01",
        b"\x40\x04\x00\x01\x10\x00",
        b"\xA2\x08\x00\x02\x00\x00\x03a/#",
    ];
    let mut next = |bound: usize| {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize % bound
    };
    let mut bytes = Vec::new();
    for _ in 0..20 {
        let mut packet = SEEDS[next(SEEDS.len())].to_vec();
        for _ in 0..next(3) {
            let at = next(packet.len());
            match next(3) {
                0 => packet[at] = next(256) as u8,
                1 => packet.truncate(at.max(1)),
                _ => packet.insert(at, next(256) as u8),
            }
        }
        bytes.extend(packet);
    }
    bytes
}

const MUTATED_CONNECT: &[u8] = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01m";

#[test]
fn mutated_packets_in_tls_harm_nobody_else() {
    let (running, connect) = start_tls(2);
    let mut state = 1;
    for _ in 0..300 {
        let mut client = connect();
        client.write_all(MUTATED_CONNECT).unwrap();
        // The broker may have closed it already.
        let _ = client.write_all(&mutated(&mut state));
        let _ = client.flush();
    }
    let mut honest = connect();
    honest.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01h\xC0\x00").unwrap();
    let mut answers = [0; 6];
    honest.read_exact(&mut answers).unwrap();
    assert_eq!(answers, [0x20, 2, 0, 0, 0xD0, 0]);
    running.stop().unwrap();
}

#[test]
fn mutated_packets_in_mutated_frames_of_websocket_harm_nobody_else() {
    const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    let frame = |first: u8, payload: &[u8]| {
        let mut frame = match payload.len() {
            len @ 0..126 => vec![first, 0x80 | len as u8],
            len => [&[first, 0xFE][..], &(len as u16).to_be_bytes()].concat(),
        };
        // A mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    };
    let mut server = BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap();
    let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
    let bound = server.listen(&Endpoint { place, tls: false, websocket: true }).unwrap();
    let Place::Tcp(address) = bound.place else { panic!("{bound}") };
    let running = server.spawn().unwrap();
    let mut state = 2;
    for n in 0..500_u32 {
        let mut client = TcpStream::connect(address).unwrap();
        let mut bytes = REQUEST.to_vec();
        bytes.extend(frame(0x82, MUTATED_CONNECT));
        let mut mutations = mutated(&mut state);
        let first = if n % 4 == 0 { mutations[0] } else { 0x82 };
        if n % 8 == 1 {
            // As long as it says, or not.
            mutations.truncate(n as usize % 100 + 1);
            let mut cut = frame(first, &mutations);
            cut[3] = cut[3].wrapping_add(n as u8);
            bytes.extend(cut);
        }
        bytes.extend(frame(first, &mutations));
        // As above.
        let _ = client.write_all(&bytes);
    }
    let mut honest = TcpStream::connect(address).unwrap();
    let bytes = [REQUEST, &frame(0x82, MUTATED_CONNECT)[..], &frame(0x82, &[0xC0, 0])].concat();
    honest.write_all(&bytes).unwrap();
    honest.set_read_timeout(Some(core::time::Duration::from_secs(60))).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(&[0x82, 2, 0xD0, 0]) {
        let mut piece = [0; 1024];
        let len = honest.read(&mut piece).unwrap();
        assert_ne!(len, 0, "{got:02x?}");
        got.extend_from_slice(&piece[..len]);
    }
    running.stop().unwrap();
}

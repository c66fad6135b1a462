//! Plain sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_codec::{Connect, Publish, ReasonCode};
use mqtt_session::broker::{Admission, Broker, Client, Config, Policy, Ticket};

use super::{connect, start};
use crate::broker::{BrokerServer, Endpoint, Place};

#[test]
fn a_broker_that_stops_says_goodbye_to_its_clients() {
    let running = start();
    let mut client = connect(&running);
    running.stop().unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0xE0, 1, 0x8B], "Server shutting down");
}

#[test]
fn a_client_that_ends_right_behind_its_last_packet_is_not_waited_for() {
    let running = start();
    for _ in 0..20 {
        let mut client = connect(&running);
        client.set_read_timeout(Some(core::time::Duration::from_secs(10))).unwrap();
        // The broker is told of the packet and of the end at once, or of each.
        client.write_all(&[0xC0, 0]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [0xD0, 0]);
    }
}

// [MQTT-3.14.4-1], [MQTT-3.14.4-2]
#[test]
fn a_client_that_says_goodbye_gets_all_its_answers_and_then_the_end() {
    let running = start();
    for _ in 0..20 {
        let mut client = connect(&running);
        let mut sent = Vec::new();
        for id in 1..=200 {
            sent.extend_from_slice(&[0x32, 6, 0, 1, b't', 0, id, 0]);
        }
        sent.extend_from_slice(&[0xE0, 0]);
        client.write_all(&sent).unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).unwrap();
        assert_eq!(told.len(), 200 * 5, "PUBACK with No matching subscribers");
    }
}

#[test]
fn the_reason_of_a_close_arrives_though_the_client_goes_on_sending() {
    let running = start();
    let mut client = connect(&running);
    client.write_all(&[0x00; 100_000]).unwrap();
    let mut told = Vec::new();
    client.read_to_end(&mut told).unwrap();
    assert_eq!(told, [0xE0, 1, 0x81], "Malformed Packet");
}

#[test]
fn a_packet_larger_than_all_buffers_passes_whole() {
    let mut config = Config::default();
    config.max_packet_size = 3_000_000;
    let running = BrokerServer::bind("127.0.0.1:0", config).unwrap().spawn().unwrap();
    let mut client = connect(&running);
    client.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x00").unwrap();
    let mut suback = [0; 6];
    client.read_exact(&mut suback).unwrap();
    // Remaining Length 2,097,156: a topic, no properties, and 2 MiB.
    let mut packet = b"\x30\x84\x80\x80\x01\x00\x01t\x00".to_vec();
    packet.extend((0..2_097_152_u32).map(|n| (n % 251) as u8));
    let mut writer = client.try_clone().unwrap();
    let sent = packet.clone();
    let thread = std::thread::spawn(move || writer.write_all(&sent));
    let mut got = vec![0; packet.len()];
    client.read_exact(&mut got).unwrap();
    thread.join().unwrap().unwrap();
    assert!(got == packet);
}

#[test]
fn large_messages_reach_many_subscribers_whole_however_slowly_they_read() {
    let running = start();
    let mut publisher = connect(&running);
    let mut subscribers = Vec::new();
    for n in 0..5_u8 {
        let mut stream = TcpStream::connect(running.local_addr()).unwrap();
        let name = b'0' + n;
        stream.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01").unwrap();
        stream.write_all(&[name]).unwrap();
        stream.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
        let mut answers = [0; 9];
        stream.read_exact(&mut answers).unwrap();
        subscribers.push(stream);
    }
    // 100 messages of 30,000 bytes and as many small ones between them.
    let mut sent = Vec::new();
    let mut expected = Vec::new();
    for n in 0..100_u8 {
        let payload: Vec<u8> = (0..30_000_u32).map(|i| (i % 253) as u8 ^ n).collect();
        sent.extend_from_slice(b"\x30\xB4\xEA\x01\x00\x01t\x00");
        expected.extend_from_slice(b"\x30\xB3\xEA\x01\x00\x01t");
        sent.extend_from_slice(&payload);
        expected.extend_from_slice(&payload);
        sent.extend_from_slice(&[0x30, 5, 0, 1, b't', 0, n]);
        expected.extend_from_slice(&[0x30, 4, 0, 1, b't', n]);
    }
    let thread = std::thread::spawn(move || publisher.write_all(&sent).map(|()| publisher));
    for mut subscriber in subscribers {
        let mut got = vec![0; expected.len()];
        subscriber.read_exact(&mut got).unwrap();
        assert!(got == expected);
    }
    drop(thread.join().unwrap().unwrap());
}

/// Lets in and through whom another thread allows.
struct Slow(Box<dyn Fn(Ticket) + Send>);

impl Policy for Slow {
    fn connect(&mut self, client: Client<'_>, _: &Connect<'_>) -> Admission {
        (self.0)(client.ticket);
        Admission::Later
    }

    fn publish(&mut self, client: Client<'_>, _: &Publish<'_>) -> Admission {
        (self.0)(client.ticket);
        Admission::Later
    }
}

#[test]
fn a_policy_that_answers_later_holds_up_only_those_who_ask_it() {
    let (asked, tickets) = std::sync::mpsc::channel();
    let ask = Box::new(move |ticket| asked.send(ticket).unwrap());
    let broker = Broker::with_policy(Config::default(), Box::new(Slow(ask)));
    let mut server = BrokerServer::new(broker).unwrap();
    server.listen(&Endpoint::tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let control = server.control();
    let running = server.spawn().unwrap();
    let open = || TcpStream::connect(running.local_addr()).unwrap();
    let mut waiting = open();
    waiting.write_all(b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01w").unwrap();
    let never = tickets.recv().unwrap();
    let mut client = open();
    // All that follows is there before the first answer is.
    client.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01c").unwrap();
    client.write_all(b"\x32\x06\x00\x01t\x00\x01x\xC0\x00").unwrap();
    for expected in [&b"\x20\x02\x00\x00"[..], b"\x40\x02\x00\x01\xD0\x00"] {
        let ticket = tickets.recv().unwrap();
        control.resolve(ticket, Admission::Allow).unwrap();
        let mut got = vec![0; expected.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
    }
    control.resolve(never, Admission::Refuse(ReasonCode::Banned)).unwrap();
    let mut told = Vec::new();
    waiting.read_to_end(&mut told).unwrap();
    assert_eq!((told[0], told[3]), (0x20, 0x8A));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_for_its_owner_and_group_and_nothing_else_is_left_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    // What an earlier broker has left is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = BrokerServer::new(Broker::new(Config::default())).unwrap();
    let endpoint = Endpoint { place: Place::Unix(path.clone()), tls: false, websocket: false };
    server.listen(&endpoint).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert!(server.listen(&endpoint).is_err(), "somebody listens there");
    // What is no socket is somebody's file.
    let file = folder.path().join("file");
    std::fs::write(&file, "users").unwrap();
    let endpoint = Endpoint { place: Place::Unix(file.clone()), tls: false, websocket: false };
    assert!(server.listen(&endpoint).is_err());
    drop(server);
    assert_eq!(std::fs::read(&file).unwrap(), b"users");
}

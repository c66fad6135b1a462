//! Bridges to what listens here as another broker.

use alloc::sync::Arc;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use mqtt_codec::{Packet, Rules, Sender, Version};
use mqtt_session::broker::{Broker, Config};

use super::{connect, connect_311};
use crate::broker::{BrokerServer, Endpoint, Place, Running, Settings, TlsFiles};

#[test]
fn a_bridge_speaks_tls_and_tells_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert"),
        key: folder.path().join("key"),
        ..TlsFiles::default()
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.key_pair.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("other"), other.cert.pem()).unwrap();
    let mut far = BrokerServer::new(Broker::new(Config::default())).unwrap();
    far.set_tls(files.load().unwrap());
    let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
    far.listen(&Endpoint { place, tls: true, websocket: false }).unwrap();
    let far = far.spawn().unwrap();
    let port = far.local_addr().port();
    for (ca, is_in) in [("cert", true), ("other", false)] {
        let text = format!(
            "[[bridge]]\nname = \"up\"\naddresses = [\"localhost:{port}\"]\nclient_id = \"b\"\n\
             tls = {{ ca = {:?} }}\n[[bridge.topic]]\ndirection = \"both\"\npattern = \"#\"\n",
            folder.path().join(ca)
        );
        let mut near = BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap();
        near.set_bridges(&Settings::parse(&text).unwrap().bridges).unwrap();
        let control = near.control();
        let near = near.spawn().unwrap();
        let mut client = connect(&near);
        client.write_all(&[0x30, 4, 0, 1, b't', 0]).unwrap();
        let patience = core::time::Duration::from_secs(20);
        let until = std::time::Instant::now()
            + if is_in { patience } else { core::time::Duration::from_millis(500) };
        let mut status = control.report(patience).unwrap().bridges.remove(0);
        while !status.is_connected && std::time::Instant::now() < until {
            std::thread::sleep(core::time::Duration::from_millis(10));
            status = control.report(patience).unwrap().bridges.remove(0);
        }
        assert_eq!((status.is_connected, status.connects > 0), (is_in, is_in), "{ca}");
        near.stop().unwrap();
    }
}

#[test]
fn what_an_upstream_sends_that_takes_no_answers_is_read_no_further() {
    const SECOND: core::time::Duration = core::time::Duration::from_secs(1);
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[[bridge]]\nname = \"up\"\naddresses = [\"{}\"]\nclient_id = \"b\"\nversion = \"3.1.1\"\n\
         [[bridge.topic]]\ndirection = \"out\"\npattern = \"#\"\n",
        upstream.local_addr().unwrap()
    );
    let mut near = BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap();
    near.set_bridges(&Settings::parse(&text).unwrap().bridges).unwrap();
    let control = near.control();
    let near = near.spawn().unwrap();
    let (mut stream, _) = upstream.accept().unwrap();
    stream.set_write_timeout(Some(2 * SECOND)).unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    // No rule lets these in; each is to be answered by four bytes.
    let messages = [0x32, 5, 0, 1, b'x', 0, 1].repeat(10_000);
    let mut sent = 0;
    while sent < 128 << 20 && stream.write_all(&messages).is_ok() {
        sent += messages.len();
    }
    assert!(sent < 128 << 20, "what was owed took {} MiB", (sent / 7 * 4) >> 20);
    assert!(control.report(20 * SECOND).unwrap().bridges.remove(0).is_connected);
    near.stop().unwrap();
}

/// A broker with a bridge of 3.1.1 to where this test listens, with these lines more, and its connection.
fn bridged(more: &str) -> (Running, TcpStream) {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[[bridge]]\nname = \"up\"\naddresses = [\"{}\"]\nclient_id = \"b\"\nversion = \"3.1.1\"\n{more}\n\
         [[bridge.topic]]\ndirection = \"out\"\npattern = \"out/#\"\nqos = 2\n\
         [[bridge.topic]]\ndirection = \"in\"\npattern = \"in/#\"\nqos = 2\n",
        upstream.local_addr().unwrap()
    );
    let mut config = Config::default();
    config.max_packet_size = 10_000;
    let mut near = BrokerServer::bind("127.0.0.1:0", config).unwrap();
    near.set_bridges(&Settings::parse(&text).unwrap().bridges).unwrap();
    let near = near.spawn().unwrap();
    let mut stream = upstream.accept().unwrap().0;
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    if head[9] & 2 != 0 {
        // What may be left there of an earlier session is cleared first.
        stream = upstream.accept().unwrap().0;
        stream.read_exact(&mut head).unwrap();
        stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    }
    let mut subscribe = [0; 11];
    stream.read_exact(&mut subscribe).unwrap();
    let [0x82, 9, a, b, 0, 4, rest @ ..] = subscribe else { panic!("{subscribe:02x?}") };
    assert_eq!(&rest[..4], b"in/#");
    stream.write_all(&[0x90, 3, a, b, rest[4]]).unwrap();
    stream.set_read_timeout(Some(core::time::Duration::from_secs(20))).unwrap();
    (near, stream)
}

/// [MQTT-3.1.2-25] says what a server of version 5 does with such a message; one of 3.1.1 cannot be told.
#[test]
fn a_message_of_an_upstream_that_is_too_large_is_acknowledged_and_the_next_one_goes_on() {
    let (near, mut up) = bridged("");
    let mut client = connect_311(&near);
    client.write_all(b"\x82\x09\0\x01\0\x04in/#\0").unwrap();
    let mut suback = [0; 5];
    client.read_exact(&mut suback).unwrap();
    for (qos, answer) in [(0, &[][..]), (1, &[0x40, 2, 0, 7]), (2, &[0x50, 2, 0, 7])] {
        // 50,000 bytes behind the fixed header.
        let mut large = vec![0x30 | qos << 1, 0xD0, 0x86, 3, 0, 4];
        large.extend(b"in/a");
        large.extend(if qos > 0 { &[0, 7][..] } else { &[] });
        large.resize(4 + 50_000, b'x');
        for part in large.chunks(30_001) {
            up.write_all(part).unwrap();
        }
        up.write_all(b"\x30\x07\0\x04in/ay").unwrap();
        let mut got = vec![0; answer.len()];
        up.read_exact(&mut got).unwrap();
        assert_eq!(got, answer);
        let mut message = [0; 9];
        client.read_exact(&mut message).unwrap();
        assert_eq!(&message, b"\x30\x07\0\x04in/ay", "QoS {qos}");
    }
    up.write_all(&[0x62, 2, 0, 7]).unwrap();
    let mut pubcomp = [0; 4];
    up.read_exact(&mut pubcomp).unwrap();
    assert_eq!(pubcomp, [0x70, 2, 0, 7]);
    near.stop().unwrap();
}

/// RabbitMQ 3 does so, though [MQTT-4.3.3-1] leaves no room for it.
#[test]
fn an_upstream_that_answers_qos_2_with_puback_gets_qos_1_from_then_on() {
    for (more, first) in [("", 0x34), ("max_qos = 1", 0x32)] {
        let (near, mut up) = bridged(more);
        let mut client = connect_311(&near);
        for (n, header) in [(1, first), (2, 0x32), (3, 0x32)] {
            client
                .write_all(&[b"\x34\x0A\0\x05out/a\0"[..].to_vec(), vec![n, b'x']].concat())
                .unwrap();
            client.write_all(&[0x62, 2, 0, n]).unwrap();
            let mut answers = [0; 8];
            client.read_exact(&mut answers).unwrap();
            assert_eq!(answers, [0x50, 2, 0, n, 0x70, 2, 0, n]);
            let mut publish = [0; 12];
            up.read_exact(&mut publish).unwrap();
            assert_eq!((publish[0], &publish[2..9]), (header, &b"\0\x05out/a"[..]), "{more} {n}");
            up.write_all(&[0x40, 2, publish[9], publish[10]]).unwrap();
        }
        let patience = core::time::Duration::from_secs(20);
        let control = near.control.clone();
        let status = control.report(patience).unwrap().bridges.remove(0);
        assert_eq!((status.connects, status.sent), (1, 3), "{more}");
        let until = std::time::Instant::now() + patience;
        while control.report(patience).unwrap().bridges.remove(0).waiting.in_flight > 0 {
            assert!(std::time::Instant::now() < until);
        }
        near.stop().unwrap();
    }
}

/// An upstream that hangs up when a topic has a blank, as NATS does, and acknowledges all others: what it has
/// taken, each only once.
fn choosy(upstream: &TcpListener, taken: &Mutex<Vec<String>>) {
    for stream in upstream.incoming() {
        let mut stream = stream.unwrap();
        let (mut rx, mut buffer) = (Vec::new(), [0; 4096]);
        let rules = Rules::new(Version::V311, Sender::Client);
        'connection: while let Ok(len @ 1..) = stream.read(&mut buffer) {
            rx.extend_from_slice(&buffer[..len]);
            let mut rest = &rx[..];
            while let Some(packet) = rules.decode(&mut rest).unwrap() {
                match packet {
                    Packet::Connect(_) => stream.write_all(&[0x20, 2, 1, 0]).unwrap(),
                    Packet::Publish(publish) if publish.topic.as_str().contains(' ') => {
                        break 'connection;
                    }
                    Packet::Publish(publish) => {
                        let text = core::str::from_utf8(publish.payload).unwrap().to_owned();
                        let mut taken = taken.lock().unwrap();
                        if !taken.contains(&text) {
                            taken.push(text);
                        }
                        if let Some(id) = publish.packet_id {
                            let [a, b] = id.get().to_be_bytes();
                            let _ = stream.write_all(&[0x40, 2, a, b]);
                        }
                    }
                    _ => {}
                }
            }
            rx.drain(..rx.len() - rest.len());
        }
    }
}

#[test]
fn a_message_on_which_an_upstream_hangs_up_does_not_hold_up_the_others() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[[bridge]]\nname = \"up\"\naddresses = [\"{}\"]\nclient_id = \"b\"\nversion = \"3.1.1\"\n\
         max_retry = 1\nmax_qos = 1\n\
         [[bridge.topic]]\ndirection = \"out\"\npattern = \"#\"\nqos = 2\n",
        upstream.local_addr().unwrap()
    );
    let taken = Arc::new(Mutex::new(Vec::new()));
    let others = Arc::clone(&taken);
    std::thread::spawn(move || choosy(&upstream, &others));
    let mut near = BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap();
    near.set_bridges(&Settings::parse(&text).unwrap().bridges).unwrap();
    let control = near.control();
    let near = near.spawn().unwrap();
    let mut client = connect_311(&near);
    let mut publish = |topic: &str, number: u8| {
        let mut packet = vec![0x32, topic.len() as u8 + 6, 0, topic.len() as u8];
        packet.extend_from_slice(topic.as_bytes());
        packet.extend_from_slice(&[0, number, b'0' + number / 10, b'0' + number % 10]);
        client.write_all(&packet).unwrap();
        let mut puback = [0; 4];
        client.read_exact(&mut puback).unwrap();
        assert_eq!(puback, [0x40, 2, 0, number]);
    };
    let patience = core::time::Duration::from_secs(60);
    let mut arrives = |number: u8| {
        let until = std::time::Instant::now() + patience;
        while !taken.lock().unwrap().contains(&format!("{number:02}")) {
            assert!(std::time::Instant::now() < until, "{number}");
            std::thread::sleep(core::time::Duration::from_millis(10));
        }
    };
    let status = || control.report(patience).unwrap().bridges.remove(0);
    publish("good", 1);
    arrives(1);
    publish("not good", 2);
    for number in 3..30 {
        publish("good", number);
    }
    (3..30).for_each(&mut arrives);
    assert_eq!(status().refused, 1);
    // And then the topic is known.
    publish("not good", 30);
    // The first of these goes alone, and the second on another connection.
    for number in [31, 32] {
        publish("good", number);
        arrives(number);
    }
    let connects = status().connects;
    publish("not good", 33);
    publish("good", 34);
    arrives(34);
    assert_eq!((status().refused, status().connects), (3, connects));
    assert_eq!(taken.lock().unwrap().len(), 31, "and none is lost");
    near.stop().unwrap();
}

//! The sockets, with bytes written by hand.

use alloc::sync::Arc;
use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_codec::{Connect, Publish, ReasonCode};
use mqtt_session::broker::{Admission, Broker, Client, Config, Policy, Ticket};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{BrokerServer, Endpoint, Place, Running, Settings, TlsFiles, UpstreamTls};

fn start() -> Running {
    BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap().spawn().unwrap()
}

/// A client of version 5, with CONNECT sent.
fn connect(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(running.local_addr()).unwrap();
    stream.write_all(b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01c").unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x20);
    stream.read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
    stream
}

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

/// A broker in TLS on so many threads, and how to connect to it.
fn start_tls(threads: usize) -> (Running, impl Fn() -> StreamOwned<ClientConnection, TcpStream>) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert"),
        key: folder.path().join("key"),
        ..TlsFiles::default()
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.key_pair.serialize_pem()).unwrap();
    let mut server = BrokerServer::new(Broker::new(Config::default())).unwrap();
    server.set_tls(files.load().unwrap());
    server.set_threads(threads).unwrap();
    let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
    server.listen(&Endpoint { place, tls: true, websocket: false }).unwrap();
    let running = server.spawn().unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (config, address) = (Arc::new(config), running.local_addr());
    let connect = move || {
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(core::time::Duration::from_secs(60))).unwrap();
        StreamOwned::new(tls, stream)
    };
    (running, connect)
}

#[test]
fn what_is_large_passes_through_tls_whole_on_one_thread_and_on_several() {
    for threads in [1, 3] {
        let (running, connect) = start_tls(threads);
        let mut client = connect();
        client.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01s").unwrap();
        client.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").unwrap();
        let mut answers = [0; 9];
        client.read_exact(&mut answers).unwrap();
        let mut publisher = connect();
        publisher.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01p").unwrap();
        // 20 messages of 1,000,000 bytes: more than all buffers on the way hold, so that both sides
        // have to wait for room again and again.
        let payload: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let sent = payload.clone();
        let thread = std::thread::spawn(move || {
            for _ in 0..20 {
                publisher.write_all(b"\x30\xC3\x84\x3D\x00\x01t").unwrap();
                publisher.write_all(&sent).unwrap();
            }
            publisher
        });
        for _ in 0..20 {
            let mut packet = vec![0; 7 + payload.len()];
            client.read_exact(&mut packet).unwrap();
            assert_eq!(packet[..7], *b"\x30\xC3\x84\x3D\x00\x01t");
            assert!(packet[7..] == payload);
        }
        drop(thread.join().unwrap());
        running.stop().unwrap();
        let mut rest = Vec::new();
        // Which ends as TLS does, or this would be an error.
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{rest:02x?}");
    }
}

#[test]
fn clients_come_and_go_on_other_threads() {
    let (running, connect) = start_tls(3);
    for round in 0..30_u8 {
        let mut client = connect();
        client.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01s").unwrap();
        let mut connack = [0; 4];
        client.read_exact(&mut connack).unwrap();
        match round % 3 {
            // It goes without a word.
            0 => {}
            1 => {
                client.write_all(&[0xE0, 0]).unwrap();
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).unwrap();
                assert!(rest.is_empty(), "{rest:02x?}");
            }
            // It sends what is not TLS any more.
            _ => {
                let mut socket = client.sock;
                socket.write_all(&[0; 100]).unwrap();
                let mut rest = Vec::new();
                let _ = socket.read_to_end(&mut rest);
                assert!(!rest.is_empty(), "an alert");
            }
        }
    }
    let patience = core::time::Duration::from_secs(10);
    let from = std::time::Instant::now();
    while running.control.statistics(patience).unwrap().connections > 0 {
        assert!(from.elapsed() < patience, "all connections end");
        std::thread::sleep(core::time::Duration::from_millis(10));
    }
    running.stop().unwrap();
}

/// A subscriber in TLS that has not read anything of more than all buffers hold, and then is taken over.
fn taken_over_unread(
    connect: &impl Fn() -> StreamOwned<ClientConnection, TcpStream>,
) -> StreamOwned<ClientConnection, TcpStream> {
    const CONNECT: &[u8] = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01s";
    let mut client = connect();
    client.write_all(CONNECT).unwrap();
    client.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x00").unwrap();
    // Until SUBACK is there.
    let mut head = [0; 2];
    while head[0] != 0x90 {
        client.read_exact(&mut head).unwrap();
        client.read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
    }
    let mut publisher = connect();
    publisher.write_all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01p").unwrap();
    for _ in 0..400 {
        publisher.write_all(b"\x30\xD3\x86\x03\x00\x01t").unwrap();
        publisher.write_all(&[0; 50_000]).unwrap();
    }
    publisher.write_all(&[0xC0, 0]).unwrap();
    publisher.read_exact(&mut [0; 6]).unwrap();
    let mut other = connect();
    other.write_all(CONNECT).unwrap();
    other.read_exact(&mut [0; 2]).unwrap();
    client
}

#[test]
fn a_client_that_reads_late_is_told_the_reason_of_a_close_on_another_thread() {
    let (_running, connect) = start_tls(2);
    let mut client = taken_over_unread(&connect);
    let mut rest = Vec::new();
    // Which ends as TLS does, or this would be an error.
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[rest.len() - 3..], [0xE0, 1, 0x8E], "Session taken over");
}

#[test]
fn a_client_that_never_reads_is_not_waited_for_on_another_thread() {
    let (_running, connect) = start_tls(2);
    let mut socket = taken_over_unread(&connect).sock;
    let from = std::time::Instant::now();
    // A socket that is closed answers that it is.
    while socket.write(&[0]).is_ok() {
        assert!(from.elapsed() < core::time::Duration::from_secs(20), "still open");
        std::thread::sleep(core::time::Duration::from_millis(20));
    }
}

#[test]
fn a_certificate_that_names_nobody_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: file("cert", made.cert.pem()),
        key: file("key", made.key_pair.serialize_pem()),
        client_ca: Some(file("ca", ca.pem())),
        require_client_certificate: true,
    };
    for (name, is_in) in [(None, false), (Some("device"), true)] {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &ca, &ca_key).unwrap();
        let mut server = BrokerServer::new(Broker::new(Config::default())).unwrap();
        server.set_tls(files.load().unwrap());
        let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
        server.listen(&Endpoint { place, tls: true, websocket: false }).unwrap();
        let running = server.spawn().unwrap();
        let upstream = UpstreamTls {
            ca: files.certificate.clone(),
            certificate: Some(file("own", own.pem())),
            key: Some(file("own.key", key.serialize_pem())),
            server_name: None,
        };
        let localhost = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(upstream.load().unwrap(), localhost).unwrap();
        let stream = TcpStream::connect(running.local_addr()).unwrap();
        stream.set_read_timeout(Some(core::time::Duration::from_secs(60))).unwrap();
        let mut client = StreamOwned::new(tls, stream);
        // By a name that it may claim only if it has proved none.
        client.write_all(b"\x10\x12\0\x04MQTT\x04\x82\0\0\0\x01c\0\x03ann").unwrap();
        let mut answer = [0; 4];
        let connack = client.read_exact(&mut answer).map(|()| answer);
        assert_eq!(connack.is_ok_and(|connack| connack == [0x20, 2, 0, 0]), is_in, "{name:?}");
    }
}

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
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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

/// A client of 3.1.1.
fn connect_311(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(running.local_addr()).unwrap();
    stream.set_read_timeout(Some(core::time::Duration::from_secs(20))).unwrap();
    stream.write_all(b"\x10\x0D\0\x04MQTT\x04\x02\0\0\0\x01c").unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    stream
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

//! TLS, on one thread and on several.

use alloc::sync::Arc;
use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_session::broker::{Broker, Config};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::broker::{BrokerServer, Endpoint, Place, Running, TlsFiles, UpstreamTls};

/// A broker in TLS on so many threads, and how to connect to it.
pub(super) fn start_tls(
    threads: usize,
) -> (Running, impl Fn() -> StreamOwned<ClientConnection, TcpStream>) {
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

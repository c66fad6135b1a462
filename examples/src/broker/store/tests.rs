use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use mqtt_session::broker::Config;
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use super::{Changes, Records, Store};
use crate::broker::{BrokerServer, Running};

/// A disk that can be full.
#[derive(Clone, Debug, Default)]
struct Stub {
    is_full: Arc<AtomicBool>,
    records: Arc<Mutex<Changes>>,
}

impl Records for Stub {
    fn load(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        for (key, value) in &*self.records.lock().unwrap() {
            each(key, value.as_deref().unwrap());
        }
        Ok(())
    }

    fn store(&mut self, changes: &Changes) -> io::Result<()> {
        if self.is_full.load(Ordering::Acquire) {
            return Err(io::Error::from_raw_os_error(28));
        }
        let mut records = self.records.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(_) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

fn durable() -> Config {
    let mut config = Config::default();
    config.durable = true;
    config
}

fn start(stub: &Stub) -> Running {
    let mut server = BrokerServer::bind("127.0.0.1:0", durable()).unwrap();
    server.event_loop.persist(Store::with(Box::new(stub.clone()))).unwrap();
    server.spawn().unwrap()
}

/// A connection on which CONNECT of version 5 was sent, with a session that is kept.
fn open(running: &Running, name: u8) -> TcpStream {
    let mut stream = TcpStream::connect(running.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
        .write_all(b"\x10\x13\x00\x04MQTT\x05\x00\x00\x00\x05\x11\xFF\xFF\xFF\xFF\x00\x01")
        .unwrap();
    stream.write_all(&[name]).unwrap();
    stream
}

/// The next packet; `None` when the broker has closed the connection.
fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).ok()?;
    Some([&head[..], &body].concat())
}

/// Connected; and whether there was a session.
fn connect(running: &Running, name: u8) -> (TcpStream, bool) {
    let mut stream = open(running, name);
    let connack = packet(&mut stream).unwrap();
    assert_eq!((connack[0], connack[3]), (0x20, 0));
    (stream, connack[2] == 1)
}

#[test]
fn nothing_is_acknowledged_that_cannot_be_stored_and_all_is_well_once_it_can() {
    let stub = Stub::default();
    let running = start(&stub);
    let (mut subscriber, _) = connect(&running, b's');
    subscriber.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x01").unwrap();
    assert_eq!(packet(&mut subscriber).unwrap()[0], 0x90);
    drop(subscriber);
    let (mut first, _) = connect(&running, b'1');
    let (mut second, _) = connect(&running, b'2');
    stub.is_full.store(true, Ordering::Release);
    let publish = b"\x32\x07\x00\x01t\x00\x05\x00x";
    first.write_all(publish).unwrap();
    assert_eq!(packet(&mut first), None, "no PUBACK");
    // From now on it is known.
    second.write_all(publish).unwrap();
    assert_eq!(packet(&mut second).unwrap(), [0x40, 3, 0, 5, 0x97], "Quota exceeded");
    second.write_all(&[0xC0, 0]).unwrap();
    assert_eq!(packet(&mut second).unwrap(), [0xD0, 0], "it is still served");
    let mut third = open(&running, b'3');
    assert_eq!(packet(&mut third).unwrap()[3], 0x88, "Server unavailable");
    assert!(running.control.statistics(Duration::from_millis(200)).is_err(), "not well");
    stub.is_full.store(false, Ordering::Release);
    let since = Instant::now();
    let mut third = loop {
        let mut third = open(&running, b'3');
        if packet(&mut third).unwrap()[3] == 0 {
            break third;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it never recovers");
        std::thread::sleep(Duration::from_millis(50));
    };
    third.write_all(publish).unwrap();
    assert_eq!(packet(&mut third).unwrap()[..4], [0x40, 2, 0, 5]);
    assert!(running.control.statistics(Duration::from_secs(10)).is_ok());
    // The subscriber gets what was taken, of the first at most once more than it was acknowledged.
    running.stop().unwrap();
    let running = start(&stub);
    let (mut subscriber, present) = connect(&running, b's');
    assert!(present);
    let mut got = 0;
    subscriber.write_all(&[0xC0, 0]).unwrap();
    while let Some(packet) = packet(&mut subscriber).filter(|packet| packet[0] != 0xD0) {
        assert_eq!(packet[0], 0x32);
        got += 1;
    }
    assert!((1..=2).contains(&got), "{got}");
}

#[test]
fn what_is_in_the_file_comes_back_and_one_broker_has_it_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut server = BrokerServer::bind("127.0.0.1:0", durable()).unwrap();
        server.persist(folder.path())?;
        server.spawn()
    };
    let running = start().unwrap();
    let (mut client, present) = connect(&running, b'c');
    assert!(!present);
    client.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x01").unwrap();
    assert_eq!(packet(&mut client).unwrap()[0], 0x90);
    drop(client);
    let (mut publisher, _) = connect(&running, b'p');
    publisher.write_all(b"\x32\x07\x00\x01t\x00\x05\x00x").unwrap();
    assert_eq!(packet(&mut publisher).unwrap()[0], 0x40);
    publisher.write_all(b"\x33\x07\x00\x01r\x00\x06\x00y").unwrap();
    assert_eq!(packet(&mut publisher).unwrap()[0], 0x40);
    assert!(start().is_err(), "another broker has it");
    running.stop().unwrap();
    let running = start().unwrap();
    let (mut client, present) = connect(&running, b'c');
    assert!(present);
    assert_eq!(packet(&mut client).unwrap().last(), Some(&b'x'));
    client.write_all(b"\x82\x07\x00\x02\x00\x00\x01r\x01").unwrap();
    assert_eq!(packet(&mut client).unwrap()[0], 0x90);
    assert_eq!(packet(&mut client).unwrap().last(), Some(&b'y'));
    running.stop().unwrap();
}

/// A machine that stops once the disk was waited for.
#[derive(Clone, Debug, Default)]
struct Stopping(Arc<(InMemoryBackend, AtomicBool)>);

impl StorageBackend for Stopping {
    fn len(&self) -> io::Result<u64> {
        self.0.0.len()
    }
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.0.read(offset, len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.0.set_len(len)
    }
    fn sync_data(&self, _: bool) -> io::Result<()> {
        self.0.1.store(true, Ordering::Relaxed);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.0.1.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => self.0.0.write(offset, data),
        }
    }
}

/// A database in the making: its mark is written last.
fn begun() -> Vec<u8> {
    let stopping = Stopping::default();
    assert!(Database::builder().create_with_backend(stopping.clone()).is_err());
    let begun = stopping.read(0, usize::try_from(stopping.len().unwrap()).unwrap()).unwrap();
    assert!(begun.iter().any(|byte| *byte != 0));
    begun
}

#[test]
fn a_broker_that_was_killed_while_it_made_its_file_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut server = BrokerServer::bind("127.0.0.1:0", durable()).unwrap();
        server.persist(folder.path())?;
        server.spawn()
    };
    start().unwrap().stop().unwrap();
    let mut files = fs::read_dir(folder.path()).unwrap();
    let (file, other) = (files.next().unwrap().unwrap().path(), files.next());
    assert!(other.is_none());
    let used = fs::read(&file).unwrap();
    for begun in [Vec::new(), vec![0; 9], vec![0; used.len()], begun()] {
        fs::write(&file, begun).unwrap();
        start().unwrap().stop().unwrap();
    }
    // One that was used and is damaged, and what is somebody else's.
    let damaged = [&[0; 9], &used[9..]].concat();
    let picture = [&[0; 9], &b"a picture"[..]].concat();
    for kept in [damaged, picture, b"a diary".repeat(1000)] {
        fs::write(&file, &kept).unwrap();
        let error = start().unwrap_err().to_string();
        assert!(error.contains("neither empty nor"), "{error}");
        assert!(fs::read(&file).unwrap() == kept);
    }
}

#[test]
fn a_store_of_another_version_is_left_alone() {
    let stub = Stub::default();
    stub.records.lock().unwrap().insert((*b"\0format").into(), Some((*b"2").into()));
    let mut server = BrokerServer::bind("127.0.0.1:0", durable()).unwrap();
    assert!(server.event_loop.persist(Store::with(Box::new(stub.clone()))).is_err());
    assert_eq!(stub.records.lock().unwrap().len(), 1);
    // And who would never store anything does not pretend to.
    let mut server = BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap();
    assert!(server.event_loop.persist(Store::with(Box::new(Stub::default()))).is_err());
}

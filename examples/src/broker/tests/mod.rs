//! The sockets, with bytes written by hand.

mod mutated;
mod sockets;
mod tls;
mod upstream;

use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_session::broker::Config;

use super::{BrokerServer, Running};

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

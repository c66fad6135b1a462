//! What all connections together hold of packets that are not all there.
//!
//! One connection holds a packet at most, but a crowd of them could hold one each. What began longest
//! ago makes room: to push out a client that goes on sending, others must send as much as there is
//! room for in the meantime, and what has stopped goes first.

use alloc::collections::BTreeMap;
use core::num::NonZeroU64;

use mqtt_session::broker::ConnectionId;

/// Most bytes, if nothing else is said.
pub(super) const DEFAULT_MAX: usize = 64 << 20;

/// A buffer up to this size is not counted: those who send small packets never make room for others.
pub(super) const SMALL: usize = 1024;

/// Where in the order of age a connection is.
pub(super) type Place = Option<NonZeroU64>;

/// The buffers that are not small, by age.
#[derive(Debug)]
pub(super) struct Partials {
    /// Most bytes.
    pub(super) max: usize,
    bytes: usize,
    by_age: BTreeMap<NonZeroU64, (ConnectionId, usize)>,
    newest: NonZeroU64,
}

impl Default for Partials {
    fn default() -> Self {
        let newest = NonZeroU64::MIN;
        Self { max: DEFAULT_MAX, bytes: 0, by_age: BTreeMap::new(), newest }
    }
}

impl Partials {
    /// How many bytes there are.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The buffer of this connection has this size now. It keeps its age, unless all in it is new.
    pub(super) fn set(&mut self, place: &mut Place, id: ConnectionId, size: usize, is_new: bool) {
        let age = *place;
        self.remove(place);
        if size > SMALL {
            let age = age.filter(|_| !is_new).unwrap_or_else(|| {
                self.newest = self.newest.saturating_add(1);
                self.newest
            });
            self.bytes += size;
            self.by_age.insert(age, (id, size));
            *place = Some(age);
        }
    }

    /// This connection holds nothing any more.
    pub(super) fn remove(&mut self, place: &mut Place) {
        let removed = place.take().and_then(|age| self.by_age.remove(&age));
        self.bytes -= removed.map_or(0, |(_, size)| size);
    }

    /// Who is to make room, if that is needed.
    pub(super) fn in_the_way(&self) -> Option<ConnectionId> {
        if self.bytes <= self.max {
            return None;
        }
        self.by_age.first_key_value().map(|(_, (id, _))| *id)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use mqtt_session::broker::Config;

    use crate::broker::{BrokerServer, Running};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Reads a packet of less than 128 bytes; its first byte.
    fn answer(stream: &mut TcpStream) -> u8 {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        stream.read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
        head[0]
    }

    /// A client of 3.1.1 (4) or 5 that is let in.
    fn connect(running: &Running, version: u8, name: u8) -> TcpStream {
        let mut stream = TcpStream::connect(running.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut packet = match version {
            4 => b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01".to_vec(),
            _ => b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01".to_vec(),
        };
        packet.push(name);
        stream.write_all(&packet).unwrap();
        assert_eq!(answer(&mut stream), 0x20, "CONNACK");
        stream
    }

    /// PUBLISH of QoS 1 in version 5 with Remaining Length 250,000.
    fn publish() -> Vec<u8> {
        let mut publish = b"\x32\x90\xA1\x0F\x00\x01t\x00\x01\x00".to_vec();
        publish.resize(4 + 250_000, 7);
        publish
    }

    #[test]
    fn a_crowd_that_sends_halves_of_packets_holds_no_more_than_the_bound_and_an_honest_client_is_served()
     {
        const BOUND: usize = 1_000_000;
        const HALF: usize = 200_000;
        let mut config = Config::default();
        config.max_packet_size = 300_000;
        let mut server = BrokerServer::bind("127.0.0.1:0", config).unwrap();
        server.set_max_partial_bytes(BOUND);
        let running = server.spawn().unwrap();
        let report = || {
            let report = running.control.report(PATIENCE).unwrap();
            assert!(report.partial_bytes <= BOUND, "{}", report.partial_bytes);
            report
        };
        let client = |version, name| connect(&running, version, name);
        let publish = publish();
        let mut honest = client(5, b'h');
        let mut crowd = Vec::new();
        for n in 0..24_u8 {
            // The last third does not even say who it is: CONNECT with Remaining Length 130,000.
            if n >= 16 {
                let mut stream = TcpStream::connect(running.local_addr()).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(b"\x10\xD0\xF7\x07\x00\x04MQTT\x05\x02\x00\x3C\x00").unwrap();
                stream.write_all(&[0; 100_000]).unwrap();
                crowd.push((0, stream));
            } else {
                let version = 4 + n % 2;
                let mut stream = client(version, n + b'A');
                stream.write_all(&publish[..HALF]).unwrap();
                crowd.push((version, stream));
            }
            report();
            // Whatever the crowd does, packets that are read at once pass, large or small.
            honest.write_all(&publish).unwrap();
            assert_eq!(answer(&mut honest), 0x40, "PUBACK");
            honest.write_all(&[0xC0, 0]).unwrap();
            assert_eq!(answer(&mut honest), 0xD0, "PINGRESP");
        }
        // All that began to send before these has made room; those of version 5 were told why.
        for (version, mut stream) in crowd.drain(..14) {
            let mut told = Vec::new();
            // What was sent and not read resets a connection of one that was told nothing.
            let end = stream.read_to_end(&mut told);
            assert!(!end.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
            let expected: &[u8] = if version == 5 { &[0xE0, 1, 0x97] } else { &[] };
            assert_eq!(told, expected, "Quota exceeded");
        }
        let left = report();
        assert!(left.partial_bytes > 0 && left.statistics.connections > 1, "{left:?}");
        // Who goes takes along what it holds.
        drop(crowd);
        let from = Instant::now();
        while report().partial_bytes > 0 {
            assert!(from.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(10));
        }
        honest.write_all(&[0xC0, 0]).unwrap();
        assert_eq!(answer(&mut honest), 0xD0, "PINGRESP");
    }

    #[test]
    fn a_large_packet_that_has_passed_takes_up_no_room() {
        let running =
            BrokerServer::bind("127.0.0.1:0", Config::default()).unwrap().spawn().unwrap();
        // Behind it the next one begins.
        let mut sent = publish();
        sent.push(0xC0);
        let mut clients = Vec::new();
        for n in 0..8 {
            let mut client = connect(&running, 5, b'a' + n);
            client.write_all(&sent).unwrap();
            assert_eq!(answer(&mut client), 0x40, "PUBACK");
            clients.push(client);
        }
        assert_eq!(running.control.report(PATIENCE).unwrap().partial_bytes, 0);
        for mut client in clients {
            client.write_all(&[0]).unwrap();
            assert_eq!(answer(&mut client), 0xD0, "PINGRESP");
        }
    }
}

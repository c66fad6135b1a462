//! A loop written by hand, that knows what the server does and understands nothing: the limit.

use core::any::Any;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use crate::case::{Case, IN_FLIGHT, ROUND_TRIPS, Way};
use crate::sink::frame;

/// With this much to send nothing is added.
const ENOUGH: usize = 64 * 1024;

pub(crate) struct Loop {
    stream: TcpStream,
    rx: Vec<u8>,
    filled: usize,
    tx: Vec<u8>,
    id: u16,
    /// What was published and is neither acknowledged nor, if it comes back, back.
    in_flight: usize,
    /// How many messages came, and how many exchanges of those that were published have ended.
    received: usize,
    done: usize,
}

impl Loop {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.set_nodelay(true).expect("TCP");
        let mut own = Self {
            stream,
            rx: vec![0; 4 * ENOUGH],
            filled: 0,
            tx: b"\x10\x11\0\x04MQTT\x04\x02\0\x3C\0\x05limit".to_vec(),
            id: 0,
            in_flight: 0,
            received: 0,
            done: 0,
        };
        own.write();
        own.read();
        own
    }

    fn write(&mut self) {
        if !self.tx.is_empty() {
            self.stream.write_all(&self.tx).expect("the server goes on");
            self.tx.clear();
        }
    }

    /// Reads once, and answers.
    fn read(&mut self) {
        self.filled += self.stream.read(&mut self.rx[self.filled..]).expect("the server goes on");
        let mut start = 0;
        while let Some((header, len)) = frame(&self.rx[start..self.filled]) {
            let packet = &self.rx[start..start + len];
            start += len;
            let body = &packet[header..];
            match packet[0] >> 4 {
                3 => {
                    self.received += 1;
                    if packet[0] & 6 != 0 {
                        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                        let first = if packet[0] & 6 == 2 { 0x40 } else { 0x50 };
                        self.tx.extend([first, 2, body[2 + topic], body[3 + topic]]);
                    }
                }
                5 => self.tx.extend([0x62, 2, body[0], body[1]]),
                6 => self.tx.extend([0x70, 2, body[0], body[1]]),
                4 | 7 => {
                    self.in_flight -= 1;
                    self.done += 1;
                }
                _ => {}
            }
        }
        self.rx.copy_within(start..self.filled, 0);
        self.filled -= start;
    }

    pub(crate) fn run(&mut self, case: Case) {
        if case.way != Way::Publish {
            let filter = case.filter();
            self.tx.extend([0x82, (filter.len() + 5) as u8, 0, 1, 0, filter.len() as u8]);
            self.tx.extend(filter.as_bytes());
            self.tx.push(case.qos);
            self.write();
        }
        let publish = publish(case);
        let to_publish = if case.way == Way::Receive { 0 } else { case.count };
        let (mut published, bounded) = (0, case.qos > 0);
        loop {
            let window = if case.way == Way::Echo { published - self.received } else { 0 };
            let window = window.max(if bounded { self.in_flight } else { 0 });
            let mut room = usize::from(IN_FLIGHT).saturating_sub(window);
            while published < to_publish && room > 0 && self.tx.len() < ENOUGH {
                let end = self.tx.len() + publish.len() - case.size;
                self.tx.extend(&publish);
                if bounded {
                    self.id = self.id % 60_000 + 1;
                    self.tx[end - 2..end].copy_from_slice(&self.id.to_be_bytes());
                    self.in_flight += 1;
                }
                room -= usize::from(bounded || case.way == Way::Echo);
                published += 1;
            }
            self.write();
            let received = case.way == Way::Publish || self.received >= case.count;
            let is_done = published == to_publish && (!bounded || self.in_flight == 0);
            if received && is_done {
                // What answers the last ones.
                return;
            }
            if bounded || case.way != Way::Publish {
                self.read();
            }
        }
    }
}

/// PUBLISH, which ends with Packet Identifier and payload.
fn publish(case: Case) -> Vec<u8> {
    let (topic, id) = (case.topic(), if case.qos > 0 { 2 } else { 0 });
    let mut packet = vec![0x30 | case.qos << 1];
    let mut remaining = 2 + topic.len() + id + case.size;
    while remaining > 127 {
        packet.push((remaining % 128) as u8 | 0x80);
        remaining /= 128;
    }
    packet.push(remaining as u8);
    packet.extend((topic.len() as u16).to_be_bytes());
    packet.extend(topic.as_bytes());
    packet.resize(packet.len() + id, 0);
    packet.resize(packet.len() + case.size, b'x');
    packet
}

pub(crate) fn connect_idle(port: u16) -> Box<dyn Any> {
    Box::new(TcpStream::connect(("127.0.0.1", port)).expect("a server"))
}

pub(crate) fn round_trips(port: u16) -> Vec<Duration> {
    let mut own = Loop::connect(port);
    let case = Case { way: Way::Publish, qos: 1, size: 4, count: 1 };
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        own.run(case);
        times.push(start.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    times
}

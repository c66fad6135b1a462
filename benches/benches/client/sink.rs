//! A server that acknowledges at once, so that the client is what is measured.

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// How many messages of QoS 1 and 2 a client gets before it has acknowledged the first of them.
const WINDOW: usize = 1000;

/// Serves on a free port, which it prints.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound").port());
    for stream in listener.incoming().flatten() {
        thread::spawn(move || drop(connection(stream)));
    }
}

/// Acknowledges what comes without a look at it. The filter `COUNT/SIZE` asks for so many messages of
/// that size, and any other to have all back.
fn connection(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut rx = vec![0; 256 * 1024];
    let (mut filled, mut tx) = (0, Vec::new());
    let (mut echoes, mut is_v5, mut flood) = (false, false, None::<Flood>);
    // What is echoed must not wait for a client that writes before it reads.
    let (echo, echoed) = mpsc::channel::<Vec<u8>>();
    let mut writer = stream.try_clone()?;
    thread::spawn(move || echoed.into_iter().all(|bytes| writer.write_all(&bytes).is_ok()));
    loop {
        let read = stream.read(&mut rx[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut start = 0;
        while let Some((header, len)) = frame(&rx[start..filled]) {
            let packet = &rx[start..start + len];
            let body = &packet[header..];
            start += len;
            match packet[0] >> 4 {
                1 => {
                    is_v5 = body[6] == 5;
                    tx.extend(if is_v5 { &b"\x20\x03\0\0\0"[..] } else { b"\x20\x02\0\0" });
                }
                3 => {
                    if packet[0] & 6 != 0 {
                        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                        let id = [body[2 + topic], body[3 + topic]];
                        tx.extend([if packet[0] & 6 == 2 { 0x40 } else { 0x50 }, 2, id[0], id[1]]);
                    }
                    if echoes {
                        tx.extend(packet);
                    }
                }
                5 => tx.extend([0x62, 2, body[0], body[1]]),
                6 => tx.extend([0x70, 2, body[0], body[1]]),
                4 | 7 => flood.iter_mut().for_each(|flood| flood.in_flight -= 1),
                8 => {
                    let qos = body[body.len() - 1];
                    let filter = if is_v5 { 5 + usize::from(body[2]) } else { 4 };
                    let filter = String::from_utf8_lossy(&body[filter..body.len() - 1]);
                    let properties = usize::from(is_v5);
                    tx.extend([0x90, 3 + properties as u8, body[0], body[1]]);
                    tx.extend(&[0, qos][1 - properties..]);
                    flood = Flood::asked_for(&filter, qos, is_v5);
                    echoes = flood.is_none();
                }
                12 => tx.extend([0xD0, 0]),
                _ => {}
            }
        }
        rx.copy_within(start..filled, 0);
        filled -= start;
        if echoes {
            if echo.send(core::mem::take(&mut tx)).is_err() {
                return Ok(());
            }
            continue;
        }
        while let Some(flood) = flood.as_mut().filter(|flood| flood.has_more()) {
            flood.fill(&mut tx);
            stream.write_all(&tx)?;
            tx.clear();
        }
        stream.write_all(&tx)?;
        tx.clear();
    }
}

/// Length of header and packet, if the packet is all there.
pub(crate) fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut remaining = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let header = index + 2;
            return (bytes.len() >= header + remaining).then_some((header, header + remaining));
        }
    }
    None
}

/// Messages that a client has asked for.
struct Flood {
    /// One of them, but for its Packet Identifier, which is at this place.
    packet: Vec<u8>,
    id_at: Option<usize>,
    id: u16,
    left: usize,
    in_flight: usize,
}

impl Flood {
    fn asked_for(filter: &str, qos: u8, is_v5: bool) -> Option<Self> {
        let (count, size) = filter.split_once('/')?;
        let (count, size): (usize, usize) = (count.parse().ok()?, size.parse().ok()?);
        let mut body = (filter.len() as u16).to_be_bytes().to_vec();
        body.extend(filter.as_bytes());
        let mut id_at = None;
        if qos > 0 {
            id_at = Some(body.len());
            body.extend([0, 0]);
        }
        if is_v5 {
            body.push(0);
        }
        body.resize(body.len() + size, b'x');
        let mut packet = vec![0x30 | qos << 1];
        let mut remaining = body.len();
        while remaining > 127 {
            packet.push((remaining % 128) as u8 | 0x80);
            remaining /= 128;
        }
        packet.push(remaining as u8);
        let id_at = id_at.map(|id_at| id_at + packet.len());
        packet.extend(body);
        Some(Self { packet, id_at, id: 0, left: count, in_flight: 0 })
    }

    const fn has_more(&self) -> bool {
        self.left > 0 && self.in_flight < WINDOW
    }

    /// Adds some messages.
    fn fill(&mut self, tx: &mut Vec<u8>) {
        while self.has_more() && tx.len() < 64 * 1024 {
            let start = tx.len();
            tx.extend(&self.packet);
            if let Some(id_at) = self.id_at {
                self.id = self.id.checked_add(1).unwrap_or(1);
                tx[start + id_at..start + id_at + 2].copy_from_slice(&self.id.to_be_bytes());
                self.in_flight += 1;
            }
            self.left -= 1;
        }
    }
}

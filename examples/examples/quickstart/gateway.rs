//! The gateways: each hears every frame on the air and forwards it to the network server by the
//! Semtech UDP protocol, and sends what the server asks it to.

use lorawan_frame::Direction;
use lorawan_frame::gwmp::{Body, Datagram, GatewayEui, PushData, RxPk};
use lorawan_frame::region::{DataRate, Region, Revision};

/// EU868, first default channel.
pub(crate) const FREQUENCY_HZ: u32 = 868_100_000;
/// Index of the data rate of all uplinks: SF7 at 125 kHz.
const DR: u8 = 5;

/// The data rate of all uplinks.
pub(crate) fn data_rate() -> DataRate {
    Region::Eu868.plan(Revision::default()).data_rate(DR, Direction::Up).expect("EU868 has DR5")
}

pub(crate) struct Gateway {
    pub(crate) name: &'static str,
    eui: GatewayEui,
    /// Counts microseconds since the gateway started.
    counter: u32,
    /// Number of the datagram.
    token: u16,
    random: u32,
}

impl Gateway {
    pub(crate) const fn new(name: &'static str, serial: u8) -> Self {
        let eui = GatewayEui([0xAA, 0x55, 0x5A, 0, 0, 0, 0, serial]);
        Self { name, eui, counter: 1_000_000, token: 0, random: 0x2545_F491 ^ serial as u32 }
    }

    /// A frame was on the air: the PUSH_DATA datagram about it.
    pub(crate) fn hear(&mut self, phy: &[u8]) -> Vec<u8> {
        self.counter = self.counter.wrapping_add(50_000);
        self.token = self.token.wrapping_add(1);
        let loss = i16::try_from(random(&mut self.random) % 50).unwrap_or(0);
        let mut packet = RxPk::new(self.counter, FREQUENCY_HZ, data_rate(), phy.to_vec());
        packet.rssi = Some(-60 - loss);
        packet.lsnr = Some(10.0 - f64::from(loss) / 5.0);
        let content = PushData { rxpk: vec![packet], stat: None };
        let body = Body::PushData { gateway: self.eui, content };
        Datagram::new(self.token.to_be_bytes(), body).to_bytes().expect("a frame fits")
    }

    /// The server's PULL_RESP: the frame to send.
    pub(crate) fn transmit(datagram: &[u8]) -> Option<Vec<u8>> {
        match Datagram::parse(datagram).ok()?.body {
            Body::PullResp { txpk } => Some(txpk.data),
            _ => None,
        }
    }
}

/// A small generator, so that every run shows the same.
pub(crate) fn random(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *state >> 16
}

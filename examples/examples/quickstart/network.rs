//! The network server's step: duplicates, MIC, frame counter, decryption.

use std::collections::{HashMap, HashSet};

use lorawan_frame::{
    AppKey, DevAddr, DevEui, DlSettings, Error, ExpandedKey, JoinAccept, JoinNonce, NetId,
    PhyPayload, SessionKeys, fcnt,
};

use lorawan_frame::gwmp::{Body, Datagram, Timing, TxPk};

use crate::gateway::{FREQUENCY_HZ, data_rate};
use crate::residence::{Kind, Place, Reading};

/// What became of a frame.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Another gateway heard it before.
    Duplicate,
    /// A device may join; this PULL_RESP makes the gateway send the Join-Accept.
    Joined { place: Place, dev_addr: DevAddr, downlink: Vec<u8> },
    /// A reading.
    Uplink(Uplink),
    /// Not to be believed.
    Refused(Refusal),
}

#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) place: Place,
    pub(crate) dev_addr: DevAddr,
    pub(crate) fcnt: u32,
    pub(crate) fport: u8,
    pub(crate) clear: Vec<u8>,
    pub(crate) reading: Reading,
}

/// Why a frame is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The gateway's datagram cannot be read.
    Datagram,
    /// It is no frame, or its MIC is wrong: somebody changed it.
    Frame(Error),
    /// Its counter was used before: somebody sent it again.
    Replay {
        fcnt: u32,
        expected: u32,
    },
    /// Its DevNonce was used before.
    NonceUsed(u16),
    UnknownDevice,
    NotAReading,
}

struct Session {
    place: Place,
    keys: SessionKeys<ExpandedKey>,
    /// The frame counter that comes next.
    next_fcnt: u32,
}

pub(crate) struct NetworkServer {
    devices: HashMap<DevEui, (Place, AppKey)>,
    used_nonces: HashSet<(DevEui, u16)>,
    sessions: HashMap<DevAddr, Session>,
    joins: u32,
    /// The frame in the de-duplication window; real servers wait about 200 ms for further copies.
    window: Vec<u8>,
}

impl NetworkServer {
    pub(crate) fn new() -> Self {
        Self {
            devices: HashMap::new(),
            used_nonces: HashSet::new(),
            sessions: HashMap::new(),
            joins: 0,
            window: Vec::new(),
        }
    }

    /// The owner enters the device, as printed on its label.
    pub(crate) fn register(&mut self, dev_eui: DevEui, place: Place, app_key: AppKey) {
        self.devices.insert(dev_eui, (place, app_key));
    }

    /// A new frame on the air: the window of the one before is over.
    pub(crate) fn close_window(&mut self) {
        self.window.clear();
    }

    /// A datagram came from a gateway.
    pub(crate) fn receive(&mut self, datagram: &[u8]) -> Verdict {
        let Ok(Datagram { body: Body::PushData { content, .. }, .. }) = Datagram::parse(datagram)
        else {
            return Verdict::Refused(Refusal::Datagram);
        };
        let Some(heard) = content.rxpk.first() else {
            return Verdict::Refused(Refusal::Datagram);
        };
        if self.window == heard.data {
            return Verdict::Duplicate;
        }
        self.window.clone_from(&heard.data);
        match PhyPayload::parse(&heard.data) {
            Ok(PhyPayload::JoinRequest(request)) => {
                let content = request.content;
                let Some((place, app_key)) = self.devices.get(&content.dev_eui) else {
                    return Verdict::Refused(Refusal::UnknownDevice);
                };
                if let Err(error) = request.verify(app_key) {
                    return Verdict::Refused(Refusal::Frame(error));
                }
                let place = *place;
                self.join(place, content.dev_eui, content.dev_nonce, heard.tmst.unwrap_or(0))
            }
            Ok(PhyPayload::Data(frame)) => {
                let Some(session) = self.sessions.get_mut(&frame.dev_addr) else {
                    return Verdict::Refused(Refusal::UnknownDevice);
                };
                match session.open(&frame) {
                    Ok(uplink) => Verdict::Uplink(uplink),
                    Err(refusal) => Verdict::Refused(refusal),
                }
            }
            Ok(_) => Verdict::Refused(Refusal::NotAReading),
            Err(error) => Verdict::Refused(Refusal::Frame(error)),
        }
    }

    /// `heard_at`: the gateway's counter at the end of the request.
    fn join(&mut self, place: Place, dev_eui: DevEui, dev_nonce: u16, heard_at: u32) -> Verdict {
        if !self.used_nonces.insert((dev_eui, dev_nonce)) {
            return Verdict::Refused(Refusal::NonceUsed(dev_nonce));
        }
        self.joins += 1;
        let dev_addr = DevAddr::new(0x2601_1B00 + self.joins);
        let accept = JoinAccept {
            join_nonce: JoinNonce::new(self.joins).expect("24 devices join"),
            net_id: NetId::new(0x13).expect("24 bits"),
            dev_addr,
            dl_settings: DlSettings::default(),
            rx_delay: 1,
            cf_list: None,
        };
        let app_key = &self.devices[&dev_eui].1;
        let built =
            app_key.session_v1_0(accept.join_nonce, accept.net_id, dev_nonce).and_then(|keys| {
                let mut buffer = [0; 33];
                Ok((keys, accept.build_into(app_key, &mut buffer)?.to_vec()))
            });
        match built {
            Ok((keys, accept)) => {
                let session = Session { place, keys: keys.expand(), next_fcnt: 0 };
                self.sessions.insert(dev_addr, session);
                // RX1 of a join: five seconds after the request, on its channel.
                let at = Timing::Counter(heard_at.wrapping_add(5_000_000));
                let txpk = TxPk::downlink(at, FREQUENCY_HZ, data_rate(), 14, accept);
                let answer = Datagram::new([0, 0], Body::PullResp { txpk });
                let downlink = answer.to_bytes().expect("a frame fits");
                Verdict::Joined { place, dev_addr, downlink }
            }
            Err(error) => Verdict::Refused(Refusal::Frame(error)),
        }
    }
}

impl Session {
    /// Sixteen bits of the counter travel, the MIC is over all thirty-two.
    fn open(&mut self, frame: &lorawan_frame::DataFrame<'_>) -> Result<Uplink, Refusal> {
        let fcnt = fcnt::reconstruct_uplink(self.next_fcnt, frame.fcnt).map_err(Refusal::Frame)?;
        let mut clear = [0; 255];
        let data = frame.open(&self.keys, fcnt, &mut clear).map_err(Refusal::Frame)?;
        // The frame is genuine, but it was here before.
        if fcnt < self.next_fcnt {
            return Err(Refusal::Replay { fcnt, expected: self.next_fcnt });
        }
        let fport = data.fport.ok_or(Refusal::NotAReading)?;
        let reading = Kind::of_fport(fport)
            .and_then(|kind| kind.decode(data.frm_payload))
            .ok_or(Refusal::NotAReading)?;
        // Only now that the MIC was right does the counter move on.
        self.next_fcnt = fcnt::next(fcnt).map_err(Refusal::Frame)?;
        Ok(Uplink {
            place: self.place,
            dev_addr: data.dev_addr,
            fcnt,
            fport,
            clear: data.frm_payload.to_vec(),
            reading,
        })
    }
}

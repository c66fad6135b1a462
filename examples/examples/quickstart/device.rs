//! A sensor: it joins by OTAA and sends its readings in encrypted PHYPayloads.

use lorawan_frame::{
    AppKey, Data, DevAddr, DevEui, Error, ExpandedKey, JoinEui, JoinRequest, PhyPayload,
    SessionKeys,
};

use crate::residence::Place;

/// Longest PHYPayload.
const MAX_PHY_PAYLOAD: usize = 255;

pub(crate) struct Device {
    pub(crate) place: Place,
    pub(crate) dev_eui: DevEui,
    pub(crate) join_eui: JoinEui,
    /// The only secret: it never travels.
    pub(crate) app_key: AppKey,
    dev_nonce: u16,
    session: Option<(DevAddr, SessionKeys<ExpandedKey>)>,
    fcnt_up: u32,
    random: u32,
}

impl Device {
    /// Device number `serial`, with the identifiers and key that a factory gives it.
    pub(crate) fn new(place: Place, serial: u8) -> Self {
        let mut key = *b"motewire-sensor\0";
        key[15] = serial;
        Self {
            place,
            dev_eui: DevEui::new(0x0004_A30B_001C_0500 | u64::from(serial)),
            join_eui: JoinEui::new(0x70B3_D57E_D000_0001),
            app_key: AppKey::new(key),
            dev_nonce: 0,
            session: None,
            fcnt_up: 0,
            random: 0x9E37_79B9 ^ u32::from(serial),
        }
    }

    /// A Join-Request: who I am, signed with the AppKey.
    pub(crate) fn join_request(&mut self) -> Result<Vec<u8>, Error> {
        let request = JoinRequest {
            join_eui: self.join_eui,
            dev_eui: self.dev_eui,
            dev_nonce: self.dev_nonce,
        };
        let mut buffer = [0; MAX_PHY_PAYLOAD];
        Ok(request.build_into(&self.app_key, &mut buffer)?.to_vec())
    }

    /// Opens the Join-Accept and derives the session keys from it, as the server did.
    pub(crate) fn join_accept(&mut self, phy: &[u8]) -> Result<DevAddr, Error> {
        let accept = match PhyPayload::parse(phy)? {
            PhyPayload::JoinAccept(received) => received.open(&self.app_key)?,
            other => panic!("a device that joins got {other:?}"),
        };
        let keys = self.app_key.session_v1_0(accept.join_nonce, accept.net_id, self.dev_nonce)?;
        self.dev_nonce += 1;
        self.fcnt_up = 0;
        self.session = Some((accept.dev_addr, keys.expand()));
        Ok(accept.dev_addr)
    }

    /// The next reading, on the sensor's FPort, encrypted and signed with the session keys.
    pub(crate) fn uplink(&mut self) -> Result<Vec<u8>, Error> {
        let raw = self.measure();
        let (dev_addr, keys) = self.session.as_ref().expect("the device has joined");
        let payload = self.place.kind.encode(raw);
        let data = Data {
            fport: Some(self.place.kind.fport()),
            frm_payload: &payload,
            ..Data::up(*dev_addr, self.fcnt_up)
        };
        let mut buffer = [0; MAX_PHY_PAYLOAD];
        let phy = data.build_into(keys, &mut buffer)?.to_vec();
        self.fcnt_up += 1;
        Ok(phy)
    }

    fn measure(&mut self) -> i16 {
        use crate::residence::Kind;
        let noise = crate::gateway::random(&mut self.random);
        let noise = i16::try_from(noise % 100).unwrap_or(0);
        match self.place.kind {
            Kind::Temperature => 2050 + noise,
            Kind::Humidity => 90 + noise / 10,
            Kind::Motion => noise / 20,
            Kind::Door => noise % 2,
        }
    }
}

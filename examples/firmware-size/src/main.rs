//! Devices without radio. One of Class A of LoRaWAN 1.0.x: it frames what it would send and reads
//! what it would receive; and a publisher of MQTT 5.0. `black_box` stands for the radio, so that
//! nothing is computed in advance.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use panic_halt as _;

#[cfg(any(feature = "data", feature = "join"))]
const PHY_LEN: usize = 64;

/// Joins: Join-Request out, Join-Accept in, session keys derived.
#[cfg(feature = "join")]
fn join(radio: &mut [u8; PHY_LEN]) -> Result<(), lorawan_frame::Error> {
    use lorawan_frame::{AppKey, DevEui, EncryptedJoinAccept, JoinEui, JoinRequest};

    let key = AppKey::new(black_box([1; 16]));
    let request = JoinRequest {
        join_eui: JoinEui::new(black_box(2)),
        dev_eui: DevEui::new(black_box(3)),
        dev_nonce: black_box(4),
    };
    black_box(request.build_into(&key, radio)?);
    let accept = EncryptedJoinAccept::parse(black_box(&radio[..33]))?.open(&key)?;
    black_box(key.session_v1_0(accept.join_nonce, accept.net_id, request.dev_nonce)?);
    Ok(())
}

/// Sends a reading, and reads what the network answers.
#[cfg(feature = "data")]
fn data(radio: &mut [u8; PHY_LEN]) -> Result<(), lorawan_frame::Error> {
    use lorawan_frame::{AppSKey, Data, DataFrame, DevAddr, NwkSKey, SessionKeys};

    let keys =
        SessionKeys::v1_0(NwkSKey::new(black_box([5; 16])), AppSKey::new(black_box([6; 16])));
    let uplink = Data {
        fport: Some(black_box(1)),
        frm_payload: black_box(&[7; 12]),
        ..Data::up(DevAddr::new(black_box(8)), black_box(9))
    };
    black_box(uplink.build_into(&keys, radio)?);
    let mut clear = [0; PHY_LEN];
    let downlink = DataFrame::parse(black_box(&radio[..40]))?;
    black_box(downlink.open(&keys, black_box(10), &mut clear)?);
    Ok(())
}

/// Reads the MAC commands of a downlink, and answers LinkADRReq.
#[cfg(feature = "mac")]
fn mac(commands: &[u8], answers: &mut [u8; 15]) -> Result<(), lorawan_frame::Error> {
    use lorawan_frame::{Direction, MacCommand, MacCommands};

    for command in MacCommands::new(Direction::Down, commands) {
        if let MacCommand::LinkADRReq { .. } = black_box(command?) {
            let answer =
                MacCommand::LinkADRAns { power_ack: true, dr_ack: true, ch_mask_ack: true };
            black_box(answer.build_into(answers)?);
        }
    }
    Ok(())
}

/// Looks up where and how to listen after an uplink in EU868.
#[cfg(feature = "region")]
fn region() -> Option<()> {
    use lorawan_frame::Direction;
    use lorawan_frame::region::eu868::PLAN;

    let channel = PLAN.default_channel(black_box(1))?;
    let uplink = black_box(5);
    let rx1 = PLAN.rx1_data_rate(uplink, black_box(0), false)?;
    black_box((PLAN.rx1_frequency_hz(&channel), PLAN.data_rate(rx1, Direction::Down)?));
    black_box((PLAN.rx2_frequency_hz, PLAN.data_rate(PLAN.rx2_data_rate, Direction::Down)?));
    black_box(PLAN.payload_limit(uplink, false, false)?.frm_payload(0));
    black_box(PLAN.eirp_cdbm(black_box(2), PLAN.max_eirp_cdbm)?);
    Some(())
}

/// Publishes a reading by MQTT 5.0 with QoS 1, and reads what the server sends.
#[cfg(feature = "mqtt_publish")]
fn mqtt_publish(wire: &mut [u8; 128]) -> Result<(), mqtt_codec::EncodeError> {
    use mqtt_codec::{
        Connect, Packet, PacketId, Properties, Property, Publish, QoS, Rules, Sender, TopicName,
        Version,
    };

    let rules = Rules::new(Version::V5, Sender::Client);
    let connect = Packet::Connect(Connect::new(Version::V5, black_box("sensor-7")));
    black_box(rules.encode(&connect, wire)?);
    let expiry = [Property::MessageExpiryInterval(black_box(60))];
    let publish = Packet::Publish(Publish {
        qos: QoS::AtLeastOnce,
        packet_id: PacketId::new(black_box(1)),
        properties: Properties::from(&expiry[..]),
        ..Publish::new(TopicName::new(black_box("plant/7/temperature"))?, black_box(b"21.5"))
    });
    black_box(rules.encode(&publish, wire)?);
    let answers = Rules::new(Version::V5, Sender::Server);
    if let Ok(Some(Packet::PubAck(ack))) = answers.decode(&mut black_box(&wire[..])) {
        black_box((ack.packet_id, ack.reason));
    }
    Ok(())
}

/// Reads any packet of either side in any version, and no more.
#[cfg(feature = "mqtt_decode")]
fn mqtt_decode(wire: &[u8]) {
    use mqtt_codec::{Rules, Sender, Version};

    let version = if black_box(true) { Version::V5 } else { Version::V311 };
    let _ = black_box(Rules::new(version, Sender::Either).decode(&mut black_box(wire)));
}

#[entry]
fn main() -> ! {
    #[cfg(feature = "mqtt_publish")]
    let _ = black_box(mqtt_publish(&mut black_box([0; 128])));
    #[cfg(feature = "mqtt_decode")]
    mqtt_decode(&black_box([0; 128]));
    #[cfg(any(feature = "data", feature = "join"))]
    let mut radio = black_box([0; PHY_LEN]);
    #[cfg(feature = "join")]
    let _ = black_box(join(&mut radio));
    #[cfg(feature = "data")]
    let _ = black_box(data(&mut radio));
    #[cfg(feature = "mac")]
    let _ = black_box(mac(black_box(&[0; 15]), &mut [0; 15]));
    #[cfg(feature = "region")]
    let _ = black_box(region());
    loop {
        black_box(());
    }
}

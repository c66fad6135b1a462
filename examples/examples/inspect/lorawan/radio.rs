//! Answers about radio arithmetic, Class B, packages and gateways.

use lorawan_frame::airtime::{self, LongInterleaving, LongInterleavingRate, Lora};
use lorawan_frame::class_b::{self, Beacon, Periodicity};
use lorawan_frame::gwmp::{Body, Datagram, PushData, RxPk, Timing, TxPk};
use lorawan_frame::package::fragmentation::{self, Parity};
use lorawan_frame::package::{Message, Version, clock_sync, firmware, multicast};
use lorawan_frame::region::{BeaconLayout, LrFhssCodingRate};
use lorawan_frame::{adr, gps};
use serde_json::{Value, json};

use super::line::{Line, Problem, hex, missing};
use super::package_fields::Fields;
use super::region::plan;

type Answer = Result<Value, Problem>;

fn no_coding_rate(name: &str) -> Problem {
    Problem::Line(format!("no coding rate {name:?}"))
}

pub(crate) fn airtime(line: &Line<'_>) -> Answer {
    let len = line.number::<u16>("phy_payload_len")?.into();
    let time = match line.input("modulation").as_str().unwrap_or("LoRa") {
        "FSK" => airtime::fsk(line.number("bitrate")?, len),
        "LR-FHSS" => airtime::lr_fhss(
            match line.text("cr")? {
                "1/3" | "2/6" => LrFhssCodingRate::OneThird,
                "2/3" | "4/6" => LrFhssCodingRate::TwoThirds,
                other => return Err(no_coding_rate(other)),
            },
            len,
        ),
        "LoRa 2.4 GHz" => {
            let mut rate = LongInterleaving::new(line.number("sf")?, line.number("bw_hz")?);
            rate.crc = line.flag("crc");
            rate.coding_rate = match line.text("cr")? {
                "4/5LI" => LongInterleavingRate::FourFifths,
                "4/6LI" => LongInterleavingRate::FourSixths,
                "4/8LI" => LongInterleavingRate::FourEighths,
                other => return Err(no_coding_rate(other)),
            };
            rate.time_on_air(len)
        }
        "LoRa" => {
            let mut rate = Lora::new(line.number("sf")?, line.number("bw_hz")?);
            rate.coding_rate = match line.text("cr")? {
                "4/5" => 1,
                "4/6" => 2,
                "4/7" => 3,
                "4/8" => 4,
                other => return Err(no_coding_rate(other)),
            };
            // `null` leaves the preamble out; a line without the field means the usual one.
            let inputs = &line.0["inputs"];
            if inputs.get("preamble_symbols").is_some() {
                rate.preamble_symbols =
                    line.input("preamble_symbols").as_u64().and_then(|n| n.try_into().ok());
            }
            rate.explicit_header = line.input("explicit_header") != false;
            rate.crc = line.input("crc") != false;
            rate.low_data_rate = line.input("ldro").as_bool();
            rate.time_on_air(len)
        }
        other => return Err(Problem::Line(format!("no modulation {other:?}"))),
    };
    Ok(json!({ "us": time.as_micros() as u64, "ns": time.as_nanos() as u64 }))
}

pub(crate) fn gps_time(line: &Line<'_>) -> Answer {
    let utc = line.text("utc")?;
    let (unix, _) = gps::parse_utc(utc).ok_or(Problem::Line(format!("no time: {utc:?}")))?;
    Ok(json!({ "gps_seconds": gps::from_unix(unix) }))
}

pub(crate) fn link_budget(line: &Line<'_>) -> Answer {
    let sensitivity = adr::sensitivity_cdbm(
        line.number("bw_hz")?,
        line.hundredths("noise_figure_db")?,
        line.hundredths("snr_db")?,
    );
    let mut answer = json!({
        "sensitivity_dbm": f64::from(sensitivity) / 100.0,
        "sensitivity_dbm_trunc": sensitivity / 100,
    });
    if !line.input("tx_power_dbm").is_null() {
        let budget = adr::link_budget_cdb(line.hundredths("tx_power_dbm")?, sensitivity);
        answer["link_budget_db"] = (f64::from(budget) / 100.0).into();
        answer["link_budget_db_trunc"] = (budget / 100).into();
    }
    Ok(answer)
}

pub(crate) fn eirp_index(line: &Line<'_>) -> Answer {
    if line.input("index").is_null() {
        return Ok(json!({ "index": adr::max_eirp_index(line.hundredths("eirp_dbm_floor")?) }));
    }
    let index: u8 = line.number("index")?;
    let eirp = adr::MAX_EIRP_DBM.get(usize::from(index));
    let eirp =
        eirp.ok_or(Problem::Refused(format!("MaxEIRP index {index} has more than 4 bits")))?;
    Ok(json!({ "eirp_dbm": eirp }))
}

pub(crate) fn adr_step(line: &Line<'_>) -> Answer {
    let limits = adr::Limits {
        max_data_rate: line.number("max_dr")?,
        max_tx_power_index: line.number("max_tx_power_index")?,
    };
    let (tx_power_index, dr) = adr::step(
        line.number("n_step")?,
        line.number("tx_power_index")?,
        line.number("dr")?,
        limits,
    );
    Ok(json!({ "tx_power_index": tx_power_index, "dr": dr }))
}

pub(crate) fn adr_nb_trans(line: &Line<'_>) -> Answer {
    let percent = line.input("loss_percent").as_f64().ok_or(missing("loss_percent"))?;
    let loss = (percent * 10.0).round() as u16;
    Ok(json!({ "nb_trans": adr::nb_trans(loss, line.number("current_nb_trans")?) }))
}

pub(crate) fn beacon(line: &Line<'_>) -> Answer {
    let layout = if line.input("region").is_null() {
        BeaconLayout {
            rfu1: line.number("rfu1_bytes")?,
            rfu2: line.number("rfu2_bytes")?,
            param: false,
            data_rate: 0,
        }
    } else {
        plan(line)?.beacon_layout
    };
    let bytes = line.bytes()?;
    let beacon = Beacon::parse(&bytes, &layout)?;
    let time = usize::from(layout.rfu1) + usize::from(layout.param);
    let crc = |at: usize| {
        let crc = bytes.get(at..at + 2).map(|crc| u16::from_le_bytes([crc[0], crc[1]]));
        crc.map(|crc| format!("{crc:04x}"))
    };
    let mut answer = json!({
        "time_gps": beacon.time,
        "crc1": crc(time + 4),
        "crc2": crc(bytes.len().saturating_sub(2)),
        "param": beacon.param,
    });
    if let Some(own) = beacon.gw_specific {
        answer["info_desc"] = own.info_desc.into();
        if let Some((latitude, longitude)) = own.to_raw_coordinates() {
            answer["lat_raw"] = latitude.into();
            answer["lng_raw"] = longitude.into();
        }
    }
    Ok(answer)
}

pub(crate) fn ping_slot(line: &Line<'_>) -> Answer {
    let addr = line.parse("dev_addr")?;
    if !line.input("region").is_null() {
        let time = line.number("beacon_time")?;
        return Ok(json!({ "freq_hz": class_b::ping_slot_frequency(plan(line)?, addr, time, 0) }));
    }
    let ping_nb: u16 = line.number("ping_nb")?;
    let periodicity = (0..8)
        .filter_map(Periodicity::new)
        .find(|periodicity| periodicity.ping_nb() == ping_nb)
        .ok_or(Problem::Line("ping_nb is a power of two from 1 to 128".into()))?;
    if line.input("after_gps_ms").is_null() {
        let offset = class_b::ping_offset(line.number("beacon_time")?, addr, periodicity);
        return Ok(json!({ "ping_offset": offset, "ping_period": periodicity.ping_period() }));
    }
    let next = class_b::next_ping_slot(line.number("after_gps_ms")?, addr, periodicity);
    Ok(json!({ "next_slot_gps_ms": next }))
}

fn version(line: &Line<'_>) -> Version {
    if line.input("package_version") == 2 { Version::V2 } else { Version::V1 }
}

pub(crate) fn app_package(line: &Line<'_>) -> Answer {
    fn answer<'a, M: Message<'a> + Fields>(bytes: &'a [u8], version: Version) -> Answer {
        let (message, _) = M::parse(bytes, version)?;
        let mut answer = message.fields();
        answer["name"] = message.name().into();
        answer["cid"] = message.cid().into();
        Ok(answer)
    }
    let (bytes, version) = (line.bytes()?, version(line));
    let package = line.text("package")?;
    match (package.get(package.len().saturating_sub(5)..), line.flag("uplink")) {
        (Some("TS003"), true) => answer::<clock_sync::Uplink>(&bytes, version),
        (Some("TS003"), false) => answer::<clock_sync::Downlink>(&bytes, version),
        (Some("TS004"), true) => answer::<fragmentation::Uplink>(&bytes, version),
        (Some("TS004"), false) => answer::<fragmentation::Downlink<'_>>(&bytes, version),
        (Some("TS005"), true) => answer::<multicast::Uplink>(&bytes, version),
        (Some("TS005"), false) => answer::<multicast::Downlink>(&bytes, version),
        (Some("TS006"), true) => answer::<firmware::Uplink>(&bytes, version),
        (Some("TS006"), false) => answer::<firmware::Downlink>(&bytes, version),
        _ => Err(Problem::Line(format!("no package {package:?}"))),
    }
}

pub(crate) fn frag_parity(line: &Line<'_>) -> Answer {
    let (nb_frag, size) = (line.number("nb_frag")?, line.number("frag_size")?);
    let parity = Parity::new(version(line), nb_frag, size)
        .ok_or(Problem::Line("no such fragmentation session".into()))?;
    let mut out = vec![0; usize::from(parity.frag_size())];
    if !parity.fragment(&line.bytes()?, line.number("fragment_number_1_based")?, &mut out) {
        return Err(Problem::Line(
            "the block has another length, or there is no such fragment".into(),
        ));
    }
    Ok(json!({ "fragment_hex": hex(&out) }))
}

pub(crate) fn semtech_udp(line: &Line<'_>) -> Answer {
    let refused = |why: serde_json::Error| Problem::Refused(why.to_string());
    if let Some(text) = line.input("txpk_json").as_str() {
        let packet: TxPk = serde_json::from_str(text).map_err(refused)?;
        return Ok(json!({
            "immediate": packet.timing() == Timing::Immediate,
            "size_field": packet.size,
            "decoded_len": packet.data.len(),
        }));
    }
    if let Some(text) = line.input("json").as_str() {
        let content: PushData = serde_json::from_str(text).map_err(refused)?;
        return push_data(&content);
    }
    let datagram =
        Datagram::parse(&line.bytes()?).map_err(|why| Problem::Refused(why.to_string()))?;
    datagram_fields(&datagram)
}

pub(crate) fn datagram_fields(datagram: &Datagram) -> Answer {
    let to_json = |value: Result<Value, serde_json::Error>| {
        value.map_err(|why| Problem::Refused(why.to_string()))
    };
    let mut answer = json!({});
    match &datagram.body {
        Body::PushData { gateway, content } => {
            answer = push_data(content)?;
            answer["gateway_eui"] = gateway.to_string().into();
        }
        Body::PullData { gateway } => answer["gateway_eui"] = gateway.to_string().into(),
        Body::TxAck { gateway, ack } => {
            answer["gateway_eui"] = gateway.to_string().into();
            answer["txpk_ack"] = to_json(serde_json::to_value(ack))?;
        }
        Body::PullResp { txpk } => answer["txpk"] = to_json(serde_json::to_value(txpk))?,
        Body::PushAck | Body::PullAck => {}
    }
    answer["version"] = datagram.version.into();
    answer["token"] = hex(&datagram.token).into();
    answer["identifier"] = datagram.identifier().name().into();
    Ok(answer)
}

/// The first packet under `rxpk`, as the file has it, and all of them under `rxpks`.
fn push_data(content: &PushData) -> Answer {
    let packet = |packet: &RxPk| -> Answer {
        let mut fields =
            serde_json::to_value(packet).map_err(|why| Problem::Refused(why.to_string()))?;
        fields["phy_hex"] = hex(&packet.data).into();
        Ok(fields)
    };
    let mut answer = json!({});
    if let Some(first) = content.rxpk.first() {
        answer["rxpk"] = packet(first)?;
    }
    if content.rxpk.len() > 1 {
        answer["rxpks"] = content.rxpk.iter().map(packet).collect::<Result<Vec<_>, _>>()?.into();
    }
    if let Some(stat) = &content.stat {
        let mut fields =
            serde_json::to_value(stat).map_err(|why| Problem::Refused(why.to_string()))?;
        // The share of acknowledged datagrams is unknown when none was sent.
        fields["ackr"] = stat.ackr.into();
        answer["stat"] = fields;
    }
    Ok(answer)
}

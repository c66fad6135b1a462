//! Answers about regions: channels, windows, data rates, channel masks.

use lorawan_frame::Direction;
use lorawan_frame::region::{ChannelMask, DataRate, LrFhssCodingRate, Plan, Region, Revision};
use serde_json::{Value, json};

use super::line::{Line, Problem, missing};

type Answer = Result<Value, Problem>;

pub(super) fn plan(line: &Line<'_>) -> Result<&'static Plan, Problem> {
    let name = line.text("region")?;
    let region: Region = name.parse().map_err(|_| Problem::Line(format!("no region {name:?}")))?;
    Ok(region.plan(revision(line)?))
}

/// The newest, when the line does not say which.
fn revision(line: &Line<'_>) -> Result<Revision, Problem> {
    if line.input("revision").is_null() {
        return Ok(Revision::default());
    }
    let name = line.text("revision")?;
    match name.trim_start_matches("RP") {
        "V1.0.0" | "1.0.0" => Ok(Revision::V1_0_0),
        "V1.0.1" | "1.0.1" => Ok(Revision::V1_0_1),
        "001" | "001-1.0.2" | "001-1.0.3" | "001-1.1" => Ok(Revision::Rp001),
        "002-1.0.0" => Ok(Revision::Rp002_1_0_0),
        "002-1.0.1" => Ok(Revision::Rp002_1_0_1),
        "002-1.0.2" => Ok(Revision::Rp002_1_0_2),
        "002-1.0.3" => Ok(Revision::Rp002_1_0_3),
        "002-1.0.4" => Ok(Revision::Rp002_1_0_4),
        _ => Err(Problem::Line(format!("no revision {name:?}"))),
    }
}

/// One data rate: how it is modulated, and how much it carries (M and N of the tables).
fn data_rate(line: &Line<'_>, plan: &Plan) -> Answer {
    let dr: u8 = line.number("dr")?;
    let directions = [Direction::Up, Direction::Down];
    let rate = directions.into_iter().find_map(|direction| plan.data_rate(dr, direction));
    let rate = rate.ok_or(Problem::Refused(format!("DR {dr} is reserved in {}", plan.region)))?;
    let mut answer = match rate {
        DataRate::Lora { spreading_factor, bandwidth_hz } => {
            json!({ "modulation": "LoRa", "sf": spreading_factor, "bw_khz": bandwidth_hz / 1000 })
        }
        DataRate::Fsk { bit_rate } => json!({ "modulation": "FSK", "bitrate": bit_rate }),
        DataRate::LrFhss { coding_rate, channel_width_hz } => json!({
            "modulation": "LR-FHSS",
            "cr": if coding_rate == LrFhssCodingRate::OneThird { "1/3" } else { "2/3" },
            "ocw_hz": channel_width_hz,
        }),
        _ => json!({}),
    };
    let dwell = line.flag("dwell_400ms") || line.flag("uplink_dwell_400ms");
    if let Some(limit) = plan.payload_limit(dr, line.flag("repeater"), dwell) {
        answer["m"] = limit.mac_payload.into();
        answer["n"] = limit.frm_payload(line.number_or_zero("fopts_len")?).into();
    }
    Ok(answer)
}

pub(crate) fn region(line: &Line<'_>) -> Answer {
    let plan = plan(line)?;
    let has = |name: &str| !line.input(name).is_null();
    if has("sf") {
        let rate = DataRate::Lora {
            spreading_factor: line.number("sf")?,
            bandwidth_hz: line.number::<u32>("bw_khz")?.saturating_mul(1000),
        };
        let direction = if line.flag("uplink") { Direction::Up } else { Direction::Down };
        return Ok(json!({ "dr": plan.data_rate_index(rate, direction) }));
    }
    if has("uplink_channel") {
        let index: u8 = line.number("uplink_channel")?;
        let unknown = Problem::Refused(format!("{} has no channel {index}", plan.region));
        let channel = plan.default_channel(index).ok_or(unknown)?;
        return Ok(json!({
            "freq_hz": channel.frequency_hz,
            "rx1_freq_hz": plan.rx1_frequency_hz(&channel),
        }));
    }
    if has("uplink_dr") {
        let (dr, offset) = (line.number("uplink_dr")?, line.number("rx1_dr_offset")?);
        let rx1 = plan.rx1_data_rate(dr, offset, line.flag("downlink_dwell_400ms"));
        return Ok(json!({ "rx1_dr": rx1 }));
    }
    if has("dr") {
        return data_rate(line, plan);
    }
    if has("tx_power_index") {
        let eirp = plan.eirp_cdbm(line.number("tx_power_index")?, plan.max_eirp_cdbm);
        return Ok(json!({ "eirp_dbm": eirp.map(|eirp| f64::from(eirp) / 100.0) }));
    }
    if has("downlink_freq_hz") {
        let band = plan.band(line.number("downlink_freq_hz")?);
        let eirp = band.map_or(plan.max_eirp_cdbm, |band| band.max_eirp_cdbm);
        // Radiated power is 2.15 dB below EIRP; whole dBm are asked for.
        return Ok(json!({ "tx_power_dbm": (eirp - 215 + 50) / 100 }));
    }
    let channels = plan.default_channels().map(|channel| channel.frequency_hz);
    Ok(json!({
        "rx2_freq_hz": plan.rx2_frequency_hz,
        "rx2_dr": plan.rx2_data_rate,
        "ping_slot_freq_hz": plan.ping_slot.frequency_hz(0, 0),
        "default_channels_hz": channels.collect::<Vec<_>>(),
        "receive_delay1_s": Plan::RECEIVE_DELAY1_S,
        "receive_delay2_s": Plan::RECEIVE_DELAY2_S,
        "join_accept_delay1_s": Plan::JOIN_ACCEPT_DELAY1_S,
        "join_accept_delay2_s": Plan::JOIN_ACCEPT_DELAY2_S,
    }))
}

/// Which channels are wanted, the lines do not say unless by `wanted_channels`: in regions with
/// channels of its own choosing, what the device has and the default channels; in the others the
/// first eight, as gateways with eight channels hear them.
pub(crate) fn link_adr_plan(line: &Line<'_>) -> Answer {
    let plan = plan(line)?;
    let mask = |name: &str| -> Result<ChannelMask, Problem> {
        let channels = line.input(name).as_array().ok_or(missing(name))?;
        let channel = |n: &Value| {
            let index = n.as_u64().and_then(|n| u8::try_from(n).ok()).filter(|&n| n < 96);
            index.ok_or_else(|| Problem::Line(format!("{name}: no channel {n}")))
        };
        channels.iter().map(channel).collect()
    };
    let current = mask("device_enabled_channels")?;
    let defaults = plan.default_channel_mask();
    let defined = if plan.dynamic_channels { ChannelMask::first(16) } else { defaults };
    let wanted = if !line.input("wanted_channels").is_null() {
        mask("wanted_channels")?
    } else if plan.dynamic_channels {
        current.channels().chain(defaults.channels()).collect()
    } else {
        ChannelMask::first(8)
    };
    let requests = plan.masks.requests(current, wanted);
    let result = plan
        .masks
        .apply_all(current, defined, requests.iter().copied())
        .map_err(|error| Problem::Refused(format!("{error:?}")))?;
    let requests = requests
        .iter()
        .map(|(control, mask)| json!({ "ch_mask_cntl": control, "ch_mask": mask }))
        .collect::<Vec<_>>();
    let channels = result.channels().collect::<Vec<_>>();
    Ok(json!({ "link_adr_reqs": requests, "resulting_channels": channels }))
}

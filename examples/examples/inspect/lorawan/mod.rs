//! LoRaWAN: frames as a tree, and answers to the lines of a vector file.

mod derived;
mod frames;
mod join;
mod line;
#[path = "../../../../lorawan-frame/tests/common/package_fields.rs"]
mod package_fields;
mod radio;
mod region;
pub(crate) mod tree;

use serde_json::{Value, json};

use line::{Line, Problem};

/// The answer to one line, if it was one: `{"id", "expected": {...}}`. The second value says why a
/// line is not one that can be answered.
pub(crate) fn answer(line: &Value, parsed: Result<(), String>) -> (Value, Option<String>) {
    let parsed = parsed.map_err(Problem::Line);
    let (answer, bad) = match parsed.and_then(|()| expected(&Line(line))) {
        Ok(answer) => (answer, None),
        Err(Problem::Refused(why)) => (json!({ "error": why }), None),
        Err(Problem::Line(why)) => (json!({ "error": why.clone() }), Some(why)),
    };
    (json!({ "id": line["id"], "expected": answer }), bad)
}

fn expected(line: &Line<'_>) -> Result<Value, Problem> {
    let kind = line.0["kind"].as_str().ok_or(line::missing("kind"))?;
    let answer = match kind {
        "data_up" | "data_down" | "join_request" | "join_accept" | "rejoin" | "proprietary"
        | "parse_error" => frames::phy_payload,
        "mac_payload" => frames::mac_payload,
        "mac_command" => frames::mac_command,
        "mic" => frames::mic,
        "join_accept_payload" => join::join_accept_payload,
        "cflist" => join::cflist,
        "fctrl" => frames::fctrl,
        "frm_encrypt" => frames::frm_encrypt,
        "fopts_encrypt" => frames::fopts_encrypt,
        "fcnt_up_reconstruct" => frames::fcnt_up_reconstruct,
        "fcnt_down_accept" => frames::fcnt_down_accept,
        "net_id" => frames::net_id,
        "dev_addr" => frames::dev_addr,
        "dev_addr_prefix" => frames::dev_addr_prefix,
        "relay_forward_up" => frames::relay_forward_up,
        "relay_forward_down" => frames::relay_forward_down,
        "wor" => frames::wor,
        "key_derivation" => derived::key_derivation,
        "key_wrap" => derived::key_wrap,
        "region" => region::region,
        "link_adr_plan" => region::link_adr_plan,
        "airtime" => radio::airtime,
        "gps_time" => radio::gps_time,
        "link_budget" => radio::link_budget,
        "eirp_index" => radio::eirp_index,
        "adr_step" => radio::adr_step,
        "adr_nb_trans" => radio::adr_nb_trans,
        "beacon" => radio::beacon,
        "ping_slot" => radio::ping_slot,
        "app_package" => radio::app_package,
        "frag_parity" => radio::frag_parity,
        "semtech_udp" => radio::semtech_udp,
        other => return Err(Problem::Line(format!("no kind {other:?}"))),
    };
    answer(line)
}

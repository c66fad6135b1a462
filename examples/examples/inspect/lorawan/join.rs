//! Answers about joining: Join-Request, Rejoin-Request, Join-Accept, CFList.

use lorawan_frame::{
    AppKey, CfList, CfListKind, EncryptedJoinAccept, Frequency, JoinAccept, JoinContext,
    JoinReqType, JoinRequest, JsEncKey, JsIntKey, Key, NwkKey, Received, Rejoin, SNwkSIntKey,
};
use serde_json::{Value, json};

use super::line::{Line, Problem, hex};

type Answer = Result<Value, Problem>;

pub(super) fn join_request(line: &Line<'_>, request: &Received<'_, JoinRequest>) -> Answer {
    let mut answer = json!({
        "join_eui": request.content.join_eui.to_string(),
        "dev_eui": request.content.dev_eui.to_string(),
        "dev_nonce": request.content.dev_nonce,
        "mic": hex(&request.mic()),
    });
    if let Some(key) = root_key(line)? {
        let key = AppKey(key);
        answer["computed_mic"] = hex(&request.compute_mic(&key)?).into();
        answer["mic_valid"] = request.verify(&key).is_ok().into();
    }
    Ok(answer)
}

/// The key that signs join-requests.
fn root_key(line: &Line<'_>) -> Result<Option<Key>, Problem> {
    let names = if line.is_v1_1() { ["nwk_key", "app_key"] } else { ["app_key", "nwk_key"] };
    Ok(line.key(names[0])?.or(line.key(names[1])?))
}

pub(super) fn rejoin(line: &Line<'_>, request: &Received<'_, Rejoin>) -> Answer {
    let content = request.content;
    let mut answer = json!({
        "rejoin_type": content.rejoin_type(),
        "dev_eui": content.dev_eui().to_string(),
        "rjcount": content.rj_count(),
        "mic": hex(&request.mic()),
    });
    match content {
        Rejoin::Network { net_id, .. } => {
            answer["net_id"] = net_id.to_string().into();
            if let Some(key) = line.key::<SNwkSIntKey>("s_nwk_s_int_key")? {
                answer["mic_valid"] = request.verify(&key).is_ok().into();
            }
        }
        Rejoin::JoinServer { join_eui, .. } => {
            answer["join_eui"] = join_eui.to_string().into();
            if let Some(key) = line.key::<JsIntKey>("js_int_key")? {
                answer["mic_valid"] = request.verify_type1(&key).is_ok().into();
            }
        }
    }
    Ok(answer)
}

pub(super) fn join_accept(line: &Line<'_>, encrypted: &EncryptedJoinAccept<'_>) -> Answer {
    let root = root_key(line)?;
    let (decrypted, request) = match (line.key::<JsEncKey>("js_enc_key")?, &root) {
        (Some(key), _) => (encrypted.decrypt_rejoin(&key)?, JoinReqType::Rejoin0),
        (None, Some(key)) => (encrypted.decrypt(&AppKey(key.clone()))?, JoinReqType::Join),
        (None, None) => return Ok(json!({})),
    };
    let mut answer = accepted(&decrypted.unverified()?);
    answer["plain_hex"] = hex(decrypted.bytes()).into();
    answer["mic"] = hex(&decrypted.mic()).into();
    let verdict = if line.is_v1_1() && decrypted.opt_neg() {
        match (js_int_key(line)?, join_context(line, request)?) {
            (Some(key), Some(context)) => Some(decrypted.verify_v1_1(&key, &context)),
            _ => None,
        }
    } else if line.is_v1_1() {
        root.map(|key| decrypted.verify(&NwkKey(key)))
    } else {
        root.map(|key| decrypted.verify(&AppKey(key)))
    };
    if let Some(verdict) = verdict {
        answer["mic_valid"] = verdict.is_ok().into();
    }
    Ok(answer)
}

/// The JSIntKey by its own name, or from the NwkKey and the DevEUI.
fn js_int_key(line: &Line<'_>) -> Result<Option<JsIntKey>, Problem> {
    if let Some(key) = line.key("js_int_key")? {
        return Ok(Some(key));
    }
    match line.key::<NwkKey>("nwk_key")? {
        Some(key) if !line.input("dev_eui").is_null() => {
            Ok(Some(key.js_int_key(line.parse("dev_eui")?)?))
        }
        _ => Ok(None),
    }
}

/// What the MIC of 1.1 covers besides, when the line has it all.
fn join_context(line: &Line<'_>, request: JoinReqType) -> Result<Option<JoinContext>, Problem> {
    let nonce = if line.input("rjcount").is_null() { "dev_nonce" } else { "rjcount" };
    if line.input("join_eui").is_null() || line.input(nonce).is_null() {
        return Ok(None);
    }
    let request = match line.input("join_req_type").as_u64() {
        Some(0) => JoinReqType::Rejoin0,
        Some(1) => JoinReqType::Rejoin1,
        Some(2) => JoinReqType::Rejoin2,
        _ => request,
    };
    let (join_eui, nonce) = (line.parse("join_eui")?, line.number(nonce)?);
    Ok(Some(JoinContext { request, join_eui, nonce }))
}

/// What lies between MHDR and MIC.
pub(crate) fn join_accept_payload(line: &Line<'_>) -> Answer {
    Ok(accepted(&JoinAccept::parse_body(&line.bytes()?)?))
}

fn accepted(accept: &JoinAccept) -> Value {
    json!({
        "join_nonce": accept.join_nonce.value(),
        "net_id": accept.net_id.to_string(),
        "dev_addr": accept.dev_addr.to_string(),
        "opt_neg": accept.dl_settings.opt_neg,
        "rx1_dr_offset": accept.dl_settings.rx1_dr_offset,
        "rx2_dr": accept.dl_settings.rx2_dr,
        "rx_delay": accept.rx_delay,
        "cflist": accept.cf_list.map(|list| hex(&list.to_wire())),
        "cflist_decoded": accept.cf_list.map(channels),
    })
}

pub(crate) fn cflist(line: &Line<'_>) -> Answer {
    let bytes = line.bytes()?;
    let bytes = bytes.try_into().map_err(|_| Problem::Refused("CFList has 16 bytes".into()))?;
    Ok(channels(CfList::from_wire(bytes)))
}

pub(crate) fn channels(list: CfList) -> Value {
    match list.kind() {
        CfListKind::Frequencies(all) => json!({ "type": 0, "freqs_hz": all.map(Frequency::hz) }),
        CfListKind::ChannelMasks(masks) => json!({ "type": 1, "ch_masks": masks }),
        _ => json!({ "type": list.to_wire()[15] }),
    }
}

//! Answers about frames, MAC commands, identifiers and counters.

use lorawan_frame::{
    AppSKey, Context, Data, DataFrame, DevAddr, Direction, Error, ErrorKind, FCtrl, FNwkSIntKey,
    FOptsCipher, FType, FieldValue, ForwardUplinkReq, Key, MacCommand, MacCommands, NetId,
    NetworkKeys, NwkSEncKey, NwkSKey, PhyPayload, SNwkSIntKey, SessionKeys, Wor, fcnt,
};
use serde_json::{Map, Value, json};

use super::join::{join_accept, join_request, rejoin};
use super::line::{Line, Problem, hex, missing};

type Answer = Result<Value, Problem>;

/// Stands where a key is not given; what would need it is not answered.
const NO_KEY: Key = Key::new([0; 16]);

/// A whole frame of any type.
pub(crate) fn phy_payload(line: &Line<'_>) -> Answer {
    let bytes = line.bytes()?;
    let mut answer = match PhyPayload::parse(&bytes)? {
        PhyPayload::JoinRequest(request) => join_request(line, &request)?,
        PhyPayload::JoinAccept(accept) => join_accept(line, &accept)?,
        PhyPayload::Rejoin(request) => rejoin(line, &request)?,
        PhyPayload::Data(frame) => data(line, &frame)?,
        PhyPayload::Proprietary(payload) => json!({ "payload": hex(payload) }),
    };
    answer["mtype"] = mtype(FType::from_mhdr(bytes[0])).into();
    Ok(answer)
}

pub(crate) const fn mtype(ftype: FType) -> &'static str {
    match ftype {
        FType::JoinRequest => "join_request",
        FType::JoinAccept => "join_accept",
        FType::UnconfirmedDataUp => "unconfirmed_up",
        FType::UnconfirmedDataDown => "unconfirmed_down",
        FType::ConfirmedDataUp => "confirmed_up",
        FType::ConfirmedDataDown => "confirmed_down",
        FType::RejoinRequest => "rejoin_request",
        FType::Proprietary => "proprietary",
    }
}

fn header(frame: &DataFrame<'_>) -> Value {
    json!({
        "dev_addr": frame.dev_addr.to_string(),
        "adr": frame.fctrl.adr,
        "adr_ack_req": frame.fctrl.adr_ack_req,
        "ack": frame.fctrl.ack,
        "class_b": frame.fctrl.class_b,
        "fpending": frame.fctrl.f_pending,
        "fcnt16": frame.fcnt,
        "fopts": hex(frame.fopts),
        "fopts_len": frame.fopts.len(),
        "fport": frame.fport,
        "frm_payload": hex(frame.frm_payload),
    })
}

/// The session keys of the line, and which of them it has.
pub(crate) struct Keys {
    pub(crate) session: SessionKeys,
    /// Which bytes of the MIC the keys cover.
    mic: core::ops::Range<usize>,
    encryption: bool,
    application: bool,
}

impl Keys {
    pub(crate) fn of(line: &Line<'_>, direction: Direction) -> Result<Self, Problem> {
        let app_s_key = line.key::<AppSKey>("app_s_key")?;
        let application = app_s_key.is_some();
        let app_s_key = app_s_key.unwrap_or(AppSKey(NO_KEY));
        let nwk_s_key = line.key::<NwkSKey>("nwk_s_key")?;
        if nwk_s_key.is_some() || !line.is_v1_1() {
            let known = nwk_s_key.is_some();
            let nwk_s_key = nwk_s_key.unwrap_or(NwkSKey(NO_KEY));
            let mic = if known { 0..4 } else { 0..0 };
            let session = SessionKeys::v1_0(nwk_s_key, app_s_key);
            return Ok(Self { session, mic, encryption: known, application });
        }
        let forwarding = line.key::<FNwkSIntKey>("f_nwk_s_int_key")?;
        let serving = line.key::<SNwkSIntKey>("s_nwk_s_int_key")?;
        let encryption = line.key::<NwkSEncKey>("nwk_s_enc_key")?;
        // Up, each of two keys makes one half; down, one key makes the whole.
        let mic = match (serving.is_some(), forwarding.is_some(), direction) {
            (true, true, _) | (true, _, Direction::Down) => 0..4,
            (true, false, Direction::Up) => 0..2,
            (false, true, Direction::Up) => 2..4,
            (false, _, _) => 0..0,
        };
        let known = encryption.is_some();
        let network = NetworkKeys::V1_1 {
            f_nwk_s_int_key: forwarding.unwrap_or(FNwkSIntKey(NO_KEY)),
            s_nwk_s_int_key: serving.unwrap_or(SNwkSIntKey(NO_KEY)),
            nwk_s_enc_key: encryption.unwrap_or(NwkSEncKey(NO_KEY)),
        };
        Ok(Self {
            session: SessionKeys { network, app_s_key },
            mic,
            encryption: known,
            application,
        })
    }

    fn for_port(&self, fport: u8) -> Option<&Key> {
        match fport {
            0 | 226 => self.encryption.then(|| self.session.network.encryption_key()),
            _ => self.application.then_some(&self.session.app_s_key.0),
        }
    }

    fn reads_fopts(&self) -> bool {
        matches!(self.session.network, NetworkKeys::V1_0(_)) || self.encryption
    }
}

fn context(line: &Line<'_>) -> Result<Context, Problem> {
    Ok(Context {
        // Counters are given with 32 bits, of which the lower 16 count.
        conf_fcnt: line.number_or_zero::<u32>("conf_fcnt")? as u16,
        tx_dr: line.number_or_zero("tx_dr")?,
        tx_ch: line.number_or_zero("tx_ch")?,
        fopts_cipher: FOptsCipher::Errata,
    })
}

fn data(line: &Line<'_>, frame: &DataFrame<'_>) -> Answer {
    let mut answer = header(frame);
    answer["mic"] = hex(&frame.mic()).into();
    let keys = Keys::of(line, frame.direction)?;
    let context = context(line)?;
    let fcnt = if line.input("fcnt32").is_null() {
        frame.fcnt.into()
    } else {
        line.number::<u32>("fcnt32")?
    };
    if !keys.mic.is_empty() {
        let computed = frame.compute_mic(&keys.session.network, fcnt, &context)?;
        let valid = computed[keys.mic.clone()] == frame.mic()[keys.mic.clone()];
        answer["mic_valid"] = valid.into();
        answer["computed_mic"] = hex(&computed[keys.mic.clone()]).into();
        if !valid {
            return Ok(answer);
        }
    }
    let mut buf = [0; 255];
    // A line may say that they are in clear, as 1.1 has them where the network is a 1.0 one.
    if line.input("fopts_encrypted") == false {
        answer["fopts_plain"] = hex(frame.fopts).into();
        answer["fopts_commands"] = command_list(frame.direction, frame.fopts).0.into();
    } else if keys.reads_fopts() {
        let fopts = frame.decrypt_fopts(&keys.session.network, fcnt, &context, &mut buf)?;
        answer["fopts_plain"] = hex(fopts).into();
        answer["fopts_commands"] = command_list(frame.direction, fopts).0.into();
    }
    if let Some((port, key)) = frame.fport.and_then(|port| Some((port, keys.for_port(port)?))) {
        let clear = frame.decrypt_payload(key, fcnt, &mut buf)?;
        answer["frm_payload_plain"] = hex(clear).into();
        if port == 0 {
            answer["mac_commands"] = command_list(frame.direction, clear).0.into();
        }
    }
    Ok(answer)
}

fn direction(line: &Line<'_>) -> Direction {
    if line.flag("uplink") { Direction::Up } else { Direction::Down }
}

/// MACPayload in clear, without MHDR and MIC.
pub(crate) fn mac_payload(line: &Line<'_>) -> Answer {
    let direction = direction(line);
    let phy = around(direction, &line.bytes()?);
    let frame = DataFrame::parse(&phy)?;
    let mut answer = header(&frame);
    answer["fopts_commands"] = command_list(direction, frame.fopts).0.into();
    if frame.fport == Some(0) {
        answer["commands"] = command_list(direction, frame.frm_payload).0.into();
    }
    Ok(answer)
}

/// A MACPayload with an MHDR before and four bytes after it.
fn around(direction: Direction, mac_payload: &[u8]) -> Vec<u8> {
    let ftype = match direction {
        Direction::Up => FType::UnconfirmedDataUp,
        Direction::Down => FType::UnconfirmedDataDown,
    };
    [&[ftype.mhdr()], mac_payload, &[0; 4]].concat()
}

/// MHDR to FRMPayload, of which the MIC is wanted.
pub(crate) fn mic(line: &Line<'_>) -> Answer {
    let mut bytes = line.bytes()?;
    bytes.extend([0; 4]);
    let mut frame = DataFrame::parse(&bytes)?;
    // The direction is asked for by name: some put an MHDR of the other one before the bytes.
    if line.input("uplink").is_boolean() {
        frame.direction = direction(line);
    }
    let keys = Keys::of(line, frame.direction)?;
    if keys.mic.is_empty() {
        return Err(missing("keys"));
    }
    let mic = frame.compute_mic(&keys.session.network, line.number("fcnt32")?, &context(line)?)?;
    Ok(json!({ "mic": hex(&mic[keys.mic]) }))
}

pub(crate) fn fctrl(line: &Line<'_>) -> Answer {
    let bytes = line.bytes()?;
    let byte = *bytes.first().ok_or(missing("bytes_hex"))?;
    // Without a direction every bit is shown: bit 6 counts up, bit 4 in both.
    let up = FCtrl::from_wire(byte, Direction::Up);
    Ok(json!({
        "adr": up.adr,
        "adr_ack_req": up.adr_ack_req,
        "ack": up.ack,
        "fpending_or_class_b": up.class_b,
        "fopts_len": byte & 0x0f,
    }))
}

pub(crate) fn mac_command(line: &Line<'_>) -> Answer {
    let (commands, error) = command_list(direction(line), &line.bytes()?);
    let mut answer = json!({ "commands": commands });
    if let Some(error) = error.filter(|_| commands.len() == 1) {
        answer["error"] = error.kind().to_string().into();
    }
    Ok(answer)
}

/// The commands up to the first that cannot be read, which is described.
fn command_list(direction: Direction, bytes: &[u8]) -> (Vec<Value>, Option<Error>) {
    let mut commands = MacCommands::new(direction, bytes);
    let mut list = Vec::new();
    while let Some(command) = commands.next() {
        match command {
            Ok(command) => list.push(fields(&command)),
            Err(error) => {
                let name = match error.kind() {
                    ErrorKind::UnknownCid(_) => "unknown_cid",
                    ErrorKind::CommandTruncated { .. } => "truncated",
                    _ => "malformed",
                };
                let rest = commands.rest();
                list.push(json!({ "cid": rest.first(), "error": name, "rest": hex(rest) }));
                return (list, Some(error));
            }
        }
    }
    (list, None)
}

fn fields(command: &MacCommand<'_>) -> Value {
    let mut out = Map::new();
    out.insert("cid".into(), command.cid().into());
    out.insert("name".into(), command.name().into());
    command.fields(&mut |name, value| {
        let value = match value {
            FieldValue::Unsigned(number) => json!(number),
            FieldValue::Signed(number) => json!(number),
            FieldValue::Bool(flag) => json!(flag),
            FieldValue::Frequency(frequency) => {
                out.insert(format!("{name}_hz"), frequency.hz().into());
                return;
            }
            FieldValue::DevAddr(addr) => json!(addr.to_string()),
            FieldValue::Key(key) => json!(hex(key.expose())),
            FieldValue::Bytes(bytes) => json!(hex(bytes)),
            _ => return,
        };
        out.insert(name.into(), value);
    });
    out.into()
}

pub(crate) fn relay_forward_up(line: &Line<'_>) -> Answer {
    let bytes = line.bytes()?;
    let forward = ForwardUplinkReq::parse(&bytes)?;
    Ok(json!({
        "dr": forward.dr,
        "snr": forward.snr.db(),
        "rssi": forward.rssi.dbm(),
        "wor_channel": forward.wor_channel,
        "freq_hz": forward.freq.hz(),
        "inner_phy": hex(forward.phy_payload),
    }))
}

/// The payload is the inner frame and nothing else.
pub(crate) fn relay_forward_down(line: &Line<'_>) -> Answer {
    Ok(json!({ "inner_phy": hex(&line.bytes()?) }))
}

pub(crate) fn wor(line: &Line<'_>) -> Answer {
    Ok(match Wor::parse(&line.bytes()?)? {
        Wor::Join(channel) => json!({ "type": 0, "dr": channel.dr, "freq_hz": channel.freq.hz() }),
        Wor::Uplink(uplink) => json!({
            "type": 1, "dev_addr": uplink.dev_addr.to_string(), "wfcnt16": uplink.wfcnt }),
        Wor::Proprietary(payload) => json!({ "type": 15, "payload": hex(payload) }),
        _ => json!({}),
    })
}

/// The bytes encrypted as FRMPayload.
pub(crate) fn frm_encrypt(line: &Line<'_>) -> Answer {
    let key: Key = line.key("key")?.ok_or(missing("key"))?;
    let keys = SessionKeys::v1_0(NwkSKey(key.clone()), AppSKey(key));
    let clear = line.bytes()?;
    let data = Data { fport: Some(1), frm_payload: &clear, ..addressed(line)? };
    let mut buf = [0; 255];
    let frame = data.build_into(&keys, &mut buf)?;
    Ok(json!({ "cipher_hex": hex(DataFrame::parse(frame)?.frm_payload) }))
}

/// The bytes encrypted as FOpts. `a_block_type`: 1 FCntUp or NFCntDown, 2 AFCntDown, 0 the form
/// before the erratum.
pub(crate) fn fopts_encrypt(line: &Line<'_>) -> Answer {
    let nwk_s_enc_key = line.key("nwk_s_enc_key")?.ok_or(missing("nwk_s_enc_key"))?;
    let (f_nwk_s_int_key, s_nwk_s_int_key) = (FNwkSIntKey(NO_KEY), SNwkSIntKey(NO_KEY));
    let network = NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key };
    let keys = SessionKeys { network, app_s_key: AppSKey(NO_KEY) };
    let kind = line.number::<u8>("a_block_type")?;
    let mut context = Context::default();
    if kind == 0 {
        context.fopts_cipher = FOptsCipher::Literal;
    }
    let clear = line.bytes()?;
    let data = Data { fopts: &clear, fport: (kind == 2).then_some(1), ..addressed(line)? };
    let mut buf = [0; 255];
    let frame = data.build_with(&keys, &context, &mut buf)?;
    Ok(json!({ "cipher_hex": hex(DataFrame::parse(frame)?.fopts) }))
}

fn addressed(line: &Line<'_>) -> Result<Data<'static>, Problem> {
    let (addr, fcnt) = (line.parse("dev_addr")?, line.number("fcnt32")?);
    Ok(if line.flag("uplink") { Data::up(addr, fcnt) } else { Data::down(addr, fcnt) })
}

pub(crate) fn fcnt_up_reconstruct(line: &Line<'_>) -> Answer {
    let next = line.number("next_expected_fcnt32")?;
    Ok(json!({ "fcnt32": fcnt::reconstruct_uplink(next, line.number("wire_fcnt16")?)? }))
}

pub(crate) fn fcnt_down_accept(line: &Line<'_>) -> Answer {
    let optional = |name| -> Result<Option<u32>, Problem> {
        if line.input(name).is_null() { Ok(None) } else { line.number(name).map(Some) }
    };
    let accepted = fcnt::accept_downlink(
        optional("last_fcnt32")?,
        line.number("wire_fcnt16")?,
        optional("max_fcnt_gap")?,
    );
    Ok(json!({ "accepted": accepted.is_ok(), "fcnt32": accepted.ok() }))
}

pub(crate) fn net_id(line: &Line<'_>) -> Answer {
    let net_id: NetId = line.parse("net_id")?;
    Ok(json!({
        "type": net_id.net_id_type(),
        "id": net_id.id(),
        "wire_hex": hex(&net_id.to_wire()),
    }))
}

pub(crate) fn dev_addr(line: &Line<'_>) -> Answer {
    let addr: DevAddr = line.parse("dev_addr")?;
    Ok(json!({
        "net_id_type": addr.net_id_type(),
        "nwk_id": addr.nwk_id(),
        "wire_hex": hex(&addr.to_wire()),
    }))
}

pub(crate) fn dev_addr_prefix(line: &Line<'_>) -> Answer {
    let prefix = line.parse::<NetId>("net_id")?.dev_addr_prefix();
    let mut answer = json!({ "prefix": prefix.first().to_string(), "prefix_len": prefix.length() });
    if !line.input("set_prefix_on").is_null() {
        answer["dev_addr"] = prefix.apply(line.parse("set_prefix_on")?).to_string().into();
    }
    if !line.input("dev_addr").is_null() {
        answer["contains"] = prefix.contains(line.parse("dev_addr")?).into();
    }
    Ok(answer)
}

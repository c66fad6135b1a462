//! A second opinion on LoRaWAN: frames that we build, read by lora-packet and by tshark.

use std::fs;

use lorawan_frame::{
    AppKey, AppSKey, CfList, Context, Data, DevAddr, Direction, DlSettings, FCtrl, FNwkSIntKey,
    JoinAccept, JoinNonce, JoinRequest, NetId, NetworkKeys, NwkSEncKey, NwkSKey, SNwkSIntKey,
    SessionKeys,
};
use serde_json::{Value, json};

use crate::support::{peer, program};

const F: [u8; 16] = [0x11; 16];
const S: [u8; 16] = [0x22; 16];
const ENC: [u8; 16] = [0x33; 16];
const APP: [u8; 16] = [0x44; 16];
const ROOT: [u8; 16] = [0x55; 16];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys(v1_1: bool) -> SessionKeys {
    let network = if v1_1 {
        NetworkKeys::V1_1 {
            f_nwk_s_int_key: FNwkSIntKey::new(F),
            s_nwk_s_int_key: SNwkSIntKey::new(S),
            nwk_s_enc_key: NwkSEncKey::new(ENC),
        }
    } else {
        NetworkKeys::V1_0(NwkSKey::new(F))
    };
    SessionKeys { network, app_s_key: AppSKey::new(APP) }
}

/// A small generator, the same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.below(256) as u8).collect()
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// What a frame holds, and the frame.
struct Sample {
    v1_1: bool,
    context: Context,
    up: bool,
    confirmed: bool,
    fctrl: FCtrl,
    fcnt: u32,
    dev_addr: DevAddr,
    fopts: Vec<u8>,
    fport: Option<u8>,
    payload: Vec<u8>,
    phy: Vec<u8>,
}

fn samples(count: usize, versions: &[bool]) -> Vec<Sample> {
    let mut n = Numbers(7);
    (0..count)
        .map(|i| {
            let v1_1 = versions[i % versions.len()];
            let up = n.flag();
            let fport = match n.below(4) {
                0 => None,
                1 => Some(0),
                _ => Some(1 + n.below(223) as u8),
            };
            let ack = n.flag();
            let mut sample = Sample {
                v1_1,
                // lora-packet counts the acknowledged frame on FPort 0 without ACK too.
                context: Context {
                    conf_fcnt: if ack { n.below(65536) as u16 } else { 0 },
                    tx_dr: n.below(6) as u8,
                    tx_ch: n.below(8) as u8,
                    ..Context::default()
                },
                up,
                confirmed: n.flag(),
                fctrl: FCtrl { adr: n.flag(), ack, ..FCtrl::default() },
                fcnt: n.below(1 << 31) as u32,
                dev_addr: DevAddr::new(n.below(1 << 31) as u32),
                fopts: if fport == Some(0) { vec![] } else { n.bytes(16) },
                fport,
                payload: if fport.is_some() { n.bytes(223) } else { vec![] },
                phy: vec![],
            };
            let data = Data {
                direction: if up { Direction::Up } else { Direction::Down },
                confirmed: sample.confirmed,
                fctrl: sample.fctrl,
                fopts: &sample.fopts,
                fport,
                frm_payload: &sample.payload,
                ..Data::up(sample.dev_addr, sample.fcnt)
            };
            let mut buf = [0; 255];
            let built = data.build_with(&keys(v1_1), &sample.context, &mut buf);
            sample.phy = built.unwrap().to_vec();
            sample
        })
        .collect()
}

fn ask(questions: &[Value]) -> Option<Vec<Value>> {
    let mut node = peer("npm:lora-packet")?;
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/lora_packet.js"));
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let output = program::complete(node, &lines);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    Some(answers)
}

#[test]
fn lora_packet_reads_the_data_frames_of_both_versions_that_we_build() {
    let samples = samples(400, &[false, true]);
    let questions: Vec<_> = samples
        .iter()
        .map(|s| {
            // Up: big-endian counter, data rate, channel. Down: the counter as it is signed.
            let conf = s.context.conf_fcnt;
            let conf = if s.up {
                [&conf.to_be_bytes()[..], &[s.context.tx_dr, s.context.tx_ch]].concat()
            } else {
                conf.to_le_bytes().to_vec()
            };
            json!({
                "phy": hex(&s.phy),
                "version": if s.v1_1 { "1.1" } else { "1.0" },
                "fcnt_high": hex(&s.fcnt.to_le_bytes()[2..]),
                "conf_fcnt": hex(&conf),
                "f_nwk_s_int_key": hex(&F),
                "s_nwk_s_int_key": hex(&S),
                "nwk_s_enc_key": hex(&ENC),
                "app_s_key": hex(&APP),
            })
        })
        .collect();
    let Some(answers) = ask(&questions) else { return };
    for (s, answer) in samples.iter().zip(answers) {
        let kind = if s.confirmed { "Confirmed" } else { "Unconfirmed" };
        let way = if s.up { "Up" } else { "Down" };
        let expected = json!({
            "mtype": format!("{kind} Data {way}"),
            "dev_addr": s.dev_addr.to_string(),
            "fcnt16": s.fcnt as u16,
            "fport": s.fport,
            "adr": s.fctrl.adr,
            "ack": s.fctrl.ack,
            "fopts": hex(&s.fopts),
            "mic_valid": true,
            "payload": hex(&s.payload),
        });
        assert_eq!(answer, expected, "{}", hex(&s.phy));
    }
}

#[test]
fn lora_packet_reads_the_joins_that_we_build_and_derives_the_same_keys() {
    let app_key = AppKey::new(ROOT);
    let mut n = Numbers(3);
    let (mut questions, mut expected) = (vec![], vec![]);
    for i in 0..50 {
        let request = JoinRequest {
            join_eui: n.below(u64::MAX).into(),
            dev_eui: n.below(u64::MAX).into(),
            dev_nonce: n.below(65536) as u16,
        };
        let mut buf = [0; 33];
        let phy = hex(request.build_into(&app_key, &mut buf).unwrap());
        questions.push(json!({ "phy": phy, "app_key": hex(&ROOT) }));
        expected.push(json!({
            "join_eui": request.join_eui.to_string(),
            "dev_eui": request.dev_eui.to_string(),
            "dev_nonce": format!("{:04x}", request.dev_nonce),
            "mic_valid": true,
        }));

        let list = CfList::from_channel_masks([n.below(65536) as u16; 6]);
        let accept = JoinAccept {
            join_nonce: JoinNonce::new(n.below(1 << 24) as u32).unwrap(),
            net_id: NetId::new(n.below(1 << 24) as u32).unwrap(),
            dev_addr: DevAddr::new(n.below(1 << 31) as u32),
            dl_settings: DlSettings { opt_neg: false, rx1_dr_offset: 3, rx2_dr: 9 },
            rx_delay: 5,
            cf_list: (i % 2 == 0).then_some(list),
        };
        let phy = hex(accept.build_into(&app_key, &mut buf).unwrap());
        let nonce = format!("{:04x}", request.dev_nonce);
        questions.push(json!({ "phy": phy, "app_key": hex(&ROOT), "dev_nonce": nonce }));
        let session =
            app_key.session_v1_0(accept.join_nonce, accept.net_id, request.dev_nonce).unwrap();
        let NetworkKeys::V1_0(nwk_s_key) = session.network else { panic!("a 1.0 session") };
        expected.push(json!({
            "join_nonce": accept.join_nonce.to_string(),
            "net_id": accept.net_id.to_string(),
            "dev_addr": accept.dev_addr.to_string(),
            "mic_valid": true,
            "nwk_s_key": hex(nwk_s_key.0.expose()),
            "app_s_key": hex(session.app_s_key.0.expose()),
        }));
    }
    let Some(answers) = ask(&questions) else { return };
    for ((question, answer), expected) in questions.iter().zip(answers).zip(expected) {
        assert_eq!(answer, expected, "{question}");
    }
}

/// A capture file of frames under LoRaTap headers (link type 270).
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 270] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        // Version, padding, length; frequency, bandwidth, SF7; levels; sync word of LoRaWAN.
        let mut packet = vec![0, 0, 0, 15];
        packet.extend(868_100_000_u32.to_be_bytes());
        packet.extend([1, 7, 100, 0, 0, 40, 0x34]);
        packet.extend(frame);
        for word in [0, 0, packet.len() as u32, packet.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// Wireshark 4.0 knows LoRaWAN 1.0 and 16-bit counters.
#[test]
fn tshark_reads_the_1_0_frames_that_we_build() {
    let Some(mut tshark) = peer("tshark") else { return };
    let dev_addr = DevAddr::new(0x2601_1bda);
    let mut n = Numbers(5);
    let mut frames = vec![];
    let mut expected = vec![];
    for i in 0..100 {
        let up = n.flag();
        let fcnt = n.below(65536) as u32;
        let payload = [&[i], &n.bytes(200)[..]].concat();
        let mut data = if up { Data::up(dev_addr, fcnt) } else { Data::down(dev_addr, fcnt) };
        let fport = 1 + n.below(223) as u8;
        (data.confirmed, data.fctrl.adr) = (n.flag(), n.flag());
        (data.fport, data.frm_payload) = (Some(fport), &payload);
        let mut buf = [0; 255];
        frames.push(data.build_into(&keys(false), &mut buf).unwrap().to_vec());
        // DevAddr, FCnt, FPort, ADR, state of the MIC (1 is right), payload.
        let adr = u8::from(data.fctrl.adr);
        let clear = hex(&payload);
        expected.push(format!("0x{:08x}|{fcnt}|0x{fport:02x}|{adr}|1|{clear}", dev_addr.value()));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    fs::write(&file, capture(&frames)).unwrap();
    let keys = format!(
        "uat:encryption_keys_lorawan:\"{}\",\"{}\",\"{}\",\"0000000000000000\"",
        hex(&dev_addr.to_wire()),
        hex(&F),
        hex(&APP),
    );
    tshark.arg("-r").arg(&file).args(["-o", &keys, "-T", "fields", "-E", "separator=|"]);
    for field in ["fhdr.devaddr", "fhdr.fcnt", "fport", "fhdr.fctrl.adr", "mic.status"] {
        tshark.args(["-e", &format!("lorawan.{field}")]);
    }
    tshark.args(["-e", "lorawan.frmpayload_decrypted"]);
    let output = program::complete(tshark, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), expected.len());
    for (found, expected) in text.lines().zip(&expected) {
        assert_eq!(found, expected);
    }
}

//! Whatever can be built is read back as it was, and whatever can be read never panics.

use lorawan_frame::{
    AppKey, AppSKey, CfList, Context, Data, DataFrame, DevAddr, DevEui, Direction, DlSettings,
    FCtrl, FNwkSIntKey, FOptsCipher, ForwardUplinkReq, Frequency, JoinAccept, JoinContext, JoinEui,
    JoinNonce, JoinReqType, JoinRequest, JsEncKey, JsIntKey, MacCommands, NetId, NetworkKeys,
    NwkKey, NwkSEncKey, NwkSKey, PhyPayload, Rejoin, SNwkSIntKey, SessionKeys, Wor, WorRssi,
    WorSnr, open_in_place,
};
use proptest::prelude::*;

prop_compose! {
    fn session_keys()(a: [u8; 16], b: [u8; 16], c: [u8; 16], d: [u8; 16], v1_1: bool)
        -> SessionKeys
    {
        let network = if v1_1 {
            NetworkKeys::V1_1 {
                f_nwk_s_int_key: FNwkSIntKey::new(a),
                s_nwk_s_int_key: SNwkSIntKey::new(b),
                nwk_s_enc_key: NwkSEncKey::new(c),
            }
        } else {
            NetworkKeys::V1_0(NwkSKey::new(a))
        };
        SessionKeys { network, app_s_key: AppSKey::new(d) }
    }
}

prop_compose! {
    fn context()(conf_fcnt: u16, tx_dr: u8, tx_ch: u8, literal: bool) -> Context {
        let fopts_cipher = if literal { FOptsCipher::Literal } else { FOptsCipher::Errata };
        Context { conf_fcnt, tx_dr, tx_ch, fopts_cipher }
    }
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=max)
}

proptest! {
    #[test]
    fn data_frames_open_to_what_was_built(
        (keys, context) in (session_keys(), context()),
        (up, confirmed, adr, ack, bit6, bit4) in any::<(bool, bool, bool, bool, bool, bool)>(),
        (addr, fcnt) in any::<(u32, u32)>(),
        fopts in bytes(15),
        (fport, payload) in (any::<Option<u8>>(), bytes(227)),
    ) {
        // FPort 0 and FOpts exclude each other; no port, no payload.
        let fopts = if fport == Some(0) { vec![] } else { fopts };
        let data = Data {
            confirmed,
            fctrl: FCtrl {
                adr,
                ack,
                adr_ack_req: up && bit6,
                class_b: up && bit4,
                f_pending: !up && bit4,
            },
            fopts: &fopts,
            fport,
            frm_payload: if fport.is_some() { &payload } else { &[] },
            direction: if up { Direction::Up } else { Direction::Down },
            ..Data::up(DevAddr::new(addr), fcnt)
        };
        let mut buf = [0; 255];
        let built = data.build_with(&keys, &context, &mut buf).unwrap().to_vec();
        prop_assert_eq!(built.len(), data.phy_len());

        let frame = DataFrame::parse(&built).unwrap();
        let mut clear = [0; 255];
        prop_assert_eq!(frame.open_with(&keys, fcnt, &context, &mut clear), Ok(data));
        let mut in_place = built.clone();
        prop_assert_eq!(open_in_place(&mut in_place, &keys, fcnt, &context), Ok(data));
        // A network server sends on what an application server encrypted.
        let sealed = Data { frm_payload: frame.frm_payload, ..data };
        if !matches!(fport, Some(0 | 226)) {
            let again = sealed.build_sealed(&keys.network, &context, &mut buf).unwrap();
            prop_assert_eq!(again, &built[..]);
        }
        // One byte less room is refused, and so is every shorter frame or another counter.
        prop_assert!(data.build_with(&keys, &context, &mut buf[..built.len() - 1]).is_err());
        prop_assert!(frame.open_with(&keys, fcnt ^ 0x1_0000, &context, &mut clear).is_err());
    }

    #[test]
    fn joins_open_to_what_was_built(
        (key, int_key, enc_key) in any::<([u8; 16], [u8; 16], [u8; 16])>(),
        (join_eui, dev_eui, nonce) in any::<(u64, u64, u16)>(),
        (join_nonce, net_id, addr) in (0..1u32 << 24, 0..1u32 << 24, any::<u32>()),
        (rx1_dr_offset, rx2_dr, rx_delay, list) in (0..8u8, 0..16u8, 0..16u8, any::<Option<[u8; 16]>>()),
        kind in 0..4usize,
    ) {
        let (app_key, nwk_key) = (AppKey::new(key), NwkKey::new(key));
        let join_eui = JoinEui::new(join_eui);
        let request = JoinRequest { join_eui, dev_eui: DevEui::new(dev_eui), dev_nonce: nonce };
        let mut buf = [0; 33];
        let built = request.build_into(&app_key, &mut buf).unwrap();
        let Ok(PhyPayload::JoinRequest(received)) = PhyPayload::parse(built) else { panic!() };
        prop_assert_eq!(received.content, request);
        prop_assert_eq!(received.verify(&nwk_key), Ok(()));

        let mut accept = JoinAccept {
            join_nonce: JoinNonce::new(join_nonce).unwrap(),
            net_id: NetId::new(net_id).unwrap(),
            dev_addr: DevAddr::new(addr),
            dl_settings: DlSettings { opt_neg: false, rx1_dr_offset, rx2_dr },
            rx_delay,
            cf_list: list.map(CfList::from_wire),
        };
        let built = accept.build_into(&app_key, &mut buf).unwrap();
        let Ok(PhyPayload::JoinAccept(received)) = PhyPayload::parse(built) else { panic!() };
        prop_assert_eq!(received.open(&nwk_key), Ok(accept));

        accept.dl_settings.opt_neg = true;
        let (int_key, enc_key) = (JsIntKey::new(int_key), JsEncKey::new(enc_key));
        let all = [
            JoinReqType::Join,
            JoinReqType::Rejoin0,
            JoinReqType::Rejoin1,
            JoinReqType::Rejoin2,
        ];
        let request = all[kind];
        let context = JoinContext { request, join_eui, nonce };
        let decrypted = if request == JoinReqType::Join {
            let built = accept.build_v1_1(&int_key, &nwk_key, &context, &mut buf).unwrap();
            let Ok(PhyPayload::JoinAccept(received)) = PhyPayload::parse(built) else { panic!() };
            received.decrypt(&nwk_key).unwrap()
        } else {
            let built = accept.build_for_rejoin(&int_key, &enc_key, &context, &mut buf).unwrap();
            let Ok(PhyPayload::JoinAccept(received)) = PhyPayload::parse(built) else { panic!() };
            received.decrypt_rejoin(&enc_key).unwrap()
        };
        prop_assert!(decrypted.opt_neg());
        prop_assert_eq!(decrypted.verify_v1_1(&int_key, &context), Ok(accept));
        let other = JoinContext { nonce: !nonce, ..context };
        prop_assert!(decrypted.verify_v1_1(&int_key, &other).is_err());
    }

    #[test]
    fn rejoins_open_to_what_was_built(
        key in any::<[u8; 16]>(),
        (keep_radio, rj_count, net_id) in (any::<bool>(), any::<u16>(), 0..1u32 << 24),
        (join_eui, dev_eui) in any::<(u64, u64)>(),
    ) {
        let dev_eui = DevEui::new(dev_eui);
        let mut buf = [0; 24];
        let network =
            Rejoin::Network { keep_radio, net_id: NetId::new(net_id).unwrap(), dev_eui, rj_count };
        let key_0_2 = SNwkSIntKey::new(key);
        let received = Rejoin::parse(network.build_into(&key_0_2, &mut buf).unwrap()).unwrap();
        prop_assert_eq!(received.content, network);
        prop_assert_eq!(received.verify(&key_0_2), Ok(()));

        let server = Rejoin::JoinServer { join_eui: JoinEui::new(join_eui), dev_eui, rj_count };
        let key_1 = JsIntKey::new(key);
        let received = Rejoin::parse(server.build_type1(&key_1, &mut buf).unwrap()).unwrap();
        prop_assert_eq!(received.content, server);
        prop_assert_eq!(received.verify_type1(&key_1), Ok(()));
        prop_assert!(received.verify(&key_0_2).is_err());
    }

    #[test]
    fn mac_command_lists_read_and_written_again_read_the_same(
        up in any::<bool>(),
        list in bytes(60),
    ) {
        let direction = if up { Direction::Up } else { Direction::Down };
        let mut commands = MacCommands::new(direction, &list);
        let read: Vec<_> = commands.by_ref().map_while(Result::ok).collect();
        let mut written = Vec::new();
        for command in &read {
            let mut buf = [0; 64];
            written.extend_from_slice(command.build_into(&mut buf).unwrap());
        }
        prop_assert_eq!(written.len() + commands.rest().len(), list.len());
        let again: Vec<_> =
            MacCommands::new(direction, &written).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(again, read);
    }

    #[test]
    fn forwarded_uplinks_read_as_written(
        (wor_channel, dr, rssi, snr) in (0..4u8, 0..16u8, any::<i16>(), any::<i8>()),
        freq in 0..1u32 << 24,
        phy_payload in bytes(249),
    ) {
        let forward = ForwardUplinkReq {
            wor_channel,
            rssi: WorRssi::from_dbm(rssi),
            snr: WorSnr::from_db(snr),
            dr,
            freq: Frequency::new(freq).unwrap(),
            phy_payload: &phy_payload,
        };
        let mut buf = [0; 255];
        let built = forward.build_into(&mut buf).unwrap();
        prop_assert_eq!(ForwardUplinkReq::parse(built), Ok(forward));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(received in bytes(260)) {
        let _ = PhyPayload::parse(&received);
        let _ = DataFrame::parse(&received);
        let _ = Rejoin::parse(&received);
        let _ = JoinAccept::parse_body(&received);
        let _ = Wor::parse(&received);
        let _ = ForwardUplinkReq::parse(&received);
    }

    #[test]
    fn identifiers_read_as_they_print(addr: u32, eui: u64) {
        let (addr, eui) = (DevAddr::new(addr), DevEui::new(eui));
        prop_assert_eq!(addr.to_string().parse(), Ok(addr));
        prop_assert_eq!(eui.to_string().parse(), Ok(eui));
        prop_assert_eq!(DevEui::from_wire(eui.to_wire()), eui);
        let mut wire = eui.to_wire();
        wire.reverse();
        let with_dashes = wire.map(|byte| format!("{byte:02X}")).join("-");
        prop_assert_eq!(with_dashes.parse(), Ok(eui));
    }
}

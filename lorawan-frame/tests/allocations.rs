//! Nothing here touches the heap.

use lorawan_frame::package::Version;
use lorawan_frame::package::fragmentation::{Decoder, Parity, Progress};
use lorawan_frame::region::{ChannelMask, Region, Revision};
use lorawan_frame::{
    AppKey, AppSKey, BatchFrame, Context, Data, DataFrame, DevAddr, Direction, DlSettings,
    FNwkSIntKey, JoinAccept, JoinNonce, JoinRequest, MacCommand, MacCommandList, MacCommands,
    NetId, NetworkKeys, NwkSEncKey, PhyPayload, SNwkSIntKey, SessionKeys, airtime, class_b, fcnt,
    verify_batch,
};

#[test]
fn a_join_and_an_uplink_with_mac_commands_allocate_nothing() {
    let allocations = allocation_counter::measure(session);
    assert_eq!(allocations.count_total, 0);
    let counted = allocation_counter::measure(|| drop(core::hint::black_box(vec![1u8])));
    assert_eq!(counted.count_total, 1, "the counter counts");
}

fn session() {
    let app_key = AppKey::new([7; 16]);
    let request = JoinRequest { join_eui: 1.into(), dev_eui: 2.into(), dev_nonce: 3 };
    let (mut uplink, mut downlink, mut clear) = ([0; 255], [0; 255], [0; 255]);
    let on_air = request.build_into(&app_key, &mut uplink).unwrap();
    let Ok(PhyPayload::JoinRequest(received)) = PhyPayload::parse(on_air) else { panic!() };
    received.verify(&app_key).unwrap();

    let accept = JoinAccept {
        join_nonce: JoinNonce::new(1).unwrap(),
        net_id: NetId::new(2).unwrap(),
        dev_addr: DevAddr::new(3),
        dl_settings: DlSettings::default(),
        rx_delay: 1,
        cf_list: None,
    };
    let on_air = accept.build_into(&app_key.expand_server(), &mut downlink).unwrap();
    let Ok(PhyPayload::JoinAccept(received)) = PhyPayload::parse(on_air) else { panic!() };
    let accept = received.open(&app_key).unwrap();
    let keys = app_key.session_v1_0(accept.join_nonce, accept.net_id, 3).unwrap().expand();

    let mut fopts = [0; 15];
    let mut list = MacCommandList::new(&mut fopts);
    list.push(&MacCommand::LinkCheckReq).unwrap();
    let data = Data {
        fopts: list.into_bytes(),
        fport: Some(1),
        frm_payload: &[0x5a; 200],
        ..Data::up(accept.dev_addr, 0)
    };
    let on_air = data.build_into(&keys, &mut uplink).unwrap();
    let Ok(PhyPayload::Data(frame)) = PhyPayload::parse(on_air) else { panic!() };
    let counter = fcnt::reconstruct_uplink(0, frame.fcnt).unwrap();
    let opened = frame.open(&keys, counter, &mut clear).unwrap();
    let commands = MacCommands::new(Direction::Up, opened.fopts).count();

    assert_eq!((commands, opened), (1, data));
}

#[test]
fn a_batch_of_1_1_frames_a_block_in_fragments_and_look_ups_allocate_nothing() {
    let network = NetworkKeys::V1_1 {
        f_nwk_s_int_key: FNwkSIntKey::new([1; 16]),
        s_nwk_s_int_key: SNwkSIntKey::new([2; 16]),
        nwk_s_enc_key: NwkSEncKey::new([3; 16]),
    };
    let keys = SessionKeys { network, app_s_key: AppSKey::new([4; 16]) };
    let parity = Parity::new(Version::V2, 4, 3).unwrap();
    let allocations = allocation_counter::measure(|| {
        let keys = keys.expand();
        let context = Context { conf_fcnt: 1, tx_dr: 2, tx_ch: 3, ..Context::default() };
        let data = Data {
            fopts: &[2],
            fport: Some(9),
            frm_payload: &[7; 180],
            ..Data::up(DevAddr::new(5), 70_000)
        };
        let mut on_air = [0; 255];
        let mut clear = [0; 255];
        let built: &[u8] = data.build_with(&keys, &context, &mut on_air).unwrap();
        let frame = DataFrame::parse(built).unwrap();
        assert_eq!(frame.open_with(&keys, 70_000, &context, &mut clear), Ok(data));
        let item = BatchFrame { frame, keys: &keys.network, fcnt: 70_000, context };
        let mut right = 0;
        verify_batch(&[item; 5], |_, verdict| right += u32::from(verdict.is_ok()));
        assert_eq!(right, 5);

        let (mut block, mut scratch, mut fragment) = ([0; 12], [0; 64], [0; 3]);
        let mut decoder = Decoder::new(parity, 4, &mut block, &mut scratch).unwrap();
        for n in 2..40 {
            assert!(parity.fragment(b"twelve bytes", n, &mut fragment));
            if decoder.receive(n, &fragment) == Ok(Progress::Complete) {
                break;
            }
        }
        assert_eq!(decoder.block(), Some(&b"twelve bytes"[..]));

        for &region in Region::ALL {
            let plan = region.plan(Revision::default());
            let mask = plan.default_channel_mask();
            assert!(plan.masks.requests(ChannelMask::EMPTY, mask).len() <= 8);
            assert!(plan.join_channels().all(|join| plan.band(join.uplink_hz).is_some()));
            let on_air = plan.data_rate(plan.rx2_data_rate, Direction::Down).unwrap();
            assert!(airtime::time_on_air(on_air, 20, Direction::Down).as_micros() > 0);
            assert!(class_b::ping_slot_frequency(plan, DevAddr::new(5), 128, 0) > 0);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

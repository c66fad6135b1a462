//! Nothing here touches the heap.

use lorawan_frame::{
    AppKey, Data, DevAddr, Direction, DlSettings, JoinAccept, JoinNonce, JoinRequest, MacCommand,
    MacCommandList, MacCommands, NetId, PhyPayload, fcnt,
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

//! Packets written by other rules than they were read by: another version, side, policy or limit.
//! What is written is read by those rules, and written again as the same bytes; so it is in one walk, and
//! with a list of properties in place of those that were received.
#![no_main]

use libfuzzer_sys::fuzz_target;
use motewire_fuzz::mqtt::rules;
use mqtt_codec::{Packet, Properties, Property, Rules, Sender, Version};

fuzz_target!(|data: &[u8]| {
    let Some((choices, data)) = data.split_first_chunk::<4>() else { return };
    let versions = [Version::V311, Version::V5, Version::V31, Version::V5];
    let from = Rules::new(versions[usize::from(choices[0] & 3)], Sender::Either);
    let to = rules(versions[usize::from(choices[1] & 3)], [choices[2], choices[3]]);
    let Ok(Some(packet)) = from.decode(&mut &*data) else { return };
    let mut first = Vec::new();
    let len = to.encode_to_vec(&packet, &mut first);
    with_lists(packet, |listed| {
        for packet in [packet, listed] {
            let mut room = vec![0xAA; first.len() + 300];
            assert_eq!(to.encode(&packet, &mut room), len);
            assert!(room.starts_with(&first));
            let mut tight = vec![0xAA; first.len()];
            assert!(len.is_err() || to.encode(&packet, &mut tight) == len && tight == first);
        }
    });
    if len.is_err() {
        assert!(first.is_empty());
        return;
    }
    assert!(first.len() <= to.max_packet_size as usize);
    let read = to.decode(&mut &first[..]).expect("what is written is good").expect("and whole");
    let mut again = Vec::new();
    to.encode_to_vec(&read, &mut again).expect("what is read can be written");
    assert_eq!(first, again);
});

/// Hands on the packet with its properties as lists.
fn with_lists(packet: Packet<'_>, f: impl FnOnce(Packet<'_>)) {
    let (mut own, mut wills) = (Vec::new(), Vec::new());
    let mut packet = packet;
    let properties = match &mut packet {
        Packet::Connect(p) => {
            if let Some(will) = &mut p.will {
                will.properties = listed(will.properties, &mut wills);
            }
            &mut p.properties
        }
        Packet::ConnAck(p) => &mut p.properties,
        Packet::Publish(p) => &mut p.properties,
        Packet::PubAck(p) | Packet::PubRec(p) | Packet::PubRel(p) | Packet::PubComp(p) => {
            &mut p.properties
        }
        Packet::Subscribe(p) => &mut p.properties,
        Packet::SubAck(p) => &mut p.properties,
        Packet::Unsubscribe(p) => &mut p.properties,
        Packet::UnsubAck(p) => &mut p.properties,
        Packet::PingReq | Packet::PingResp => return,
        Packet::Disconnect(p) => &mut p.properties,
        Packet::Auth(p) => &mut p.properties,
    };
    *properties = listed(*properties, &mut own);
    f(packet);
}

fn listed<'l>(properties: Properties<'l>, list: &'l mut Vec<Property<'l>>) -> Properties<'l> {
    list.extend(properties.iter());
    Properties::from(list.as_slice())
}

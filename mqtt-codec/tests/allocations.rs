//! Neither decoding nor encoding takes memory from the heap, for packets of every kind.

mod common;

use common::{DEV, bytes, lines, rules, sender};
use mqtt_codec::{Packet, PacketType, TopicFilter, TopicName, sn};

/// The number of allocations of this thread while `f` runs, and what it returns.
fn allocations<T>(f: impl FnOnce() -> T) -> (u64, T) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(f()));
    (counted.count_total, result.unwrap())
}

/// Looks at everything that a packet gives access to.
fn look_at(packet: &Packet<'_>) -> usize {
    let properties = match packet {
        Packet::Connect(connect) => connect.properties,
        Packet::Publish(publish) => publish.properties,
        Packet::Subscribe(subscribe) => {
            return subscribe.subscriptions.iter().map(|s| s.filter.as_str().len()).sum();
        }
        Packet::Unsubscribe(unsubscribe) => {
            return unsubscribe.filters.iter().map(|f| f.as_str().len()).sum();
        }
        Packet::SubAck(ack) => return ack.reasons.len(),
        Packet::UnsubAck(ack) => return ack.reasons.len(),
        Packet::ConnAck(connack) => connack.properties,
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties
        }
        Packet::Disconnect(disconnect) => disconnect.properties,
        Packet::Auth(auth) => auth.properties,
        Packet::PingReq | Packet::PingResp => return 0,
    };
    properties.iter().count() + properties.user_properties().count()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| vec![1_u8; 10]).0, 1);
}

#[test]
fn decoding_and_encoding_any_packet_allocates_nothing() {
    let mut seen = std::collections::HashSet::new();
    let mut seen_sn = std::collections::HashSet::new();
    let mut out = vec![0; 2048];
    for vector in lines(DEV) {
        let bytes = bytes(&vector);
        let (count, kind) = match rules(&vector) {
            Some(rules) => allocations(|| {
                let packet = rules.decode(&mut &bytes[..]).ok()??;
                look_at(&packet);
                rules.encode(&packet, &mut out).ok()?;
                Some((rules.version, packet.packet_type()))
            }),
            None => {
                let rules = sn::Rules::new(sender(&vector));
                let (count, kind) = allocations(|| {
                    let datagram = rules.decode(&bytes).ok()?;
                    rules.encode(&datagram, &mut out).ok()?;
                    Some(datagram.message.msg_type())
                });
                seen_sn.extend(kind);
                (count, None)
            }
        };
        assert_eq!(count, 0, "{vector}");
        seen.extend(kind);
    }
    let all = PacketType::ALL.len();
    assert_eq!(seen.len(), all + all - 1, "every kind in both versions, AUTH in one: {seen:?}");
    assert!(seen_sn.len() >= 26, "{seen_sn:?}");
}

#[test]
fn showing_a_tree_and_matching_topics_allocates_nothing() {
    use core::fmt::Write;
    struct Nowhere;
    impl Write for Nowhere {
        fn write_str(&mut self, _: &str) -> core::fmt::Result {
            Ok(())
        }
    }
    for vector in lines(DEV) {
        let bytes = bytes(&vector);
        let (count, shown) = match rules(&vector) {
            Some(rules) => allocations(|| write!(Nowhere, "{}", rules.tree(&bytes))),
            None => {
                let rules = sn::Rules::new(sender(&vector));
                allocations(|| write!(Nowhere, "{}", rules.tree(&bytes)))
            }
        };
        assert_eq!((count, shown), (0, Ok(())), "{vector}");
    }
    let (count, matches) = allocations(|| {
        TopicFilter::new("a/+/#").unwrap().matches(TopicName::new("a/b/c/d").unwrap())
    });
    assert_eq!((count, matches), (0, true));
}

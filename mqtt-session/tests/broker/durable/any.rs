//! Whatever happens to a broker, its changes add up to what it holds, and so does the broker that is
//! built from them.

use mqtt_codec::{
    Ack, Connect, Disconnect, Packet, PacketId, Property, Publish, QoS, ReasonCode, Subscription,
    TopicName, Version, Will,
};
use mqtt_session::broker::Overflow;

use super::{Disk, crash, durable};
use crate::harness::{BOTH, Client, EVERY_QOS, Net, Random, message, subscription};

const FILTERS: [&str; 6] = ["a/b", "a/+", "#", "r/#", "$share/g/a/b", "$share/g/r/#"];
const TOPICS: [&str; 4] = ["a/b", "a/c", "r/1", "r/2"];

fn connect(net: &mut Net, random: &mut Random) -> Client {
    let version = BOTH[random.next(2)];
    let is_v5 = version == Version::V5;
    let delay = [Property::WillDelayInterval(5)];
    let will = Will {
        qos: EVERY_QOS[random.next(3)],
        retain: random.next(2) == 0,
        properties: if is_v5 { delay[..].into() } else { [][..].into() },
        ..Will::new(TopicName::new(TOPICS[random.next(4)]).unwrap(), b"will")
    };
    let list = [Property::SessionExpiryInterval([0, 20, 1000, u32::MAX][random.next(4)])];
    let name = random.next(4).to_string();
    net.connect(&Connect {
        clean_start: random.next(4) == 0,
        keep_alive: 0,
        user_name: [None, Some("user".into())][random.next(2)],
        will: [None, Some(will)][random.next(2)],
        properties: if is_v5 { list[..].into() } else { [][..].into() },
        ..Connect::new(version, &name)
    })
    .0
}

/// The client answers some of what it has got, in any way that it may.
fn answer(net: &mut Net, random: &mut Random, client: Client) {
    for packet in net.packets(client) {
        if random.next(3) == 0 || net.is_closed(client) {
            continue;
        }
        match packet {
            Packet::Publish(publish) => {
                let refused = client.version == Version::V5 && random.next(8) == 0;
                let reason = [ReasonCode::Success, ReasonCode::QuotaExceeded][usize::from(refused)];
                net.acknowledge(client, &publish, reason);
            }
            Packet::PubRel(ack) => {
                net.send(client, &Packet::PubComp(Ack::new(ack.packet_id)));
            }
            Packet::PubRec(ack) if !ack.reason.is_failure() => {
                net.send(client, &Packet::PubRel(Ack::new(ack.packet_id)));
            }
            _ => {}
        }
    }
}

fn publish(net: &mut Net, random: &mut Random, client: Client) {
    let qos = EVERY_QOS[random.next(3)];
    let list = [Property::MessageExpiryInterval(1 + random.next(30) as u32)];
    let expires = client.version == Version::V5 && random.next(2) == 0;
    let id = PacketId::new(1 + random.next(4) as u16);
    let publish = Publish {
        qos,
        retain: random.next(3) == 0,
        packet_id: id.filter(|_| qos != QoS::AtMostOnce),
        properties: if expires { list[..].into() } else { [][..].into() },
        ..message(TOPICS[random.next(4)], ["", "x", "y"][random.next(3)])
    };
    net.send(client, &Packet::Publish(publish));
}

fn step(net: &mut Net, random: &mut Random, clients: &mut Vec<Client>) {
    clients.retain(|client| !net.is_closed(*client));
    if clients.is_empty() || random.next(12) == 0 {
        return clients.push(connect(net, random));
    }
    let client = clients[random.next(clients.len())];
    match random.next(12) {
        0 => {
            let no_local = client.version == Version::V5 && random.next(2) == 0;
            let filter = FILTERS[random.next(6)];
            let subscription = Subscription {
                no_local: no_local && !filter.starts_with('$'),
                retain_as_published: no_local,
                ..subscription(filter, EVERY_QOS[random.next(3)])
            };
            net.subscribe_to(client, &[subscription], &[]);
        }
        1 => drop(net.unsubscribe(client, &[FILTERS[random.next(6)]])),
        2 if random.next(3) == 0 => net.cut(client),
        3 if random.next(3) == 0 => {
            net.send(client, &Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        }
        4 => net.wait([0.5, 3.0, 15.0][random.next(3)]),
        5 => net.set_room(client, [0, 20, 100][random.next(3)]),
        6 => {
            net.set_room(client, usize::MAX);
            net.writable(client);
        }
        7..10 => publish(net, random, client),
        _ => answer(net, random, client),
    }
}

#[test]
fn what_is_stored_is_what_the_broker_holds_after_every_step() {
    let mut records = 0;
    for seed in 1..60_u64 {
        let mut random = Random(seed * 0x0234_5678_9ABC_DEF1);
        let mut config = durable();
        config.max_in_flight = 4;
        config.max_queued_messages = 6;
        config.overflow = [Overflow::DropNewest, Overflow::DropOldest][random.next(2)];
        let mut net = Net::of(mqtt_session::broker::Broker::new(config));
        let mut disk = Disk::default();
        let mut clients = Vec::new();
        for _ in 0..300 {
            step(&mut net, &mut random, &mut clients);
            disk.store(&mut net.broker);
            assert_eq!(disk, Disk::of(&net.broker), "seed {seed}");
            records += disk.0.len();
            if random.next(40) == 0 {
                crash(&mut net, &mut disk);
                clients.clear();
            }
        }
    }
    assert!(records > 100_000, "{records}");
}

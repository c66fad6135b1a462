//! Bridges of and to other brokers than those that the other tests are with.

use core::time::Duration;

use mqtt_client::{Message, QoS, Version};

use super::{Kind, PATIENCE, Station, joined, subscribe};
use crate::support::peer;

/// It asks to be known as a bridge first, by a protocol level that is none, and goes on without when that
/// is refused with the code of 3.1.1 [MQTT-3.1.2-2].
#[test]
fn a_bridge_of_mosquitto_carries_messages_to_and_from_us() {
    if peer("mosquitto").is_none() {
        return;
    }
    for version in ["mqttv31", "mqttv311", "mqttv50"] {
        let far = Station::new(Kind::Motewire, "");
        let more = format!(
            "connection up\naddress {}\nbridge_protocol_version {version}\nrestart_timeout 1\n\
             remote_clientid bridge\ntopic # out 2 out/ site/\ntopic # in 2 in/ to/\n",
            far.address
        );
        let near = Station::new(Kind::Mosquitto, &more);
        let (here, there) = (near.client("here", Version::V311), far.client("there", Version::V5));
        let mut to_there = subscribe(&there, "site/#");
        let mut to_here = subscribe(&here, "in/#");
        joined(&here, "out/join", &mut to_there);
        joined(&there, "to/join", &mut to_here);
        for n in 0..20 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2];
            here.send(Message::new("out/a", n.to_string(), qos)).expect("delivered");
            there.send(Message::new("to/a", n.to_string(), qos)).expect("delivered");
            for (to, topic) in [(&mut to_there, "site/a"), (&mut to_here, "in/a")] {
                let got = to.next_within(PATIENCE).expect("a message");
                assert_eq!((&*got.topic, got.qos), (topic, qos), "{version}");
                assert_eq!(got.text(), Some(&*n.to_string()), "{version}");
            }
        }
        assert!(to_there.next_within(Duration::from_millis(200)).is_none(), "{version}");
    }
}

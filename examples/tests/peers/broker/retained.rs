//! Messages kept for those who come later.

use core::net::SocketAddr;

use crate::support::paho::Paho;
use crate::support::{Version, mosquitto_cli};

/// 5.0 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-9], [MQTT-3.3.1-12];
/// [MQTT-3.3.1-6 of 3.1.1], [MQTT-3.3.1-8 of 3.1.1], [MQTT-3.3.1-9 of 3.1.1], [MQTT-3.3.1-10 of 3.1.1].
pub(crate) fn a_retained_message_is_for_late_subscribers_until_it_is_cleared(
    address: SocketAddr,
) -> Option<()> {
    for version in Version::BOTH {
        for qos in 0..=2 {
            let mut early = Paho::connected(address, version, "early")?;
            early.subscribe("kept/+", 2);
            let mut publisher = Paho::connected(address, version, "pub")?;
            publisher.publish("kept/a", "last value", qos, true);
            assert_eq!(early.message().told(), ("kept/a", "last value", qos, false));

            let mut late = Paho::connected(address, version, "late")?;
            late.subscribe("kept/+", 2);
            assert_eq!(late.message().told(), ("kept/a", "last value", qos, true));
            let cli = mosquitto_cli::Subscriber::start(address, version, "kept/a", 2, &[])?;
            assert_eq!(cli.message().told(), ("kept/a", "last value", qos, true));

            publisher.publish("kept/a", "", qos, true);
            assert_eq!(early.message().told(), ("kept/a", "", qos, false));
            let mut too_late = Paho::connected(address, version, "too-late")?;
            too_late.subscribe("kept/+", 2);
            publisher.publish("kept/a", "live", 1, false);
            assert_eq!(too_late.message().told(), ("kept/a", "live", 1, false));
        }
    }
    Some(())
}

/// 5.0 [MQTT-3.3.1-5], [MQTT-3.3.1-8]; [MQTT-3.3.1-5 of 3.1.1], [MQTT-3.3.1-12 of 3.1.1].
pub(crate) fn a_retained_message_is_replaced_by_the_next(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut publisher = Paho::connected(address, version, "pub")?;
        publisher.publish("kept", "first", 2, true);
        publisher.publish("kept", "second", 1, true);
        publisher.publish("kept", "not retained", 2, false);
        let mut late = Paho::connected(address, version, "late")?;
        late.subscribe("kept", 2);
        assert_eq!(late.message().told(), ("kept", "second", 1, true));
    }
    Some(())
}

//! The MQTT side: who publishes, who listens.

use core::net::SocketAddr;
use core::time::Duration;

use mqtt_client::{Client, Error, Message, Options, QoS, Subscription};
use serde_json::json;

use crate::network::Uplink;
use crate::residence::{Place, Reading};

/// How long to wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client with this name and nothing else.
pub(crate) async fn client(broker: SocketAddr, name: &str) -> Result<Client, Error> {
    mqtt_client::tokio::connect(options(broker, name)?).await
}

fn options(broker: SocketAddr, name: &str) -> Result<Options, Error> {
    let mut options = Options::from_url(&format!("mqtt://{broker}?version=5"))?;
    options.client_id = name.into();
    Ok(options)
}

/// A sensor's own connection: when it dies, the broker tells everybody.
pub(crate) async fn with_will(broker: SocketAddr, place: Place) -> Result<Client, Error> {
    let mut options = options(broker, &format!("{}-{}", place.room, place.kind.name()))?;
    let mut will = Message::new(status_topic(place), "offline", QoS::AtLeastOnce);
    will.retain = true;
    options.will = Some(will.into());
    mqtt_client::tokio::connect(options).await
}

pub(crate) fn status_topic(place: Place) -> String {
    format!("{}/status", place.topic())
}

/// A reading as applications get it: JSON, kept by the broker as the topic's last value.
pub(crate) fn reading(uplink: &Uplink) -> Message {
    let mut json = match uplink.reading {
        Reading::Number(value, unit) => json!({ "value": value, "unit": unit }),
        Reading::State(state) => json!({ "state": state }),
    };
    json["dev_addr"] = json!(uplink.dev_addr.to_string());
    json["fcnt"] = json!(uplink.fcnt);
    let mut message = Message::new(uplink.place.topic(), json.to_string(), QoS::AtLeastOnce);
    message.retain = true;
    message
}

/// The next `count` messages, or those that came in time.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        match tokio::time::timeout(PATIENCE, subscription.next()).await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) | Err(_) => break,
        }
    }
    messages
}

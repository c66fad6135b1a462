//! Our client against one node of RabbitMQ 3.10 with its plug-in for MQTT: 3.1.1, and what is the same and
//! what is not.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use mqtt_client::{
    Client, ConnectionEvent, Error, Filter, Message, Options, PacketType, PublishError, QoS,
    Subscription, Will,
};
use tempfile::TempDir;

use super::{connect, in_time, next, told};
use crate::bridge::others::a_bridge_to_rabbitmq_carries_messages_with_qos_1;
use crate::support::program::Program;
use crate::support::rabbitmq::Nodes;
use crate::support::{Version, peer};

/// How long it may take to start: 10 s on a machine with nothing else to do.
const START: Duration = Duration::from_secs(150);

struct Node {
    address: SocketAddr,
    /// Ended in this order.
    _node: Program,
    _mapper: Program,
    _folder: TempDir,
}

impl Node {
    /// # Errors
    /// It does not start; with what it has told.
    async fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let nodes = Nodes::new(folder.path(), 1);
        let mapper = Program::start(nodes.mapper());
        let (address, mut command) = nodes.node(0);
        command.stderr(Stdio::from(File::create(&log).expect("the folder can be written")));
        let mut node = Program::start(command);
        let start = Instant::now();
        let mut options = options(address, "probe");
        options.reconnect.max = Duration::from_secs(1);
        // It may listen before it knows its users.
        options.reconnect.give_up = |_| false;
        let probe = mqtt_client::tokio::connect(options);
        tokio::pin!(probe);
        loop {
            match tokio::time::timeout(Duration::from_millis(200), &mut probe).await {
                Ok(Ok(probe)) => {
                    probe.disconnect().await;
                    return Ok(Self { address, _node: node, _mapper: mapper, _folder: folder });
                }
                Err(_) if node.runs() && start.elapsed() < START => {}
                _ => return Err(fs::read_to_string(log).unwrap_or_default()),
            }
        }
    }
}

fn options(address: SocketAddr, client_id: &str) -> Options {
    super::options(address, Version::V311, client_id)
}

async fn subscribe(client: &Client, filter: &str, qos: QoS) -> Subscription {
    in_time(client.subscribe(filter, qos)).await.expect("granted")
}

/// One node for all, as it takes long to start.
#[test]
fn one_node_of_rabbitmq_does_what_clusters_md_says() {
    if peer("rabbitmq-server").is_none() {
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(async {
        let mut node = Node::start().await;
        if let Err(why) = &node {
            // A port may have been taken meanwhile.
            let _ = writeln!(std::io::stderr(), "RabbitMQ did not start, trying again:\n{why}");
            node = Node::start().await;
        }
        let node = node.expect("RabbitMQ starts");
        let address = node.address;
        each_qos_up_to_1_arrives_and_2_is_granted_as_1(address).await;
        what_is_published_with_qos_2_is_answered_wrongly_and_not_sent_again(address).await;
        a_retained_message_and_a_will_arrive(address).await;
        a_session_is_gone_on_with(address).await;
        a_full_stream_holds_it_back_and_nothing_is_lost(address).await;
        a_request_gets_its_response(address).await;
        version_5_is_refused_by_hanging_up(address).await;
        let bridge = move || a_bridge_to_rabbitmq_carries_messages_with_qos_1(address);
        tokio::task::spawn_blocking(bridge).await.expect("all that the test says");
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}

async fn each_qos_up_to_1_arrives_and_2_is_granted_as_1(address: SocketAddr) {
    let client = connect(address, Version::V311, "qos").await;
    for (asked, granted) in [
        (QoS::AtMostOnce, QoS::AtMostOnce),
        (QoS::AtLeastOnce, QoS::AtLeastOnce),
        (QoS::ExactlyOnce, QoS::AtLeastOnce),
    ] {
        let mut subscription = subscribe(&client, "qos/+", asked).await;
        assert_eq!(subscription.granted(), granted);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            for n in 0..100 {
                in_time(client.publish("qos/a", n.to_string(), qos)).await.expect("delivered");
            }
            let arrives = qos.min(granted).bits();
            for n in 0..100 {
                let message = next(&mut subscription).await;
                assert_eq!(told(&message), ("qos/a", &*n.to_string(), arrives, false));
            }
        }
        in_time(subscription.unsubscribe()).await.expect("unsubscribed");
    }
    assert!(in_time(client.disconnect()).await.is_empty());
}

/// It answers with PUBACK, which no client can take for PUBREC [MQTT-4.3.3-1 of 3.1.1].
async fn what_is_published_with_qos_2_is_answered_wrongly_and_not_sent_again(address: SocketAddr) {
    for clean_start in [true, false] {
        let mut options = options(address, "two");
        options.clean_start = clean_start;
        let client = in_time(mqtt_client::tokio::connect(options)).await.expect("accepted");
        let mut events = client.connection_events();
        let outcome = in_time(client.publish("two/a", "x", QoS::ExactlyOnce)).await;
        let wrong = matches!(outcome, Err(PublishError::Misanswered(PacketType::PubAck)));
        assert!(wrong, "{outcome:?}");
        let Some(ConnectionEvent::Disconnected { error, retry_after: Some(_) }) =
            in_time(events.next()).await
        else {
            panic!("the connection ends");
        };
        assert!(matches!(error, Error::Protocol(_)), "{error}");
        assert!(error.to_string().contains("PUBACK"), "{error}");
        // And all else goes on, over the one connection that is made then.
        for _ in 0..20 {
            in_time(client.publish("two/a", "x", QoS::AtLeastOnce)).await.expect("delivered");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(client.statistics().connections, 2);
        in_time(client.disconnect()).await;
    }
}

async fn a_retained_message_and_a_will_arrive(address: SocketAddr) {
    let watcher = connect(address, Version::V311, "watcher").await;
    let message = Message::new("kept/a", "21.5", QoS::AtLeastOnce);
    in_time(watcher.send(Message { retain: true, ..message })).await.expect("delivered");
    let mut kept = subscribe(&watcher, "kept/a", QoS::AtLeastOnce).await;
    assert_eq!(told(&next(&mut kept).await), ("kept/a", "21.5", 1, true));

    let mut wills = subscribe(&watcher, "wills/+", QoS::AtLeastOnce).await;
    for (name, says_goodbye) in [("polite", true), ("abrupt", false)] {
        let mut options = options(address, name);
        let message = Message::new(format!("wills/{name}"), "gone", QoS::AtLeastOnce);
        options.will = Some(Will::from(message));
        let client = in_time(mqtt_client::tokio::connect(options)).await.expect("accepted");
        if says_goodbye {
            client.disconnect().await;
        } else {
            client.abort().await;
        }
    }
    assert_eq!(told(&next(&mut wills).await), ("wills/abrupt", "gone", 1, false));
    watcher.disconnect().await;
}

async fn a_session_is_gone_on_with(address: SocketAddr) {
    let mut options = options(address, "keeper");
    options.clean_start = false;
    let keeper = || mqtt_client::tokio::connect(options.clone());
    let first = in_time(keeper()).await.expect("accepted");
    drop(subscribe(&first, "session/+", QoS::ExactlyOnce).await); // which is not told to the server
    assert!(in_time(first.disconnect()).await.is_empty());
    let publisher = connect(address, Version::V311, "publisher").await;
    for n in 0..50 {
        in_time(publisher.publish("session/a", n.to_string(), QoS::AtLeastOnce))
            .await
            .expect("delivered");
    }
    publisher.disconnect().await;
    let (second, mut driver) =
        Client::with_runtime(options.clone(), mqtt_client::tokio::TokioRuntime).expect("good");
    let mut events = second.connection_events();
    let connected = driver.connected();
    tokio::spawn(driver);
    in_time(connected).await.expect("accepted");
    let present = matches!(
        in_time(events.next()).await,
        Some(ConnectionEvent::Connected { session_present: true, .. })
    );
    assert!(present, "a session is a queue there, and this one has one");
    let mut subscription = subscribe(&second, "session/+", QoS::AtLeastOnce).await;
    for n in 0..50 {
        assert_eq!(next(&mut subscription).await.text(), Some(&*n.to_string()));
    }
    second.disconnect().await;
}

async fn a_full_stream_holds_it_back_and_nothing_is_lost(address: SocketAddr) {
    let client = connect(address, Version::V311, "full").await;
    let mut filter = Filter::new("full", QoS::AtLeastOnce);
    filter.capacity = 3;
    let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
    for n in 0..200 {
        in_time(client.publish("full", n.to_string(), QoS::AtLeastOnce)).await.expect("delivered");
    }
    for n in 0..200 {
        assert_eq!(next(&mut subscription).await.text(), Some(&*n.to_string()));
    }
    client.disconnect().await;
}

async fn a_request_gets_its_response(address: SocketAddr) {
    let asker = connect(address, Version::V311, "asker").await;
    let other = connect(address, Version::V311, "other").await;
    let mut requests = subscribe(&other, "double/#", QoS::AtLeastOnce).await;
    let requester = in_time(asker.requester("answers/asker")).await.expect("granted");
    let asking = requester.request(Message::new("double", "21", QoS::AtLeastOnce));
    let answering = async {
        let response = next(&mut requests).await.response("42").expect("a request");
        in_time(other.send(response)).await.expect("delivered");
    };
    let (response, ()) = in_time(async { tokio::join!(asking, answering) }).await;
    assert_eq!(response.expect("a response").text(), Some("42"));
}

/// Without CONNACK, which has a code for that [MQTT-3.1.2-2] in 3.1.1.
async fn version_5_is_refused_by_hanging_up(address: SocketAddr) {
    let mut options = super::options(address, Version::V5, "five");
    options.reconnect.first = false;
    let error = in_time(mqtt_client::tokio::connect(options)).await.expect_err("refused");
    assert!(matches!(error, Error::NotAccepted { .. }), "{error}");
    assert!(error.to_string().contains("does it speak MQTT 5.0?"), "{error}");
}

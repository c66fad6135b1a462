//! What is asked of every cluster.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mqtt_client::{Client, ConnectionEvent, Message, QoS, Subscription};

use crate::PATIENCE;
use crate::cluster::Cluster;

/// How often a cluster is started until it is there.
const STARTS: usize = 4;

/// Waits for what must happen.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Runs a scenario once all nodes are there.
pub(crate) fn run(start: impl Fn() -> Cluster, scenario: impl AsyncFnOnce(&mut Cluster)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(async {
        let mut cluster = start();
        // Nodes may wait for each other for ever, or find that a port was taken meanwhile.
        for _ in 1..STARTS {
            let Err(why) = cluster.ready().await else { break };
            say(&format!("once more: {why}"));
            cluster = start();
        }
        cluster.ready().await.expect("a cluster");
        scenario(&mut cluster).await;
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// Publishes until it comes, each time another text, as the news of a subscription takes its time from
/// node to node; then all that came before it is taken out.
async fn until_routed(publisher: &Client, subscription: &mut Subscription, topic: &str) {
    in_time(routed(publisher, subscription, topic)).await;
}

async fn routed(publisher: &Client, subscription: &mut Subscription, topic: &str) {
    for n in 0.. {
        let text = format!("hello {n}");
        publisher.publish(topic, text.clone(), QoS::AtLeastOnce).await.expect("delivered");
        let pause = Duration::from_millis(300);
        while let Ok(message) = tokio::time::timeout(pause, subscription.next()).await {
            if message.expect("it goes on").text() == Some(&text) {
                return;
            }
        }
    }
}

/// Waits until what one client publishes comes to the other.
pub(crate) async fn routes(from: &Client, to: &Client, topic: &str) {
    let mut subscription = to.subscribe(topic, QoS::AtLeastOnce).await.expect("granted");
    routed(from, &mut subscription, topic).await;
    subscription.unsubscribe().await.expect("unsubscribed");
}

/// A client of each node gets what a client of each other node publishes, in every QoS there is.
pub(crate) async fn crosses_nodes(cluster: &mut Cluster) {
    for (from, to) in (0..cluster.len()).flat_map(|f| (0..cluster.len()).map(move |t| (f, t))) {
        let topic = format!("cross/{from}/{to}");
        let subscriber = cluster.connect(&format!("s{from}{to}"), to).await;
        let mut subscription =
            in_time(subscriber.subscribe(&topic, cluster.max_qos)).await.expect("granted");
        let publisher = cluster.connect(&format!("p{from}{to}"), from).await;
        until_routed(&publisher, &mut subscription, &topic).await;
        let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        for qos in all.into_iter().filter(|qos| *qos <= cluster.max_qos) {
            for n in 0..50 {
                let text = format!("{} {n}", qos.bits());
                in_time(publisher.publish(topic.as_str(), text, qos)).await.expect("delivered");
            }
            for n in 0..50 {
                let message = in_time(subscription.next()).await.expect("it goes on");
                let text = format!("{} {n}", qos.bits());
                assert_eq!((message.text(), message.qos), (Some(&*text), qos), "{topic}");
            }
        }
        publisher.disconnect().await;
        subscriber.disconnect().await;
    }
}

/// A client leaves one node and finds its session at another, with what was published meanwhile.
pub(crate) async fn session_moves(cluster: &mut Cluster) {
    let subscriber = cluster.connect("mover", 0).await;
    let mut subscription =
        in_time(subscriber.subscribe("move/#", cluster.max_qos)).await.expect("granted");
    let publisher = cluster.connect("stayer", 1).await;
    until_routed(&publisher, &mut subscription, "move/a").await;
    drop(subscription); // which ends it for this client only
    subscriber.disconnect().await;
    for n in 0..20 {
        let text = n.to_string();
        in_time(publisher.publish("move/a", text, cluster.max_qos)).await.expect("delivered");
    }
    let subscriber = cluster.connect("mover", 1).await;
    let mut subscription =
        in_time(subscriber.subscribe("move/#", cluster.max_qos)).await.expect("granted");
    for n in 0..20 {
        let message = in_time(subscription.next()).await.expect("it goes on");
        assert_eq!(message.text(), Some(&*n.to_string()));
    }
    subscriber.disconnect().await;
    publisher.disconnect().await;
}

/// Whether a message that one node retains is told to a client that subscribes at another.
pub(crate) async fn retained_crosses(cluster: &mut Cluster) -> bool {
    let publisher = cluster.connect("retainer", 0).await;
    let message = Message::new("retained/a", "kept", QoS::AtLeastOnce);
    in_time(publisher.send(Message { retain: true, ..message })).await.expect("delivered");
    publisher.disconnect().await;
    // The nodes may need a moment to tell each other.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let subscriber = cluster.connect("late", 1).await;
    let mut subscription =
        in_time(subscriber.subscribe("retained/#", QoS::AtLeastOnce)).await.expect("granted");
    let message = tokio::time::timeout(Duration::from_secs(3), subscription.next()).await;
    subscriber.disconnect().await;
    message.is_ok_and(|message| message.is_some_and(|message| message.retain))
}

/// How many messages are published, how many of them at once, and after how many a node is killed.
const MESSAGES: usize = 2000;
const AT_ONCE: usize = 50;
const KILL_AT: usize = 500;

/// How long nothing may come before what has not come counts as lost. NATS sends again after 30 s what it
/// had sent to a client of the node that was killed, and what was not acknowledged.
const SILENCE: Duration = Duration::from_secs(45);

/// What became of the messages of [`kill_under_load`].
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Acknowledged, and never delivered.
    pub(crate) lost: usize,
    /// Not acknowledged: what the publisher was told, and of how many.
    pub(crate) failed: BTreeMap<String, usize>,
    /// Delivered more than once.
    pub(crate) duplicated: usize,
    /// The client of the killed node found its session at another one.
    pub(crate) resumed: bool,
}

/// Publishes through node `from` and subscribes through node `to`, kills one of the two meanwhile, and
/// looks at what arrives. Both clients are told of all nodes.
pub(crate) async fn kill_under_load(
    cluster: &mut Cluster,
    from: usize,
    to: usize,
    killed: usize,
) -> Outcome {
    let topic = "load/a";
    let subscriber = cluster.connect("subscriber", to).await;
    let mut subscription =
        in_time(subscriber.subscribe("load/#", cluster.max_qos)).await.expect("granted");
    let publisher = cluster.connect("publisher", from).await;
    until_routed(&publisher, &mut subscription, topic).await;
    let hit = if killed == from { &publisher } else { &subscriber };
    let mut events = hit.connection_events();

    let publish = async {
        let (mut acknowledged, mut failed) = (Vec::new(), BTreeMap::new());
        let mut deliveries = FuturesUnordered::new();
        for n in 0..MESSAGES + AT_ONCE {
            if n < MESSAGES {
                let message = Message::new(topic, n.to_string(), cluster.max_qos);
                let delivery = in_time(publisher.enqueue(message)).await.expect("there is room");
                deliveries.push(async move { delivery.await.map(|_| n) });
            }
            if n >= AT_ONCE {
                match in_time(deliveries.next()).await.expect("as many as are on their way") {
                    Ok(n) => acknowledged.push(n),
                    Err(error) => *failed.entry(error.to_string()).or_default() += 1,
                }
            }
            if n == KILL_AT {
                cluster.kill(killed);
            }
        }
        (acknowledged, failed)
    };
    let (done, mut published) = tokio::sync::oneshot::channel();
    let receive = async {
        let mut counts = BTreeMap::<usize, usize>::new();
        let mut acknowledged = None::<Vec<usize>>;
        loop {
            let all =
                acknowledged.as_ref().is_some_and(|a| a.iter().all(|n| counts.contains_key(n)));
            // Once all are there, a second one of some may still come.
            let silence = if all { Duration::from_secs(1) } else { SILENCE };
            tokio::select! {
                list = &mut published, if acknowledged.is_none() => {
                    acknowledged = Some(list.expect("it ends"));
                }
                message = subscription.next() => {
                    let message = message.expect("it goes on");
                    if let Some(n) = message.text().and_then(|text| text.parse().ok()) {
                        *counts.entry(n).or_default() += 1;
                    }
                }
                () = tokio::time::sleep(silence), if acknowledged.is_some() => break,
            }
        }
        (acknowledged.unwrap_or_default(), counts)
    };
    let publish = async {
        let (acknowledged, failed) = publish.await;
        done.send(acknowledged).expect("it is waited for");
        failed
    };
    let (failed, (acknowledged, counts)) = tokio::join!(publish, receive);

    let lost = acknowledged.iter().filter(|n| !counts.contains_key(n)).count();
    let duplicated = counts.values().filter(|count| **count > 1).count();
    let mut resumed = None;
    while resumed.is_none() {
        let event = in_time(events.next()).await.expect("it connects again");
        if let ConnectionEvent::Connected { session_present, .. } = event {
            resumed = Some(session_present);
        }
    }
    let outcome = Outcome { lost, failed, duplicated, resumed: resumed == Some(true) };
    let whose = if killed == from { "publisher" } else { "subscriber" };
    say(&format!("node of the {whose} killed: {outcome:?}"));
    // Whatever was lost, the two go on.
    until_routed(&publisher, &mut subscription, topic).await;
    publisher.disconnect().await;
    subscriber.disconnect().await;
    outcome
}

/// Prints a line, even of a test that passes.
fn say(line: &str) {
    // Where nobody reads it, it is no loss.
    let _ = writeln!(std::io::stderr(), "    {line}");
}

//! ntex-mqtt, 3.1.1, on its own runtime over tokio's: one thread. At QoS 1 by its callback, which is
//! the faster of the ways it has; at QoS 2 one after the other, as it fails where exchanges overlap.

use alloc::rc::Rc;
use core::any::Any;
use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use ntex::util::{ByteString, Bytes};
use ntex::service::cfg::SharedCfg;
use ntex::service::{ServiceFactory, fn_service};
use ntex_mqtt::v3::client::{Client, Connect, MqttConnector, ProtocolMessage};
use ntex_mqtt::v3::MqttSink;
use ntex_mqtt::{MqttServiceConfig, QoS};

use crate::case::{Case, IN_FLIGHT, ROUND_TRIPS, Way};

pub(crate) struct Runtime(ntex::rt::SystemRunner);

pub(crate) fn runtime() -> Runtime {
    Runtime(ntex::rt::System::new("bench", ntex::rt::DefaultRuntime))
}

impl Runtime {
    pub(crate) fn block_on<R: 'static>(self, future: impl Future<Output = R> + 'static) -> R {
        self.0.block_on(future)
    }
}

pub(crate) async fn sleep(time: Duration) {
    // Its own sleeps for longer.
    tokio::time::sleep(time).await;
}

async fn connect(port: u16) -> Client {
    let settings = MqttServiceConfig::new().set_max_send(IN_FLIGHT).set_max_receive(u16::MAX);
    let settings = SharedCfg::new("bench").add(settings);
    let connect = Connect::new(format!("127.0.0.1:{port}")).client_id("bench");
    let connect = connect.keep_alive(ntex::time::Seconds(60));
    let connector = MqttConnector::new().pipeline(settings.into()).await.expect("a connector");
    connector.call(connect).await.expect("accepted")
}

/// Goes on as long as the connection does, and tells of each message.
fn start(client: Client, received: impl Fn() + Clone + 'static) -> MqttSink {
    let sink = client.sink();
    ntex::rt::spawn(client.start(fn_service(async move |message: ProtocolMessage| {
        Ok::<_, ()>(match message {
            ProtocolMessage::Publish(publish) => {
                received();
                publish.ack()
            }
            ProtocolMessage::PublishRelease(release) => release.ack(),
            ProtocolMessage::Ping(ping) => ping.ack(),
        })
    })));
    sink
}

pub(crate) async fn connect_idle(port: u16) -> Box<dyn Any> {
    Box::new(start(connect(port).await, || {}))
}

pub(crate) async fn round_trips(port: u16) -> Vec<Duration> {
    let sink = start(connect(port).await, || {});
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        let publish = sink.publish(ByteString::from_static("a/b"));
        publish.send_at_least_once(Bytes::from_static(b"21.5")).await.expect("acknowledged");
        times.push(start.elapsed());
        sleep(Duration::from_millis(1)).await;
    }
    times
}

/// Counts down, and tells when there is nothing left.
struct Left {
    left: Cell<usize>,
    done: ntex::channel::condition::Condition,
}

impl Left {
    fn new(count: usize) -> Rc<Self> {
        Rc::new(Self { left: Cell::new(count), done: ntex::channel::condition::Condition::new() })
    }

    fn one(&self) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.done.notify();
        }
    }

    async fn end(&self) {
        let waiter = self.done.wait();
        if self.left.get() > 0 {
            waiter.await;
        }
    }
}

pub(crate) async fn run(case: Case, port: u16) {
    let received = Left::new(if case.way == Way::Publish { 0 } else { case.count });
    let counter = Rc::clone(&received);
    let sink = start(connect(port).await, move || counter.one());
    if case.way != Way::Publish {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)];
        let subscribe = sink.subscribe().topic_filter(case.filter().into(), qos);
        subscribe.send().await.expect("granted");
    }
    if case.way != Way::Receive {
        publish(case, &sink).await;
    }
    received.end().await;
}

async fn publish(case: Case, sink: &MqttSink) {
    let topic = ByteString::from_static(case.topic());
    let payload = Bytes::from(case.payload());
    if case.qos == 2 {
        for _ in 0..case.count {
            let publish = sink.publish(topic.clone());
            let received = publish.send_exactly_once(payload.clone()).await.expect("received");
            received.release().await.expect("completed");
        }
        return;
    }
    let acknowledged = Left::new(if case.qos == 0 { 0 } else { case.count });
    let counter = Rc::clone(&acknowledged);
    sink.publish_ack_cb(move |_, _| counter.one());
    for _ in 0..case.count {
        assert!(sink.ready().await);
        let publish = sink.publish(topic.clone());
        let sent = match case.qos {
            0 => publish.send_at_most_once(payload.clone()),
            _ => publish.send_at_least_once_no_block(payload.clone()),
        };
        sent.expect("sent");
    }
    acknowledged.end().await;
}

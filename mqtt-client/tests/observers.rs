//! What the crates `metrics` and `tracing` are told.

#![cfg(all(feature = "metrics", feature = "tracing", feature = "tokio"))]
#![expect(clippy::std_instead_of_alloc, reason = "where there are tests, there is std")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use metrics::{CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use mqtt_client::tokio::TokioRuntime;
use mqtt_client::{Client, Disconnect, Message, Options, QoS, Server};
use tracing::span::{Attributes, Id, Record};

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        let mut counts = self.0.lock().expect("no panic");
        let count = counts.entry(key.name().into()).or_default();
        metrics::Counter::from_arc(Arc::clone(count))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The names of spans and the levels of events.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("mqtt_client")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.lock().expect("no panic").push(span.metadata().name().into());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().expect("no panic").push(event.metadata().level().to_string());
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn spans_and_counters_reach_those_who_have_asked_for_them() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let counts = Counts::default();
    // Nobody listens there: each attempt fails.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = nobody.local_addr().expect("it is bound").port();
    drop(nobody);
    let options = Options::new(Server::tcp("127.0.0.1", port));
    let made =
        metrics::with_local_recorder(&counts, || Client::with_runtime(options, TokioRuntime));
    let (client, driver) = made.expect("good options");
    tokio::spawn(driver);
    let message = Message::new("a", "x", QoS::AtLeastOnce);
    let sending = tokio::time::timeout(Duration::from_secs(2), client.send(message));
    sending.await.expect_err("it waits for the server");
    let mut disconnect = Disconnect::default();
    disconnect.flush = Duration::ZERO;
    assert_eq!(client.disconnect_with(disconnect).await.len(), 1);
    let failures = {
        let counts = counts.0.lock().expect("no panic");
        counts["mqtt_client_failures_total"].0.load(Ordering::Relaxed)
    };
    assert_eq!(failures, client.statistics().failures);
    assert!(failures > 0);
    let spans = spans.0.lock().expect("no panic").clone();
    assert!(spans.contains(&"mqtt.publish".to_owned()), "{spans:?}");
    assert!(spans.contains(&"WARN".to_owned()), "{spans:?}");
}

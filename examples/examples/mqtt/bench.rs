//! `mqtt bench`.

use core::time::Duration;
use std::time::Instant;

use clap::Args;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mqtt_client::{Bytes, Client, Filter, Message, QoS, Subscription};

use crate::connection::{Connection, disconnect, qos};
use crate::{Result, interrupted};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many messages
    #[arg(short = 'N', long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Bytes of payload
    #[arg(short, long, default_value_t = 64)]
    size: usize,
    /// Quality of service, of publishing and subscribing: 0, 1 or 2
    #[arg(short, long, default_value = "1", value_parser = qos)]
    qos: QoS,
    /// Topic; otherwise one of its own
    #[arg(short, long)]
    topic: Option<String>,
    /// Do not receive what is published
    #[arg(long)]
    publish_only: bool,
    /// How many seconds nothing may come before what has not come counts as lost
    #[arg(long, default_value_t = 5)]
    patience: u64,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: Arguments) -> Result {
    let topic = arguments.topic.clone();
    let topic = topic.unwrap_or_else(|| format!("motewire/bench/{}", std::process::id()));
    let publisher = arguments.connection.connect("bench_pub", None).await?;
    let subscriber = arguments.connection.connect("bench_sub", None).await?;
    let work = async {
        let received = async {
            if arguments.publish_only {
                return Result::Ok(None);
            }
            let mut filter = Filter::new(topic.as_str(), arguments.qos);
            // Of QoS 0 nothing comes again.
            filter.capacity = usize::try_from(arguments.count).unwrap_or(usize::MAX);
            let subscription = subscriber.subscribe_with(filter).await?;
            Ok(Some(subscription))
        };
        let subscription = received.await?;
        let start = Instant::now();
        let publish = publish(&arguments, &publisher, &topic);
        let receive = receive(&arguments, subscription, start);
        let (published, received) = tokio::try_join!(publish, receive)?;
        report("published", arguments.count, arguments.size, published);
        let Some((count, took)) = received else { return Ok(()) };
        report("received", count, arguments.size, took);
        if count == arguments.count {
            Ok(())
        } else {
            Err(format!("{} messages did not arrive", arguments.count - count).into())
        }
    };
    let result: Result = tokio::select! {
        result = work => result,
        interrupted = interrupted() => interrupted.map_err(Into::into),
    };
    result?;
    disconnect(&publisher).await?;
    disconnect(&subscriber).await
}

/// Publishes all, and waits for every outcome.
async fn publish(arguments: &Arguments, client: &Client, topic: &str) -> Result<Duration> {
    let payload = Bytes::from(vec![b'x'; arguments.size]);
    let message = Message::new(topic, payload, arguments.qos);
    let start = Instant::now();
    let mut deliveries = FuturesUnordered::new();
    for _ in 0..arguments.count {
        deliveries.push(client.enqueue(message.clone()).await?);
        while deliveries.len() > 4096 {
            deliveries.next().await.transpose()?;
        }
    }
    while let Some(outcome) = deliveries.next().await {
        outcome?;
    }
    Ok(start.elapsed())
}

/// Receives as many as are published, unless nothing comes for too long.
async fn receive(
    arguments: &Arguments,
    subscription: Option<Subscription>,
    start: Instant,
) -> Result<Option<(u64, Duration)>> {
    let Some(mut subscription) = subscription else { return Ok(None) };
    let patience = Duration::from_secs(arguments.patience);
    let mut count = 0;
    let mut last = start;
    while count < arguments.count {
        match tokio::time::timeout(patience, subscription.next()).await {
            Ok(Some(_)) => {
                count += 1;
                last = Instant::now();
            }
            Ok(None) => return Err("the connection is gone for good".into()),
            Err(_) => break,
        }
    }
    Ok(Some((count, last - start)))
}

fn report(what: &str, count: u64, size: usize, took: Duration) {
    let seconds = took.as_secs_f64().max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let (rate, bytes) = (count as f64 / seconds, count as f64 * size as f64 / seconds);
    println!(
        "{what:>9} {count:>10} messages in {seconds:>8.3} s: {rate:>10.0}/s, {:>8.2} MB/s of payload",
        bytes / 1e6
    );
}

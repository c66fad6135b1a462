//! Three consumers that share what there is to do (Shared Subscriptions, version 5): each job goes to one
//! of them, and to another one should that vanish before it is done. With the nodes of a cluster as
//! arguments each consumer starts at another node and fails over to the next.
//!
//! ```text
//! cargo run --example shared_consumers mqtt://node-a mqtt://node-b
//! ```

use core::time::Duration;

use mqtt_client::{Client, Options, QoS, Server};
use tokio::sync::mpsc;

const CONSUMERS: usize = 3;
const JOBS: usize = 12;

type Error = Box<dyn core::error::Error + Send + Sync>;

/// A client that begins with the server of this number.
async fn connect(servers: &[Server], first: usize, name: &str) -> Result<Client, Error> {
    let mut servers = servers.to_vec();
    let first = first % servers.len();
    servers.rotate_left(first);
    let mut options = Options::new(servers[0].clone());
    options.servers = servers;
    options.client_id = format!("shared-{name}-{}", std::process::id());
    // What is not acknowledged goes to another consumer.
    options.manual_acknowledge = true;
    // No more at once than can be done at once.
    options.receive_maximum = 2;
    Ok(mqtt_client::tokio::connect(options).await?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    motewire_examples::help("shared_consumers [URL...]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut servers = Vec::new();
    for url in std::env::args().skip(1) {
        servers.push(url.parse()?);
    }
    if servers.is_empty() {
        servers.push(Server::tcp("localhost", 1883));
    }
    let (done, mut reports) = mpsc::channel(JOBS);
    for n in 0..CONSUMERS {
        let consumer = connect(&servers, n, &format!("consumer-{n}")).await?;
        let mut jobs = consumer.subscribe("$share/workers/jobs/#", QoS::AtLeastOnce).await?;
        let done = done.clone();
        tokio::spawn(async move {
            while let Some(job) = jobs.next().await {
                tokio::time::sleep(Duration::from_millis(50)).await; // the work
                job.acknowledge();
                let text = job.text().unwrap_or_default().to_owned();
                if done.send((n, text)).await.is_err() {
                    break;
                }
            }
            consumer.disconnect().await;
        });
    }
    let producer = connect(&servers, 0, "producer").await?;
    for n in 0..JOBS {
        producer.publish("jobs/window", format!("job {n}"), QoS::AtLeastOnce).await?;
    }
    for _ in 0..JOBS {
        if let Some((consumer, job)) = reports.recv().await {
            println!("consumer {consumer} did {job}");
        }
    }
    producer.disconnect().await;
    Ok(())
}

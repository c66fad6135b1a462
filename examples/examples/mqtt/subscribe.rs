//! `mqtt sub`.

use core::time::Duration;
use std::io::{self, Write};

use clap::Args;
use futures::StreamExt;
use futures::stream::select_all;
use mqtt_client::{Filter, Message, QoS, Subscription};

use crate::connection::{Connection, disconnect, qos};
use crate::{Result, interrupted};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Topic filter to subscribe to; may be given many times
    #[arg(short, long = "topic", required = true)]
    topics: Vec<String>,
    /// Maximum quality of service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    qos: QoS,
    /// End after this many messages
    #[arg(short = 'C', long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(short = 'W', long)]
    wait: Option<u64>,
    /// Print the topic before the payload
    #[arg(short, long)]
    verbose: bool,
    /// Print no end of line after the payload
    #[arg(short = 'N', long)]
    no_newline: bool,
    /// Do not print messages that were retained
    #[arg(short = 'R', long)]
    no_retained: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: Arguments) -> Result {
    let client = arguments.connection.connect("sub", None).await?;
    let mut subscriptions = Vec::new();
    for topic in &arguments.topics {
        let mut filter = Filter::new(topic, arguments.qos);
        filter.unsubscribe_on_drop = Some(!arguments.connection.keeps_session());
        let subscribed = client.subscribe_with(filter).await;
        subscriptions.push(subscribed.map_err(|error| format!("{topic:?}: {error}"))?);
    }
    let waited = async {
        match arguments.wait {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => core::future::pending().await,
        }
    };
    tokio::select! {
        // First, so that signals are listened for before anything is printed.
        biased;
        interrupted = interrupted() => interrupted?,
        result = print(&arguments, subscriptions) => result?,
        () = waited => {}
    }
    disconnect(&client).await
}

async fn print(arguments: &Arguments, subscriptions: Vec<Subscription>) -> Result {
    let mut messages = select_all(subscriptions);
    let mut left = arguments.count;
    while left != Some(0) {
        let Some(message) = messages.next().await else {
            return Err("the connection is gone for good".into());
        };
        if message.retain && arguments.no_retained {
            continue;
        }
        match write(arguments, &message) {
            // Nobody reads any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn write(arguments: &Arguments, message: &Message) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if arguments.verbose {
        write!(output, "{} ", message.topic)?;
    }
    output.write_all(&message.payload)?;
    if !arguments.no_newline {
        writeln!(output)?;
    }
    output.flush()
}

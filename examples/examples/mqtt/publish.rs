//! `mqtt pub`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use mqtt_client::{Bytes, Client, Message, QoS};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use crate::connection::{Connection, disconnect, qos};
use crate::{Result, interrupted, properties};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true))]
pub(crate) struct Arguments {
    /// Topic to publish to
    #[arg(short, long)]
    topic: String,
    /// Payload
    #[arg(short, long, group = "what")]
    message: Option<String>,
    /// File whose content is the payload
    #[arg(short, long, group = "what")]
    file: Option<PathBuf>,
    /// Each line of standard input is a message
    #[arg(short = 'l', long, group = "what")]
    stdin_line: bool,
    /// Standard input as a whole is the message
    #[arg(short = 's', long, group = "what")]
    stdin_file: bool,
    /// Empty payload
    #[arg(short, long, group = "what")]
    null_message: bool,
    /// Quality of service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    qos: QoS,
    /// Retain the message
    #[arg(short, long)]
    retain: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A server of 3.1.1 that does not take a message, as it is too large, can only end each connection on which
/// that comes.
const MAX_ATTEMPTS: Option<u32> = Some(5);

impl Arguments {
    fn message(&self, payload: impl Into<Bytes>) -> Result<Message> {
        let mut message = Message::new(self.topic.as_str(), payload, self.qos);
        message.retain = self.retain;
        properties::publish(&self.connection.properties, &mut message)?;
        Ok(message)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result {
    if arguments.stdin_line {
        let client = arguments.connection.connect("pub", MAX_ATTEMPTS).await?;
        tokio::select! {
            result = lines(&arguments, &client) => result?,
            interrupted = interrupted() => interrupted?,
        }
        return disconnect(&client).await;
    }
    let payload = if let Some(message) = &arguments.message {
        message.clone().into_bytes()
    } else if let Some(file) = &arguments.file {
        std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?
    } else if arguments.stdin_file {
        let mut all = Vec::new();
        tokio::io::stdin().read_to_end(&mut all).await?;
        all
    } else {
        Vec::new()
    };
    let message = arguments.message(payload)?;
    let client = arguments.connection.connect("pub", MAX_ATTEMPTS).await?;
    client.send(message).await?;
    disconnect(&client).await
}

/// Publishes line after line without waiting for the outcome of each; the first that goes wrong ends
/// it.
async fn lines(arguments: &Arguments, client: &Client) -> Result {
    let (sender, mut deliveries) = mpsc::channel(1024);
    let publish = async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            let delivery = client.enqueue(arguments.message(line)?).await?;
            if sender.send(delivery).await.is_err() {
                break; // the other half has ended, with an error
            }
        }
        Result::Ok(())
    };
    let watch = async move {
        while let Some(delivery) = deliveries.recv().await {
            delivery.await?;
        }
        Result::Ok(())
    };
    tokio::try_join!(publish, watch).map(|_| ())
}

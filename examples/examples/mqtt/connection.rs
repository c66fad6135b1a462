//! What all subcommands are told about the connection.

use core::time::Duration;

use clap::{ArgAction, Args};
use mqtt_client::{Client, Disconnect, Message, Options, QoS, Server, Version, Will};

use crate::{Result, properties};

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Connection {
    /// Host to connect to
    #[arg(short = 'h', long = "host", default_value = "localhost", help_heading = HEADING)]
    host: String,
    /// Port to connect to
    #[arg(short, long, default_value_t = 1883, help_heading = HEADING)]
    port: u16,
    /// Server as a URL, in place of host and port: mqtt://[USER[:PASSWORD]@]HOST[:PORT], also mqtts://,
    /// ws:// and wss://
    #[arg(short = 'L', long, conflicts_with_all = ["host", "port"], help_heading = HEADING)]
    url: Option<String>,
    /// Version of the protocol: 31, 311 or 5 [default: what the URL says, otherwise 311]
    #[arg(short = 'V', long, value_parser = version, help_heading = HEADING)]
    protocol_version: Option<Version>,
    /// Client Identifier; otherwise the name of the program and its process id
    #[arg(short, long, help_heading = HEADING)]
    id: Option<String>,
    /// User Name
    #[arg(short, long, help_heading = HEADING)]
    username: Option<String>,
    /// Password
    #[arg(short = 'P', long = "pw", help_heading = HEADING)]
    password: Option<String>,
    /// Keep Alive in seconds, 0 for none [default: what the URL says, otherwise 60]
    #[arg(short, long, help_heading = HEADING)]
    keepalive: Option<u16>,
    /// Keep the session on the server (no clean start); needs --id
    #[arg(short = 'c', long = "disable-clean-session", requires = "id", help_heading = HEADING)]
    keep_session: bool,
    /// Seconds for which the server keeps the session (version 5); for ever with -c alone
    #[arg(short = 'x', long, help_heading = HEADING)]
    session_expiry_interval: Option<u32>,
    /// Topic of the will
    #[arg(long, help_heading = HEADING)]
    will_topic: Option<String>,
    /// Payload of the will; otherwise empty
    #[arg(long, requires = "will_topic", help_heading = HEADING)]
    will_payload: Option<String>,
    /// QoS of the will
    #[arg(long, default_value = "0", value_parser = qos, requires = "will_topic", help_heading = HEADING)]
    will_qos: QoS,
    /// Whether the will is retained
    #[arg(long, requires = "will_topic", help_heading = HEADING)]
    will_retain: bool,
    /// Property (version 5) of connect, will or publish: COMMAND NAME VALUE, or COMMAND user-property
    /// KEY VALUE; may be given many times
    #[arg(short = 'D', long = "property", num_args = 3..=4, value_names = ["COMMAND", "NAME", "KEY", "VALUE"], help_heading = HEADING)]
    pub(crate) properties: Vec<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help, help_heading = HEADING)]
    help: Option<bool>,
}

const HEADING: &str = "Connection";

pub(crate) fn qos(text: &str) -> core::result::Result<QoS, String> {
    let bits = text.parse().map_err(|_| "it is 0, 1 or 2".to_owned())?;
    QoS::from_bits(bits).ok_or_else(|| "it is 0, 1 or 2".to_owned())
}

fn version(text: &str) -> core::result::Result<Version, String> {
    match text.strip_prefix("mqttv").unwrap_or(text) {
        "31" | "3.1" | "3" => Ok(Version::V31),
        "311" | "3.1.1" | "4" => Ok(Version::V311),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("it is 31, 311 or 5".to_owned()),
    }
}

impl Connection {
    /// Whether the server keeps the session.
    pub(crate) fn keeps_session(&self) -> bool {
        self.keep_session
    }

    /// Connects; the first attempt has to succeed. When the connection breaks, there may be so many further
    /// ones in a row.
    pub(crate) async fn connect(&self, name: &str, max_attempts: Option<u32>) -> Result<Client> {
        let mut options = match &self.url {
            Some(url) => Options::from_url(url)?,
            None => Options::new(Server::tcp(&self.host, self.port)),
        };
        match (self.protocol_version, &self.url) {
            (Some(version), _) => options.version = version,
            (None, Some(url)) if url.contains("version=") => {}
            (None, _) => options.version = Version::V311,
        }
        if options.client_id.is_empty() {
            options.client_id = format!("mqtt_{name}_{}", std::process::id());
        }
        if let Some(id) = &self.id {
            options.client_id.clone_from(id);
        }
        if self.username.is_some() {
            options.user_name.clone_from(&self.username);
        }
        if let Some(password) = &self.password {
            options.password = Some(password.clone().into());
        }
        if let Some(seconds) = self.keepalive {
            options.keep_alive = Duration::from_secs(seconds.into());
        }
        options.clean_start &= !self.keep_session;
        if let Some(seconds) = self.session_expiry_interval {
            options.session_expiry = Duration::from_secs(seconds.into());
        } else if self.keep_session {
            options.session_expiry = Duration::MAX;
        }
        options.will = self.will_topic.as_deref().map(|topic| {
            let payload = self.will_payload.clone().unwrap_or_default();
            let message = Message::new(topic, payload, self.will_qos);
            Will::from(Message { retain: self.will_retain, ..message })
        });
        properties::connect(&self.properties, &mut options)?;
        options.reconnect.first = false;
        options.reconnect.max_attempts = max_attempts;
        Ok(mqtt_client::tokio::connect(options).await?)
    }
}

/// Says goodbye; what could not be delivered is an error.
pub(crate) async fn disconnect(client: &Client) -> Result {
    let mut disconnect = Disconnect::default();
    disconnect.flush = Duration::from_secs(5);
    match client.disconnect_with(disconnect).await.len() {
        0 => Ok(()),
        count => Err(format!("{count} messages were not delivered").into()),
    }
}

//! Shows what is in captured bytes: every field with its offset and the section that describes it,
//! and for a packet that is refused, the byte and the statement it breaks.
//!
//! ```text
//! inspect 30050001 6132 31
//! inspect --direction c2s capture.bin
//! inspect --jsonl vectors.jsonl
//! inspect --protocol lorawan --key nwk_s_key=0202… --key app_s_key=0101… 400403…
//! inspect --protocol gwmp datagram.bin
//! ```

mod dump;
mod input;
mod jsonl;
mod lorawan;
mod mqtt;
mod mqtt_sn;
mod verdict;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use mqtt_codec::{Sender, Version};
use serde_json::{Map, Value, json};

#[derive(Parser)]
#[command(name = "inspect", about = "Shows packets field by field, and why a bad one is refused")]
struct Args {
    /// What the bytes are; auto tells MQTT and MQTT-SN apart by trying
    #[arg(long, value_enum, default_value_t = Protocol::Auto)]
    protocol: Protocol,

    /// Version of MQTT: 3.1, 3.1.1 or 5; by default that of the CONNECT in the input, or what fits
    #[arg(long, value_parser = version)]
    version: Option<Version>,

    /// Who sent the packets: c2s (to server or gateway), s2c or both
    #[arg(long, value_parser = sender, default_value = "both")]
    direction: Sender,

    /// Print one JSON object a packet
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// Read lines {"id", "version", "direction", "hex"}, print the verdict on each, to which a CONNECT
    /// of another version is unsupported, or {"kind": "utf8", "hex"}, a string alone; with --protocol
    /// lorawan lines {"id", "kind", "keys", "inputs", "phy_hex"}
    #[arg(long)]
    jsonl: bool,

    /// LoRaWAN: a key by name, as app_key=HEX, nwk_key, nwk_s_key, app_s_key, f_nwk_s_int_key,
    /// s_nwk_s_int_key, nwk_s_enc_key, js_int_key, js_enc_key
    #[arg(long, value_name = "NAME=HEX", value_parser = pair)]
    key: Vec<(String, String)>,

    /// LoRaWAN: a file with one NAME=HEX on each line
    #[arg(long, value_name = "FILE")]
    keys: Option<std::path::PathBuf>,

    /// LoRaWAN: what is known besides the frame, as fcnt32=N, conf_fcnt, tx_dr, tx_ch, join_eui,
    /// dev_nonce
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,

    /// Hexadecimal digits, a file of them or of bytes, or - for standard input
    #[arg(value_name = "HEX|FILE|-", required = true, num_args = 1.., allow_hyphen_values = false)]
    input: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Auto,
    Mqtt,
    MqttSn,
    Lorawan,
    /// Semtech UDP packet forwarder
    Gwmp,
}

/// How packets are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Tree,
    Json,
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "3.1" | "3" => Ok(Version::V31),
        "3.1.1" | "4" => Ok(Version::V311),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("not one of 3.1, 3.1.1, 5".into()),
    }
}

fn sender(text: &str) -> Result<Sender, String> {
    match text {
        "c2s" => Ok(Sender::Client),
        "s2c" => Ok(Sender::Server),
        "both" => Ok(Sender::Either),
        _ => Err("not one of c2s, s2c, both".into()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.trim().into(), value.trim().into()))
}

/// Keys and counters in the form of a line of a LoRaWAN vector file.
fn question(args: &Args) -> Result<Value, Failure> {
    let mut keys = Map::new();
    if let Some(file) = &args.keys {
        let unreadable = |why: String| Failure::Input(format!("{}: {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|why| unreadable(why.to_string()))?;
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (name, value) = pair(line).map_err(unreadable)?;
            keys.insert(name, value.into());
        }
    }
    keys.extend(args.key.iter().map(|(name, value)| (name.clone(), value.clone().into())));
    let inputs: Map<_, _> = args
        .set
        .iter()
        .map(|(name, value)| {
            let number = value.parse::<u32>().map(Value::from);
            (name.clone(), number.unwrap_or_else(|_| value.clone().into()))
        })
        .collect();
    let of_1_1 = ["nwk_key", "f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "js_int_key"];
    let version = if of_1_1.iter().any(|name| keys.contains_key(*name)) { "1.1" } else { "1.0" };
    Ok(json!({ "lorawan_version": version, "keys": keys, "inputs": inputs }))
}

fn main() -> ExitCode {
    let args: Args = motewire_examples::arguments();
    match run(&args) {
        // The reader of our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Output(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Input(why)) => Args::command().error(clap::error::ErrorKind::Io, why).exit(),
        Ok(()) => ExitCode::SUCCESS,
    }
}

/// What keeps the packets from being shown. A packet that is refused is no failure: it is shown.
enum Failure {
    Input(String),
    Output(io::Error),
}

impl From<lorawan::tree::Failure> for Failure {
    fn from(failure: lorawan::tree::Failure) -> Self {
        match failure {
            lorawan::tree::Failure::Question(why) => Self::Input(why),
            lorawan::tree::Failure::Output(error) => Self::Output(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if args.jsonl {
        let text = input::content(&args.input).map_err(Failure::Input)?;
        let bad = jsonl::run(&text, args, &mut out)?;
        out.flush()?;
        return bad.map_or(Ok(()), |why| Err(Failure::Input(why)));
    }
    let bytes = input::bytes(&args.input).map_err(Failure::Input)?;
    let format = if args.json { Format::Json } else { Format::Tree };
    let protocol = match args.protocol {
        Protocol::Auto => detect(&bytes, args),
        chosen => chosen,
    };
    match protocol {
        Protocol::Lorawan => lorawan::tree::show(&bytes, &question(args)?, format, &mut out)?,
        Protocol::Gwmp => lorawan::tree::show_gwmp(&bytes, &question(args)?, format, &mut out)?,
        Protocol::MqttSn => mqtt_sn::show(&bytes, args.direction, format, &mut out)?,
        Protocol::Auto | Protocol::Mqtt => {
            mqtt::show(&bytes, args.version, args.direction, format, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// MQTT-SN when the bytes are one datagram of it and no packets of MQTT.
fn detect(bytes: &[u8], args: &Args) -> Protocol {
    let mqtt = args.version.is_some() || mqtt::is_good(bytes, args.direction);
    if !mqtt && mqtt_sn::is_good(bytes, args.direction) { Protocol::MqttSn } else { Protocol::Mqtt }
}

//! Shows what is in captured bytes: every field with its offset and the section that describes it,
//! and for a packet that is refused, the byte and the statement it breaks.
//!
//! ```text
//! inspect 30050001 6132 31
//! inspect --direction c2s capture.bin
//! inspect --jsonl vectors.jsonl
//! ```

mod input;
mod jsonl;
mod mqtt;
mod mqtt_sn;
mod verdict;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use mqtt_codec::{Sender, Version};

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

    /// Read lines {"id", "version", "direction", "hex"}, print the verdict on each
    #[arg(long)]
    jsonl: bool,

    /// Hexadecimal digits, a file of them or of bytes, or - for standard input
    #[arg(value_name = "HEX|FILE|-", required = true, num_args = 1.., allow_hyphen_values = false)]
    input: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Auto,
    Mqtt,
    MqttSn,
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

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if args.jsonl {
        let text = input::text(&args.input).map_err(Failure::Input)?;
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

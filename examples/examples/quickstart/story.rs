//! What happens, in order, and what was promised of it.

use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use lorawan_frame::{Direction, airtime};
use motewire_examples::broker::BrokerServer;
use mqtt_client::{Client, QoS};
use mqtt_session::broker::Config;

use crate::device::Device;
use crate::gateway::{Gateway, data_rate};
use crate::home;
use crate::narrate::{Layer, Narrator, hex};
use crate::network::{NetworkServer, Refusal, Uplink, Verdict};
use crate::residence::{Kind, Place, ROOMS, places};
use crate::watch::watch;

/// Readings of each sensor.
const ROUNDS: usize = 3;

/// The sensor whose own session dies.
const DYING: Place = Place { room: "hall", kind: Kind::Door };

/// What was promised, and what happened.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<(&'static str, usize, usize)>,
    took: Duration,
}

impl Summary {
    fn row(&mut self, what: &'static str, promised: usize, happened: usize) {
        self.rows.push((what, promised, happened));
    }

    /// Whether everything happened as promised.
    pub(crate) fn all_kept(&self) -> bool {
        self.rows.iter().all(|(_, promised, happened)| promised == happened)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<48} {:>8} {:>8}", "summary", "promised", "happened")?;
        for (what, promised, happened) in &self.rows {
            let mark = if promised == happened { "" } else { "  <- NOT KEPT" };
            writeln!(f, "{what:<48} {promised:>8} {happened:>8}{mark}")?;
        }
        let verdict = if self.all_kept() { "all promises kept" } else { "NOT ALL PROMISES KEPT" };
        writeln!(f, "{verdict}, {:.1} s", self.took.as_secs_f32())
    }
}

/// The radio side of the house.
struct Field {
    devices: Vec<Device>,
    gateways: [Gateway; 2],
    network: NetworkServer,
    duplicates: usize,
}

impl Field {
    fn new() -> Self {
        let devices: Vec<Device> =
            places().zip(1..).map(|(place, serial)| Device::new(place, serial)).collect();
        let mut network = NetworkServer::new();
        for device in &devices {
            network.register(device.dev_eui, device.place, device.app_key.clone());
        }
        let gateways = [Gateway::new("attic", 1), Gateway::new("cellar", 2)];
        Self { devices, gateways, network, duplicates: 0 }
    }

    /// A frame is on the air: both gateways hear it and forward it. What becomes of it.
    fn on_air(&mut self, phy: &[u8], show: Option<&Narrator>) -> Verdict {
        self.network.close_window();
        let mut verdict = None;
        for gateway in &mut self.gateways {
            let datagram = gateway.hear(phy);
            let judged = self.network.receive(&datagram);
            if let Some(narrator) = show {
                let json = String::from_utf8_lossy(&datagram[12..]).into_owned();
                let name = gateway.name;
                let head = hex(&datagram[..12]);
                narrator.say(Layer::Radio, format_args!("gateway {name}: PUSH_DATA {head}"));
                narrator.say(Layer::Radio, format_args!("  {json}"));
            }
            match judged {
                Verdict::Duplicate => {
                    self.duplicates += 1;
                    if let Some(narrator) = show {
                        narrator.say(Layer::Network, "duplicate, heard by another gateway before");
                    }
                }
                other => verdict = Some(other),
            }
        }
        verdict.unwrap_or(Verdict::Duplicate)
    }
}

/// Tells the whole story.
pub(crate) async fn tell(slow: bool) -> Result<Summary, Box<dyn Error>> {
    let started = Instant::now();
    let narrator = Arc::new(Narrator::new(slow));
    let mut summary = Summary::default();
    let mut field = Field::new();
    let devices = field.devices.len();

    narrator.chapter("A broker, and who listens");
    let broker = BrokerServer::bind("127.0.0.1:0", Config::default())?.spawn()?;
    let address = broker.local_addr();
    narrator.say(Layer::Broker, format_args!("listens on {address}, MQTT 3.1.1 and 5.0"));
    let student = spawn_student(address, &narrator);
    let listener = home::client(address, "dashboard").await?;
    let mut all = listener.subscribe("residence/#", QoS::AtLeastOnce).await?;
    let thermostat = home::client(address, "thermostat").await?;
    let mut temperatures =
        thermostat.subscribe("residence/+/temperature", QoS::AtLeastOnce).await?;
    narrator.say(Layer::Application, "dashboard subscribes to residence/#");
    narrator.say(Layer::Application, "thermostat subscribes to residence/+/temperature");

    let joined = join_all(&mut field, &narrator)?;
    summary.row("sensors that joined by OTAA", devices, joined);

    narrator.chapter("Readings: from the sensor to the subscriber");
    let bridge = home::client(address, "network-server").await?;
    let mut last = Vec::new();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        for index in 0..devices {
            let show = (round == 0 && index == 0).then_some(&*narrator);
            let (phy, uplink) = reading(&mut field, index, show)?;
            acknowledged += publish(&bridge, &uplink, show).await?;
            last = phy;
        }
        narrator.say(Layer::Mqtt, format_args!("round {}: {acknowledged} acknowledged", round + 1));
    }
    let sent = devices * ROUNDS;
    summary.row("readings published and acknowledged (QoS 1)", sent, acknowledged);
    summary.row("duplicates of the second gateway dropped", devices + sent, field.duplicates);
    let got = home::take(&mut all, sent).await;
    for message in got.iter().take(3) {
        let text = message.text().unwrap_or_default();
        narrator.say(Layer::Application, format_args!("dashboard: {} {text}", message.topic));
    }
    summary.row("readings at residence/#", sent, got.len());
    let warm = home::take(&mut temperatures, ROOMS.len() * ROUNDS).await;
    summary.row("readings at residence/+/temperature", ROOMS.len() * ROUNDS, warm.len());

    refuse(&mut field, &last, &narrator, &mut summary);
    late_subscriber(address, devices, &narrator, &mut summary).await?;
    dying_sensor(address, &mut all, &narrator, &mut summary).await?;

    let watched = student.await??;
    summary.row("messages watched byte by byte", WATCHED, watched);
    for client in [bridge, thermostat, listener] {
        client.disconnect().await;
    }
    broker.stop()?;
    summary.took = started.elapsed();
    Ok(summary)
}

/// Messages that the student waits for.
const WATCHED: usize = 4;

fn spawn_student(
    broker: SocketAddr,
    narrator: &Arc<Narrator>,
) -> tokio::task::JoinHandle<std::io::Result<usize>> {
    let narrator = Arc::clone(narrator);
    tokio::task::spawn_blocking(move || watch(broker, "residence/kitchen/+", WATCHED, &narrator))
}

/// Every sensor asks to be let in, and opens the answer.
fn join_all(field: &mut Field, narrator: &Narrator) -> Result<usize, Box<dyn Error>> {
    narrator.chapter("24 sensors join (OTAA)");
    let mut joined = 0;
    for index in 0..field.devices.len() {
        let show = (index == 0).then_some(narrator);
        let device = &mut field.devices[index];
        let request = device.join_request()?;
        if let Some(narrator) = show {
            narrator.say(
                Layer::Lorawan,
                format_args!("{}: Join-Request {}", device.place, hex(&request)),
            );
            narrator.say(
                Layer::Lorawan,
                format_args!(
                    "  MHDR 00 | JoinEUI {} DevEUI {} (on air in reverse) DevNonce 0 | MIC",
                    device.join_eui, device.dev_eui
                ),
            );
        }
        let Verdict::Joined { place, dev_addr, downlink } = field.on_air(&request, show) else {
            continue;
        };
        let accept = Gateway::transmit(&downlink).ok_or("the gateway got no frame to send")?;
        let device = &mut field.devices[index];
        let opened = device.join_accept(&accept)?;
        joined += usize::from(opened == dev_addr && place == device.place);
        if let Some(narrator) = show {
            narrator.say(
                Layer::Network,
                format_args!("MIC right: {place} may join as DevAddr {dev_addr}"),
            );
            narrator.say(Layer::Lorawan, format_args!("Join-Accept {}", hex(&accept)));
            narrator.say(
                Layer::Lorawan,
                format_args!("  opened by the sensor: DevAddr {opened}, session keys derived"),
            );
        }
    }
    narrator.say(Layer::Network, format_args!("{joined} sensors have joined"));
    Ok(joined)
}

/// The sensor sends its next reading; the frame, and what the network server makes of it.
fn reading(
    field: &mut Field,
    index: usize,
    show: Option<&Narrator>,
) -> Result<(Vec<u8>, Uplink), Box<dyn Error>> {
    let device = &mut field.devices[index];
    let phy = device.uplink()?;
    if let Some(narrator) = show {
        let on_air = airtime::time_on_air(data_rate(), phy.len(), Direction::Up);
        narrator.say(
            Layer::Lorawan,
            format_args!(
                "{}: data up {}, {:.1} ms on air",
                device.place,
                hex(&phy),
                on_air.as_secs_f32() * 1e3
            ),
        );
        narrator.say(Layer::Lorawan, format_args!("  {}", data_fields(&phy)));
    }
    match field.on_air(&phy, show) {
        Verdict::Uplink(uplink) => {
            if let Some(narrator) = show {
                narrator.say(
                    Layer::Network,
                    format_args!("MIC right, FCnt {} is new, FPort {}", uplink.fcnt, uplink.fport),
                );
                narrator.say(
                    Layer::Network,
                    format_args!("decrypted {}: {}", hex(&uplink.clear), uplink.reading),
                );
            }
            Ok((phy, uplink))
        }
        other => Err(format!("a good frame became {other:?}").into()),
    }
}

/// The fields of a data frame without FOpts, as they lie in it (section 4).
fn data_fields(phy: &[u8]) -> String {
    let bytes = |range: core::ops::Range<usize>| {
        phy.get(range).unwrap_or_default().iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let mic = phy.len().saturating_sub(4);
    format!(
        "MHDR {} | DevAddr {} (reversed), FCtrl {}, FCnt {} | FPort {} | payload {} (encrypted) | MIC {}",
        bytes(0..1),
        bytes(1..5),
        bytes(5..6),
        bytes(6..8),
        bytes(8..9),
        bytes(9..mic),
        bytes(mic..phy.len())
    )
}

/// Publishes a reading and waits until the broker has it; 1 if it has.
async fn publish(
    bridge: &Client,
    uplink: &Uplink,
    show: Option<&Narrator>,
) -> Result<usize, Box<dyn Error>> {
    let message = home::reading(uplink);
    if let Some(narrator) = show {
        let text = message.text().unwrap_or_default();
        narrator.say(Layer::Mqtt, format_args!("publish to {} at QoS 1: {text}", message.topic));
    }
    let delivered = bridge.send(message).await?;
    if let Some(narrator) = show {
        let reason = delivered.reason;
        narrator.say(Layer::Mqtt, format_args!("the broker has it, PUBACK: {reason}"));
    }
    Ok(usize::from(!delivered.reason.is_failure()))
}

/// Somebody sends an old frame again, and one that was changed on its way.
fn refuse(field: &mut Field, frame: &[u8], narrator: &Narrator, summary: &mut Summary) {
    narrator.chapter("What the network server does not believe");
    let replayed = field.on_air(frame, None);
    narrator.say(Layer::Network, format_args!("the last frame, sent again: {}", words(&replayed)));
    let is_replay = matches!(replayed, Verdict::Refused(Refusal::Replay { .. }));
    summary.row("replayed frames refused", 1, usize::from(is_replay));

    let mut changed = frame.to_vec();
    changed[9] ^= 0x01; // a bit of the payload
    let tampered = field.on_air(&changed, None);
    narrator.say(Layer::Network, format_args!("one bit of it changed: {}", words(&tampered)));
    let is_refused = matches!(tampered, Verdict::Refused(Refusal::Frame(_)));
    summary.row("tampered frames refused", 1, usize::from(is_refused));
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused(Refusal::Replay { fcnt, expected }) => {
            format!("refused, FCnt {fcnt} was used, {expected} comes next")
        }
        Verdict::Refused(Refusal::Frame(error)) => format!("refused, {error}"),
        other => format!("{other:?}"),
    }
}

/// Who comes late gets the last value of every topic, as the broker has kept them.
async fn late_subscriber(
    broker: SocketAddr,
    devices: usize,
    narrator: &Narrator,
    summary: &mut Summary,
) -> Result<(), Box<dyn Error>> {
    narrator.chapter("A late subscriber");
    let late = home::client(broker, "late").await?;
    let mut subscription = late.subscribe("residence/#", QoS::AtLeastOnce).await?;
    let kept = home::take(&mut subscription, devices).await;
    let retained = kept.iter().filter(|message| message.retain).count();
    if let Some(message) = kept.first() {
        let text = message.text().unwrap_or_default();
        narrator.say(Layer::Application, format_args!("late: {} {text} (retained)", message.topic));
    }
    summary.row("retained last values to a late subscriber", devices, retained);
    late.disconnect().await;
    Ok(())
}

/// A sensor with a session of its own vanishes without goodbye: the broker publishes its will.
async fn dying_sensor(
    broker: SocketAddr,
    all: &mut mqtt_client::Subscription,
    narrator: &Narrator,
    summary: &mut Summary,
) -> Result<(), Box<dyn Error>> {
    narrator.chapter("A sensor dies");
    let sensor = home::with_will(broker, DYING).await?;
    narrator.say(Layer::Mqtt, format_args!("{DYING} connects with a will"));
    sensor.abort().await;
    narrator.say(Layer::Mqtt, format_args!("{DYING}: connection lost, no DISCONNECT"));
    let will = home::take(all, 1).await;
    let delivered = will
        .iter()
        .filter(|message| {
            *message.topic == *home::status_topic(DYING) && message.text() == Some("offline")
        })
        .count();
    for message in &will {
        let text = message.text().unwrap_or_default();
        narrator.say(Layer::Application, format_args!("dashboard: {} {text}", message.topic));
    }
    summary.row("wills delivered", 1, delivered);
    Ok(())
}

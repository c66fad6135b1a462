//! Bridges of and to other brokers than those that the other tests are with.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;

use mqtt_client::blocking::{Client, Subscription};
use mqtt_client::{Message, Options, QoS, Server, Version};

use super::{Kind, PATIENCE, Station, bridge, joined, subscribe, topic};
use crate::support::peer;
use crate::support::program::{Program, free_address, until};
use crate::transports::certificates;

/// It asks to be known as a bridge, by a bit of Protocol Level: then what it has sent does not come back.
#[test]
fn a_bridge_of_mosquitto_carries_messages_to_and_from_us() {
    if peer("mosquitto").is_none() {
        return;
    }
    for version in ["mqttv31", "mqttv311", "mqttv50"] {
        let far = Station::new(Kind::Motewire, "");
        let more = format!(
            "connection up\naddress {}\nbridge_protocol_version {version}\nrestart_timeout 1\n\
             remote_clientid bridge\ntopic # out 2 out/ site/\ntopic # in 2 in/ to/\n\
             topic same/# both 2\n",
            far.address
        );
        let near = Station::new(Kind::Mosquitto, &more);
        let (here, there) = (near.client("here", Version::V311), far.client("there", Version::V5));
        let mut to_there = subscribe(&there, "site/#");
        let mut to_here = subscribe(&here, "in/#");
        joined(&here, "out/join", &mut to_there);
        joined(&there, "to/join", &mut to_here);
        exchange([(&here, &mut to_here), (&there, &mut to_there)], QoS::ExactlyOnce);
        let mut all_here = subscribe(&here, "same/#");
        let mut all_there = subscribe(&there, "same/#");
        here.send(Message::new("same/a", "from here", QoS::ExactlyOnce)).expect("delivered");
        there.send(Message::new("same/a", "from there", QoS::ExactlyOnce)).expect("delivered");
        for to in [&mut all_here, &mut all_there] {
            let mut got = [(); 2].map(|()| to.next_within(PATIENCE).expect("a message").payload);
            got.sort();
            assert_eq!(got, ["from here", "from there"].map(Vec::from));
            assert!(to.next_within(Duration::from_millis(300)).is_none(), "{version}");
        }
    }
}

/// Messages from `out/` here to `site/` there, and from `to/` there to `in/` here, each with the QoS it has or
/// the highest.
fn exchange([(here, to_here), (there, to_there)]: [(&Client, &mut Subscription); 2], highest: QoS) {
    for n in 0..30 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        let payload = n.to_string().repeat(1 + n * 1000);
        here.send(Message::new("out/a", payload.clone(), qos)).expect("delivered");
        there.send(Message::new("to/a", payload.clone(), qos.min(highest))).expect("delivered");
        for (to, topic) in [(&mut *to_there, "site/a"), (&mut *to_here, "in/a")] {
            let got = to.next_within(PATIENCE).expect("a message");
            assert_eq!((&*got.topic, got.qos), (topic, qos.min(highest)));
            assert_eq!(got.text(), Some(&*payload));
        }
    }
    assert!(to_there.next_within(Duration::from_millis(200)).is_none());
    assert!(to_here.next_within(Duration::from_millis(50)).is_none());
}

/// A bridge with these addresses to a broker that a client can reach there.
fn bridged(addresses: &str, more: &str, version: &str, there: &Client, highest: QoS) {
    let topics = [topic("out", "#", "out/", "site/"), topic("in", "#", "in/", "to/")].concat();
    let config = bridge("127.0.0.1:2", version, &format!("{more}\n{topics}"));
    let config = config.replace("\"127.0.0.1:1\", \"127.0.0.1:2\"", addresses);
    let near = Station::new(Kind::Motewire, &config);
    let here = near.client("here", Version::V5);
    let mut to_there = subscribe(there, "site/#");
    let mut to_here = subscribe(&here, "in/#");
    joined(&here, "out/join", &mut to_there);
    joined(there, "to/join", &mut to_here);
    exchange([(&here, &mut to_here), (there, &mut to_there)], highest);
}

/// [MQTT-6.0.0-1] to [MQTT-6.0.0-4].
#[test]
fn a_bridge_goes_over_websocket_and_tls() {
    let keys = tempfile::tempdir().expect("a temporary folder");
    certificates::write(keys.path(), &["server"]);
    let file = |name: &str| keys.path().join(name).display().to_string();
    let [ws, wss, tls] = [(); 3].map(|()| free_address().port());
    let far = Station::new(
        Kind::Motewire,
        &format!(
            "[[listener]]\naddress = \"127.0.0.1:{ws}\"\nwebsocket = true\n\
             [[listener]]\naddress = \"127.0.0.1:{wss}\"\nwebsocket = true\ntls = true\n\
             [[listener]]\naddress = \"127.0.0.1:{tls}\"\ntls = true\n\
             [tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            file("server.pem"),
            file("server.key")
        ),
    );
    let trust = format!("tls = {{ ca = \"{}\" }}", file("ca.pem"));
    let there = far.client("there", Version::V5);
    for (address, version) in [
        (format!("\"mqtt://127.0.0.1:{}\"", far.address.port()), "3.1.1"),
        (format!("\"mqtts://localhost:{tls}\""), "3.1.1"),
        (format!("\"ws://127.0.0.1:{ws}\""), "3.1.1"),
        (format!("\"ws://127.0.0.1:{ws}/other\", \"ws://localhost:{ws}/mqtt?a\""), "5"),
        (format!("\"wss://localhost:{wss}/mqtt\""), "5"),
    ] {
        bridged(&address, &trust, version, &there, QoS::ExactlyOnce);
    }
}

#[test]
fn a_bridge_goes_over_websocket_to_aedes() {
    if peer("npm:ws").is_none() {
        return;
    }
    let Some(mut command) = peer("npm:aedes") else { return };
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/aedes.js")).arg("open");
    let aedes = Program::start(command);
    let url = format!("ws://127.0.0.1:{}/mqtt", aedes.line(PATIENCE).expect("its port"));
    // Two of them meet there.
    let one = |client_id: &str, topic: &str| {
        let config = bridge("127.0.0.1:2", "3.1.1", topic).replace("127.0.0.1:2", &url);
        Station::new(Kind::Motewire, &config.replace("\"bridge\"", client_id))
    };
    let near = one("\"a\"", &topic("out", "#", "out/", "site/"));
    let far = one("\"b\"", &topic("in", "#", "in/", "site/"));
    let (here, there) = (near.client("here", Version::V5), far.client("there", Version::V5));
    let mut to_there = subscribe(&there, "in/#");
    joined(&here, "out/join", &mut to_there);
    for n in 0..30 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        let payload = n.to_string().repeat(1 + n * 5000);
        here.send(Message::new("out/a", payload.clone(), qos)).expect("delivered");
        let got = to_there.next_within(PATIENCE).expect("a message");
        assert_eq!((&*got.topic, got.qos, got.text()), ("in/a", qos, Some(&*payload)));
    }
}

/// Three brokers, each with a bridge to the next one, which carries all both ways.
fn ring(max_hops: &str) -> [Station; 3] {
    let to = |other: &Station| {
        let all = format!("{max_hops}\n{}", topic("both", "#", "", ""));
        bridge(other.address, "5", &all)
    };
    let mut a = Station::new(Kind::Motewire, "");
    let b = Station::new(Kind::Motewire, &to(&a));
    let c = Station::new(Kind::Motewire, &to(&b));
    a.kill();
    a.more = to(&c);
    a.start();
    [a, b, c]
}

/// How often each of so many messages of the first client arrives at each one, all published on all brokers.
fn copies(ring: &[Station; 3]) -> [Vec<usize>; 3] {
    const COUNT: usize = 30;
    let clients = ring.each_ref().map(|station| station.client("c", Version::V5));
    let [a, b, c] = &clients;
    let mut subscriptions = clients.each_ref().map(|client| subscribe(client, "#"));
    for (from, to) in [(a, 1), (b, 2), (c, 0), (b, 0), (c, 1), (a, 2)] {
        joined(from, "join", &mut subscriptions[to]);
    }
    for subscription in &mut subscriptions {
        while subscription.next_within(Duration::from_millis(300)).is_some() {}
    }
    for n in 0..COUNT {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        a.send(Message::new("ring", n.to_string(), qos)).expect("delivered");
    }
    subscriptions.each_mut().map(|subscription| {
        let mut counts = vec![0; COUNT];
        let mut patience = PATIENCE;
        while let Some(got) = subscription.next_within(patience) {
            counts[got.text().and_then(|text| text.parse::<usize>().ok()).expect("a number")] += 1;
            if !counts.contains(&0) {
                patience = Duration::from_secs(1);
            }
        }
        counts
    })
}

#[test]
fn a_ring_of_bridges_sends_no_message_round_for_ever() {
    // Over one bridge each, as each broker has one to each other.
    let once = copies(&ring("max_hops = 1"));
    assert_eq!(once, [1; 3].map(|count| vec![count; 30]));
    // Over each bridge once, round both ways.
    let all = copies(&ring(""));
    assert_eq!(all, [3, 2, 2].map(|count| vec![count; 30]));
}

/// NATS 2.9 grants no QoS 2, hangs up where a message has it, and hangs up where a topic has a blank or a dot.
#[test]
fn a_bridge_to_nats_goes_with_qos_1_and_gives_up_what_is_hung_up_on() {
    let Some(mut command) = peer("nats-server") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, plain) = (free_address(), free_address());
    let (config, log) = (folder.path().join("config"), folder.path().join("log"));
    let lines = format!(
        "server_name: one\nlisten: \"{plain}\"\nmqtt {{ listen: \"{address}\" }}\n\
         jetstream {{ store_dir: {:?}, max_file_store: 64MB, max_memory_store: 16MB }}\n",
        folder.path().join("data")
    );
    fs::write(&config, lines).expect("the folder can be written");
    command.arg("-c").arg(&config).arg("-l").arg(&log);
    let _nats = Program::start(command);
    let log = || fs::read_to_string(&log).unwrap_or_default();
    assert!(until(|| log().contains("Server is ready")), "{}", log());
    let server = Server::tcp(&address.ip().to_string(), address.port());
    let mut options = Options::new(server);
    options.version = Version::V311;
    options.client_id = "there".into();
    let there = Client::connect_with(options).expect("a connection");
    bridged(&format!("\"{address}\""), "max_qos = 1", "3.1.1", &there, QoS::AtLeastOnce);

    let topics = format!("max_qos = 1\n{}", topic("both", "#", "same/", "same/"));
    let near = Station::new(Kind::Motewire, &bridge(address, "3.1.1", &topics));
    let here = near.client("here", Version::V311);
    let mut to_there = subscribe(&there, "same/#");
    let mut to_here = subscribe(&here, "same/#");
    joined(&here, "same/join", &mut to_there);
    joined(&there, "same/join", &mut to_here);
    for to in [&mut to_here, &mut to_there] {
        while to.next_within(Duration::from_millis(300)).is_some() {}
    }
    for (topic, payload) in [("same/a b", "no"), ("same/a", "one"), ("same/a.b", "no")] {
        here.send(Message::new(topic, payload, QoS::AtLeastOnce)).expect("delivered");
        assert_eq!(to_here.next_within(PATIENCE).expect("its own").text(), Some(payload));
    }
    here.send(Message::new("same/a", "two", QoS::AtLeastOnce)).expect("delivered");
    for payload in ["one", "two"] {
        let got = to_there.next_within(PATIENCE).expect("a message");
        assert_eq!((&*got.topic, got.text()), ("same/a", Some(payload)), "{}", near.log());
    }
    assert_eq!(to_here.next_within(PATIENCE).expect("its own").text(), Some("two"));
    assert!(to_here.next_within(Duration::from_millis(300)).is_none(), "nothing comes back");
}

/// RabbitMQ, which takes QoS 2 for QoS 1 in both directions.
pub(crate) fn a_bridge_to_rabbitmq_carries_messages_with_qos_1(address: SocketAddr) {
    let server = Server::tcp(&address.ip().to_string(), address.port());
    let mut options = Options::new(server);
    options.version = Version::V311;
    options.client_id = "there".into();
    let there = Client::connect_with(options).expect("a connection");
    bridged(&format!("\"{address}\""), "", "3.1.1", &there, QoS::AtLeastOnce);
    bridged(&format!("\"{address}\""), "max_qos = 1", "3.1.1", &there, QoS::AtLeastOnce);
}

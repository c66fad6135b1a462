//! Messages on their way: bounds, order, expiry, and one outcome each.

use core::time::Duration;

use mqtt_codec::{
    Connect, Packet, Property, Publish, QoS, ReasonCode, Rules, Sender, TopicName, Version,
};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{
    Entry, Error, Instant, Limit, Misuse, Outcome, Overflow, Queue, QueueConfig, Ticket,
};

type Outcomes = Vec<(Ticket, Outcome)>;

const START: Instant = Instant::from_millis(1_000_000);
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];
const SESSION_PRESENT: [u8; 5] = [0x20, 3, 1, 0, 0];

fn config(max_messages: u16, max_bytes: u32, overflow: Overflow) -> QueueConfig {
    let mut config = QueueConfig::default();
    config.max_messages = max_messages;
    config.max_bytes = max_bytes;
    config.overflow = overflow;
    config
}

fn message<'a>(qos: QoS, payload: &'a [u8]) -> Publish<'a> {
    Publish { qos, ..Publish::new(TopicName::new("a/b").unwrap(), payload) }
}

/// A client and what it sends, against a server of hand-written bytes.
struct Client {
    session: Session<'static>,
    queue: Queue<'static>,
    outcomes: Outcomes,
    tx: Vec<u8>,
    now: Instant,
}

impl Client {
    fn new(config: QueueConfig) -> Self {
        Self {
            session: Session::new(Config::default(), Slots::heap(16)),
            queue: Queue::heap(config),
            outcomes: Vec::new(),
            tx: Vec::new(),
            now: START,
        }
    }

    fn submit(&mut self, publish: &Publish<'_>) -> Result<Ticket, Error> {
        let outcomes = &mut self.outcomes;
        let mut done = |ticket, outcome| outcomes.push((ticket, outcome));
        self.queue.submit(self.now, publish, &mut done)
    }

    fn connect(&mut self, connack: &[u8]) {
        self.session.closed();
        let connect = Connect { clean_start: false, ..Connect::new(Version::V5, "c") };
        self.session.connect(self.now, &connect, &mut self.tx).unwrap();
        self.tx.clear();
        self.receive(connack);
    }

    fn receive(&mut self, mut rx: &[u8]) {
        let outcomes = &mut self.outcomes;
        let mut done = |ticket, outcome| outcomes.push((ticket, outcome));
        let (session, tx) = (&mut self.session, &mut self.tx);
        while let Some(event) = session.receive(self.now, &mut rx, tx).unwrap() {
            self.queue.on_event(&event, &mut done);
            self.queue.send(self.now, session, tx, &mut done).unwrap();
        }
        assert!(rx.is_empty());
    }

    /// What was sent: QoS, DUP, payload and Message Expiry Interval of each message.
    fn sent(&mut self) -> Vec<(u8, bool, Vec<u8>, Option<u32>)> {
        let bytes = core::mem::take(&mut self.tx);
        let rules = Rules::new(Version::V5, Sender::Client);
        let mut rest = &bytes[..];
        let mut sent = Vec::new();
        while let Some(packet) = rules.decode(&mut rest).unwrap() {
            if let Packet::Publish(p) = packet {
                let expiry = p.properties.message_expiry_interval();
                sent.push((p.qos.bits(), p.dup, p.payload.to_vec(), expiry));
            }
        }
        sent
    }
}

#[test]
fn messages_wait_for_a_connection_and_keep_their_order() {
    let mut client = Client::new(QueueConfig::default());
    let qos = [QoS::AtMostOnce, QoS::ExactlyOnce, QoS::AtLeastOnce];
    let tickets: Vec<Ticket> =
        (0..3_u8).map(|i| client.submit(&message(qos[i as usize], &[i])).unwrap()).collect();
    assert!(client.queue.has_waiting());
    client.connect(&CONNACK);
    let sent: Vec<u8> = client.sent().iter().map(|sent| sent.2[0]).collect();
    assert_eq!(sent, [0, 1, 2]);
    assert!(!client.queue.has_waiting());
    client.receive(&[0x40, 2, 0, 2]); // PUBACK
    client.receive(&[0x50, 2, 0, 1]); // PUBREC
    client.receive(&[0x70, 2, 0, 1]); // PUBCOMP
    let success = Outcome::Delivered(ReasonCode::Success);
    assert_eq!(
        client.outcomes,
        [(tickets[0], Outcome::Sent), (tickets[2], success), (tickets[1], success)]
    );
    assert!(client.queue.is_empty());
    assert_eq!(client.queue.bytes(), 0);
}

#[test]
fn a_full_queue_does_what_its_policy_says() {
    for (overflow, left) in
        [(Overflow::Error, [0, 1]), (Overflow::DropOldest, [1, 2]), (Overflow::DropNewest, [0, 1])]
    {
        let mut client = Client::new(config(2, 1000, overflow));
        let tickets: Vec<_> =
            (0..3_u8).map(|i| client.submit(&message(QoS::AtLeastOnce, &[i]))).collect();
        match overflow {
            Overflow::Error => {
                assert_eq!(tickets[2], Err(Error::QueueFull));
                assert_eq!(client.outcomes, []);
            }
            Overflow::DropOldest => {
                assert_eq!(client.outcomes, [(tickets[0].unwrap(), Outcome::Dropped)]);
            }
            Overflow::DropNewest => {
                assert_eq!(client.outcomes, [(tickets[2].unwrap(), Outcome::Dropped)]);
            }
        }
        client.connect(&CONNACK);
        let sent: Vec<u8> = client.sent().iter().map(|sent| sent.2[0]).collect();
        assert_eq!(sent, left);
    }
}

#[test]
fn the_queue_is_bounded_by_bytes_and_never_drops_what_is_in_flight() {
    let mut client = Client::new(config(100, 500, Overflow::DropOldest));
    client.connect(&CONNACK);
    let in_flight = client.submit(&message(QoS::AtLeastOnce, &[0; 200])).unwrap();
    client.receive(&[0xD0, 0]);
    let mut done = |_, _| panic!("nothing is done");
    client.queue.send(START, &mut client.session, &mut client.tx, &mut done).unwrap();
    for i in 0..10 {
        client.submit(&message(QoS::AtLeastOnce, &[i; 100])).unwrap();
        assert!(client.queue.bytes() <= 500);
    }
    // Nothing is dropped for what cannot fit.
    let dropped = client.outcomes.len();
    assert_eq!(client.submit(&message(QoS::AtLeastOnce, &[0; 400])), Err(Error::QueueFull));
    assert_eq!(client.outcomes.len(), dropped);
    assert_eq!(dropped, 8);
    assert!(client.outcomes.iter().all(|(t, o)| *t != in_flight && *o == Outcome::Dropped));
}

#[test]
fn message_expiry_is_counted_down_while_waiting_mqtt_3_3_2_6() {
    let mut client = Client::new(QueueConfig::default());
    let expiry = |seconds| [Property::MessageExpiryInterval(seconds)];
    let (short, long) = (expiry(5), expiry(60));
    let expired = {
        let message = Publish { properties: short[..].into(), ..message(QoS::AtLeastOnce, b"s") };
        client.submit(&message).unwrap()
    };
    let message = Publish { properties: long[..].into(), ..message(QoS::AtLeastOnce, b"l") };
    client.submit(&message).unwrap();
    assert_eq!(client.queue.next_timeout(), Some(START + Duration::from_secs(5)));
    client.now = START + Duration::from_millis(10_500);
    client.connect(&CONNACK);
    assert_eq!(client.outcomes, [(expired, Outcome::Expired)]);
    assert_eq!(client.sent(), [(1, false, b"l".to_vec(), Some(50))]);
    // Sent again it has less left; but it is never given up [MQTT-4.3.3-7].
    client.now = START + Duration::from_secs(20);
    client.connect(&SESSION_PRESENT);
    assert_eq!(client.sent(), [(1, true, b"l".to_vec(), Some(40))]);
    client.now = START + Duration::from_secs(100);
    client.connect(&SESSION_PRESENT);
    assert_eq!(client.sent(), [(1, true, b"l".to_vec(), Some(0))]);
    assert_eq!(client.outcomes.len(), 1);
}

#[test]
fn a_lost_session_resends_qos_1_and_reports_qos_2_as_in_doubt() {
    for resend_lost in [true, false] {
        let mut config = QueueConfig::default();
        config.resend_lost = resend_lost;
        let mut client = Client::new(config);
        client.connect(&CONNACK);
        let payloads = [b"0", b"1", b"2", b"3"];
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtLeastOnce];
        let mut tickets = Vec::new();
        for i in 0..4 {
            tickets.push(client.submit(&message(qos[i], payloads[i])).unwrap());
        }
        let mut done = |_, _| panic!("nothing is done");
        client.queue.send(START, &mut client.session, &mut client.tx, &mut done).unwrap();
        assert_eq!(client.sent().len(), 4);
        client.receive(&[0x50, 2, 0, 3]); // PUBREC for the third
        client.tx.clear();
        client.connect(&CONNACK);
        let sent = client.sent();
        let in_doubt = |i: usize| (tickets[i], Outcome::InDoubt);
        let arrived = (tickets[2], Outcome::Delivered(ReasonCode::Success));
        if resend_lost {
            assert_eq!(client.outcomes, [in_doubt(1), arrived]);
            assert_eq!(sent, [(1, false, b"0".to_vec(), None), (1, false, b"3".to_vec(), None)]);
        } else {
            assert_eq!(client.outcomes, [in_doubt(0), in_doubt(1), arrived, in_doubt(3)]);
            assert!(sent.is_empty());
        }
    }
}

#[test]
fn what_the_server_refuses_or_does_not_allow_is_told_once() {
    let mut client = Client::new(QueueConfig::default());
    // Maximum QoS 1, Maximum Packet Size 40.
    client.connect(&[0x20, 10, 0, 0, 7, 0x24, 1, 0x27, 0, 0, 0, 40]);
    let too_good = client.submit(&message(QoS::ExactlyOnce, b"1")).unwrap();
    let too_large = client.submit(&message(QoS::AtLeastOnce, &[0; 50])).unwrap();
    let unwanted = client.submit(&message(QoS::AtLeastOnce, b"2")).unwrap();
    client.receive(&[0xD0, 0]);
    let (outcomes, now) = (&mut client.outcomes, client.now);
    let mut done = |ticket, outcome| outcomes.push((ticket, outcome));
    client.queue.send(now, &mut client.session, &mut client.tx, &mut done).unwrap();
    client.receive(&[0x40, 3, 0, 1, 0x87]); // PUBACK: Not authorized
    assert_eq!(client.outcomes[0], (too_good, Outcome::Refused(Limit::MaximumQoS.into())));
    assert!(matches!(
        client.outcomes[1],
        (t, Outcome::Refused(Error::Encode(_))) if t == too_large
    ));
    assert_eq!(client.outcomes[2..], [(unwanted, Outcome::Rejected(ReasonCode::NotAuthorized))]);
}

#[test]
fn a_message_to_keep_needs_its_topic_and_no_identifier() {
    let mut client = Client::new(QueueConfig::default());
    let alias = [Property::TopicAlias(1.try_into().unwrap())];
    let aliased = Publish { properties: alias[..].into(), ..message(QoS::AtLeastOnce, b"") };
    assert_eq!(client.submit(&aliased), Err(Misuse::NoTopic.into()));
    let named =
        Publish { packet_id: mqtt_codec::PacketId::new(1), ..message(QoS::AtLeastOnce, b"") };
    assert_eq!(client.submit(&named), Err(Misuse::PacketIdGiven.into()));
    assert!(client.queue.is_empty());
}

#[test]
fn lent_storage_does_what_the_heap_does() {
    let mut entries = [Entry::default(); 8];
    let mut bytes = [0; 600];
    let mut lent = Queue::lent(&mut entries, &mut bytes, config(0, 0, Overflow::DropOldest));
    let mut heap = Queue::heap(config(8, 600, Overflow::DropOldest));
    let mut random = 7_u32;
    let (mut one, mut other) = (Outcomes::new(), Outcomes::new());
    for step in 0..3000_u32 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let payload = vec![step as u8; (random >> 16) as usize % 200];
        let expiry = [Property::MessageExpiryInterval(1 + (random >> 8 & 7))];
        let message =
            Publish { properties: expiry[..].into(), ..message(QoS::AtLeastOnce, &payload) };
        let now = Instant::from_millis(u64::from(step) * 300);
        let mut done = |ticket, outcome| one.push((ticket, outcome));
        let first = lent.submit(now, &message, &mut done);
        let mut done = |ticket, outcome| other.push((ticket, outcome));
        assert_eq!(first, heap.submit(now, &message, &mut done));
        assert!(lent.iter().eq(heap.iter()));
        assert_eq!(lent.bytes(), heap.bytes());
        assert!(lent.bytes() <= 600);
    }
    assert_eq!(one, other);
    assert!(one.iter().any(|(_, outcome)| *outcome == Outcome::Dropped));
    assert!(one.iter().any(|(_, outcome)| *outcome == Outcome::Expired));
}

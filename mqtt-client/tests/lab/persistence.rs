//! Programs that are killed and run again with what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

use core::time::Duration;
use futures::future::BoxFuture;
use mqtt_client::{
    Changes, Client, Error, Message, Options, PublishError, QoS, Resumed, Store, Version,
};

use crate::cancellation::Random;
use crate::network::{Cut, Network};
use crate::{BOTH, in_time, options, persistent, start};

/// A disk: what it takes to write is there only once that is done.
#[derive(Debug, Default)]
struct Disk {
    records: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
    commits: Arc<Mutex<usize>>,
    latency: Duration,
    breaks: Mutex<bool>,
}

impl Disk {
    fn slow(milliseconds: u64) -> Arc<Self> {
        Arc::new(Self { latency: Duration::from_millis(milliseconds), ..Self::default() })
    }

    fn is_empty_but_for_the_client(&self) -> bool {
        self.records.lock().expect("no panic").len() <= 1
    }
}

impl Store for Disk {
    fn load(&self) -> io::Result<BTreeMap<u64, Vec<u8>>> {
        Ok(self.records.lock().expect("no panic").clone())
    }

    fn commit(&self, changes: Changes) -> BoxFuture<'static, io::Result<()>> {
        let (records, commits) = (Arc::clone(&self.records), Arc::clone(&self.commits));
        let (latency, breaks) = (self.latency, *self.breaks.lock().expect("no panic"));
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            if breaks {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *commits.lock().expect("no panic") += 1;
            let mut records = records.lock().expect("no panic");
            for (key, value) in changes {
                match value {
                    Some(value) => drop(records.insert(key, value)),
                    None => drop(records.remove(&key)),
                }
            }
            Ok(())
        })
    }
}

fn stored(version: Version, disk: &Arc<Disk>) -> Options {
    let mut options = persistent(version);
    let disk: Arc<dyn Store> = Arc::<Disk>::clone(disk);
    options.store = Some(disk);
    options
}

/// Runs the program, with a driver that can be killed.
fn run(options: Options, network: &Network) -> (Client, tokio::task::JoinHandle<()>) {
    let (client, driver) = Client::with_runtime(options, network.clone()).expect("good options");
    (client, tokio::spawn(driver))
}

async fn kill(driver: tokio::task::JoinHandle<()>, network: &Network) {
    driver.abort();
    let _ = driver.await;
    // The server sees the end of the connection.
    network.hang_up(None);
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_arrives_however_often_the_program_is_killed_mqtt_4_3() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for seed in 0..6 {
                let mut random = Random(seed);
                let network = Network::new();
                let disk = Disk::slow(seed % 3);
                let mut accepted = BTreeSet::new();
                for life in 0..25_u32 {
                    let (client, driver) = run(stored(version, &disk), &network);
                    let publisher = client.clone();
                    let mut task = tokio::spawn(async move {
                        let mut accepted = Vec::new();
                        for n in 0.. {
                            let text = (life * 1000 + n).to_string();
                            let message = Message::new("a", text.clone(), qos);
                            let delivery = publisher.enqueue(message).await;
                            drop(delivery);
                            if publisher.stored().await.is_err() {
                                return accepted;
                            }
                            accepted.push(text);
                            if n % 4 == 3 {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                        }
                        accepted
                    });
                    for _ in 0..random.below(60) {
                        tokio::task::yield_now().await;
                    }
                    tokio::time::sleep(Duration::from_millis(random.below(12))).await;
                    kill(driver, &network).await;
                    accepted.extend(in_time(&mut task).await.expect("no panic"));
                    drop(client);
                }
                let (client, _driver) = run(stored(version, &disk), &network);
                in_time(client.publish("a", "end", qos)).await.expect("delivered");
                assert!(in_time(client.disconnect()).await.is_empty());
                assert!(disk.is_empty_but_for_the_client(), "nothing is left behind");
                let messages = network.lock().messages.clone();
                let arrived: BTreeSet<String> = messages.iter().cloned().collect();
                assert!(accepted.len() > 20, "{}", accepted.len());
                assert!(accepted.is_subset(&arrived), "{version:?} {qos:?} {seed}");
                if qos == QoS::ExactlyOnce {
                    assert_eq!(arrived.len(), messages.len(), "{version:?} {seed}");
                }
                // The first arrivals are in the order of publishing.
                let mut seen = BTreeSet::new();
                let firsts: Vec<u32> = messages
                    .iter()
                    .filter_map(|text| text.parse().ok())
                    .filter(|n| seen.insert(*n))
                    .collect();
                assert!(firsts.is_sorted(), "{version:?} {qos:?} {seed}");
                assert!(!network.lock().log.iter().any(|line| line.starts_with("error")));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_qos_2_that_is_acknowledged_and_stored_never_comes_again_mqtt_4_3_3_10() {
    for version in BOTH {
        for seed in 0..20 {
            let mut random = Random(seed);
            let network = Network::new();
            let disk = Disk::slow(seed % 3);
            let (mut sent, mut done) = (0, BTreeSet::new());
            let mut seen = BTreeSet::new();
            for life in 0..20 {
                let mut options = stored(version, &disk);
                options.manual_acknowledge = true;
                let (client, driver) = run(options, &network);
                let mut subscription =
                    in_time(client.subscribe("in", QoS::ExactlyOnce)).await.expect("granted");
                for _ in 0..random.below(10) {
                    network.publish("in", &sent.to_string(), QoS::ExactlyOnce);
                    sent += 1;
                }
                let lives = if life == 19 { u64::MAX } else { random.below(12) };
                for _ in 0..lives {
                    let next = tokio::time::timeout(Duration::from_secs(2), subscription.next());
                    let Ok(Some(message)) = next.await else { break };
                    let text = message.text().expect("text").to_owned();
                    assert!(!done.contains(&text), "{version:?} {seed}: {text} came again");
                    seen.insert(text.clone());
                    message.acknowledge();
                    if random.below(3) > 0 {
                        in_time(client.stored()).await.expect("stored");
                        done.insert(text);
                    }
                }
                kill(driver, &network).await;
            }
            assert_eq!(seen.len(), sent, "{version:?} {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_it_is_stored_and_many_messages_are_stored_at_once() {
    let network = Network::new();
    let disk = Disk::slow(1000);
    let client = start(stored(Version::V5, &disk), &network);
    let mut deliveries = Vec::new();
    for n in 0..500 {
        let message = Message::new("a", n.to_string(), QoS::AtLeastOnce);
        deliveries.push(client.try_publish(&message).expect("there is room"));
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(network.lock().messages.is_empty());
    in_time(client.stored()).await.expect("stored");
    for delivery in deliveries {
        in_time(delivery).await.expect("delivered");
    }
    assert!(*disk.commits.lock().expect("no panic") < 12);
    in_time(client.disconnect()).await;
    assert!(disk.is_empty_but_for_the_client());
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_while_the_server_was_away_is_delivered_by_the_next_run() {
    for version in BOTH {
        let network = Network::new();
        network.lock().up = false;
        let disk = Disk::slow(0);
        let (client, driver) = run(stored(version, &disk), &network);
        for text in ["1", "2", "3"] {
            let message = Message::new("a", text, QoS::ExactlyOnce);
            let message = message.expires_after(Duration::from_secs(100_000));
            drop(client.enqueue(message).await.expect("there is room"));
        }
        drop(client.enqueue(Message::new("a", "0", QoS::AtMostOnce)).await.expect("room"));
        in_time(client.stored()).await.expect("stored");
        kill(driver, &network).await;
        network.lock().up = true;
        // A smaller outbox takes them all the same.
        let mut options = stored(version, &disk);
        options.outbox_messages = 1;
        options.max_in_flight = Some(1);
        let client = start(options, &network);
        in_time(client.publish("a", "4", QoS::ExactlyOnce)).await.expect("delivered");
        assert_eq!(network.lock().messages, ["1", "2", "3", "4"]);
    }
}

/// A run is killed at every byte of an exchange, and the server forgets the session or not: the next run
/// is told of each message, once, what became of it.
#[tokio::test(start_paused = true)]
async fn the_next_run_is_told_what_became_of_each_message_that_was_left_mqtt_4_3() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for keeps_session in [true, false] {
                let mut doubts = 0;
                for at in 0..80 {
                    for down in [true, false] {
                        let network = Network::new();
                        let (up, down) = if down { (None, Some(at)) } else { (Some(at), None) };
                        network.lock().cuts.push_back(Cut { up, down, ..Cut::default() });
                        let disk = Disk::slow(0);
                        let mut options = stored(version, &disk);
                        // One run, one connection.
                        options.reconnect.min = Duration::from_secs(3600);
                        options.reconnect.max = Duration::from_secs(3600);
                        let (client, driver) = run(options, &network);
                        for text in ["1", "2"] {
                            drop(client.enqueue(Message::new("a", text, qos)).await.expect("room"));
                        }
                        drop(client.enqueue(Message::new("a", "0", QoS::AtMostOnce)).await);
                        in_time(client.stored()).await.expect("stored");
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        let told = client.undelivered();
                        kill(driver, &network).await;
                        network.lock().keeps_session = keeps_session;

                        let (client, _driver) = run(stored(version, &disk), &network);
                        let resumed = client.resumed();
                        assert!(client.resumed().is_empty(), "once");
                        assert!(resumed.len() <= 2 && resumed.len() <= told);
                        for Resumed { message, delivery, .. } in resumed {
                            let outcome = in_time(delivery).await;
                            let text = message.text().expect("text").to_owned();
                            let times =
                                network.lock().messages.iter().filter(|t| **t == text).count();
                            let context =
                                format!("{version:?} {qos:?} {at} {text} {outcome:?} {times}");
                            match (qos, outcome) {
                                (QoS::AtLeastOnce, Ok(_)) => assert!(times >= 1, "{context}"),
                                (_, Ok(_)) => assert_eq!(times, 1, "{context}"),
                                (QoS::ExactlyOnce, Err(PublishError::InDoubt)) => {
                                    assert!(!keeps_session && times <= 1, "{context}");
                                    doubts += 1;
                                }
                                _ => panic!("{context}"),
                            }
                        }
                        in_time(client.disconnect()).await;
                        assert!(disk.is_empty_but_for_the_client());
                    }
                }
                assert_eq!(doubts > 0, qos == QoS::ExactlyOnce && !keeps_session);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_expired_while_no_program_ran_is_told_so_by_the_next_run_mqtt_3_3_2_3_3() {
    let network = Network::new();
    network.lock().up = false;
    let disk = Disk::slow(0);
    let (client, driver) = run(stored(Version::V5, &disk), &network);
    for (text, expiry) in [("old", Duration::from_secs(1)), ("young", Duration::from_secs(10_000))]
    {
        let message = Message::new("a", text, QoS::AtLeastOnce).expires_after(expiry);
        drop(client.enqueue(message).await);
    }
    let _ = in_time(client.stored()).await;
    // As the clock of the machine goes on while nothing runs, which virtual time does not move.
    for record in disk.records.lock().expect("no panic").values_mut() {
        if record.ends_with(b"old") {
            record[..8].copy_from_slice(&1_u64.to_be_bytes());
        }
    }
    kill(driver, &network).await;
    network.lock().up = true;
    let client = start(stored(Version::V5, &disk), &network);
    let mut outcomes = Vec::new();
    for Resumed { message, delivery, .. } in client.resumed() {
        outcomes.push((message.text().expect("text").to_owned(), in_time(delivery).await.is_ok()));
    }
    assert_eq!(outcomes, [("old".into(), false), ("young".into(), true)]);
    assert_eq!(network.lock().messages, ["young"]);
}

/// What an earlier run has left takes up the room of what is new, run after run, whether anybody asks for
/// its outcomes or not.
#[tokio::test(start_paused = true)]
async fn what_earlier_runs_have_left_grows_no_further_than_the_outbox() {
    let network = Network::new();
    network.lock().up = false;
    let disk = Disk::slow(0);
    let limited = || {
        let mut options = stored(Version::V5, &disk);
        options.outbox_messages = 3;
        options
    };
    for n in 0..4 {
        let (client, driver) = run(limited(), &network);
        let taken = client.try_publish(&Message::new("a", "x", QoS::ExactlyOnce));
        assert_eq!(taken.is_ok(), n < 3, "in run {n}");
        assert_eq!(client.undelivered(), (n + 1).min(3));
        let _ = in_time(client.stored()).await;
        kill(driver, &network).await;
    }
    network.lock().up = true;
    let client = start(limited(), &network);
    for n in 0..100 {
        in_time(client.publish("a", n.to_string(), QoS::ExactlyOnce)).await.expect("delivered");
    }
    let resumed = client.resumed();
    assert_eq!(resumed.len(), 3, "it is there, however late somebody asks");
    for Resumed { delivery, .. } in resumed {
        in_time(delivery).await.expect("delivered");
    }
    assert_eq!(network.lock().messages.len(), 103);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_client_and_nothing_is_sent() {
    let network = Network::new();
    let disk = Disk::slow(5);
    *disk.breaks.lock().expect("no panic") = true;
    let client = start(stored(Version::V5, &disk), &network);
    drop(client.enqueue(Message::new("a", "x", QoS::AtLeastOnce)).await.expect("room"));
    assert!(matches!(in_time(client.stored()).await, Err(Error::Store(_))));
    assert!(matches!(in_time(client.stored()).await, Err(Error::Store(_))));
    assert!(network.lock().messages.is_empty());
}

#[cfg(feature = "redb")]
#[tokio::test(start_paused = true)]
async fn the_next_client_can_open_the_file_as_soon_as_the_last_one_is_closed() {
    use mqtt_client::DiskStore;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    for n in 0..20 {
        let network = Network::new();
        network.lock().up = n % 2 == 0;
        let mut options = persistent(Version::V5);
        options.store = Some(Arc::new(DiskStore::open(&path).expect("nobody has it")));
        let client = start(options, &network);
        drop(client.enqueue(Message::new("a", "x", QoS::AtLeastOnce)).await.expect("room"));
        if n % 4 < 2 {
            client.disconnect().await;
        } else {
            client.abort().await;
        }
    }
}

/// To make a database takes several writes, and who is killed in between leaves a file without its mark.
#[cfg(feature = "redb")]
#[test]
fn a_program_that_is_killed_while_it_makes_its_file_can_open_it_the_next_time() {
    use mqtt_client::DiskStore;
    use std::fs;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    let making = DiskStore::open(&path).expect("a new one");
    let whole = fs::read(&path).expect("it is there");
    drop(making);
    let unmarked = [&[0; 9], &whole[9..]].concat();
    let states = [vec![], vec![1; 1], vec![0; 1], vec![0; whole.len()], unmarked, whole];
    for (n, begun) in states.into_iter().enumerate() {
        let path = folder.path().join(n.to_string());
        fs::write(&path, &begun).expect("it can be written");
        let store = DiskStore::open(&path);
        if begun == [1] {
            assert!(store.is_err(), "it is no file of ours");
            continue;
        }
        let store = store.expect("it is a store");
        assert!(store.load().expect("it can be read").is_empty());
        assert!(DiskStore::open(&path).is_err(), "only one at a time");
    }
    // What is somebody else's stays.
    let others = [b"a diary".repeat(1000), vec![0; 5 << 20]];
    for (n, other) in others.into_iter().enumerate() {
        let path = folder.path().join(format!("other{n}"));
        fs::write(&path, &other).expect("it can be written");
        let error = DiskStore::open(&path).expect_err("no store");
        assert!(error.to_string().contains("nor a database"), "{error}");
        assert!(fs::read(&path).expect("it is there") == other);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_of_another_client_or_of_something_else_is_not_taken() {
    let network = Network::new();
    let disk = Disk::slow(0);
    let client = start(stored(Version::V5, &disk), &network);
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    in_time(client.disconnect()).await;
    let mut other = stored(Version::V5, &disk);
    other.client_id = "d".into();
    let made = Client::with_runtime(other, network.clone());
    assert!(matches!(made, Err(Error::Store(_))));
    disk.records.lock().expect("no panic").insert(77, Vec::new());
    let made = Client::with_runtime(stored(Version::V5, &disk), network.clone());
    assert!(matches!(made, Err(Error::Store(_))));
}

#[tokio::test(start_paused = true)]
async fn without_a_store_everything_counts_as_stored() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    in_time(client.stored()).await.expect("there is nothing to wait for");
    in_time(client.disconnect()).await;
    assert!(in_time(client.stored()).await.is_err());
}

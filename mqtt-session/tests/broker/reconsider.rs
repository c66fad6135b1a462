//! A policy that has changed its mind.

use alloc::sync::Arc;
use std::sync::Mutex;

use mqtt_codec::{QoS, ReasonCode, Subscription, Version};
use mqtt_session::broker::{Admission, Bridge, Client, Config, Policy, QueueBounds};

use crate::durable::Disk;
use crate::harness::{BOTH, Net, subscription};

/// Who may not stay, and what is said to subscriptions by their filters; all else is allowed.
#[derive(Debug, Default)]
struct Minds {
    gone: Vec<&'static str>,
    answers: Vec<(&'static str, Admission)>,
}

struct Changing(Arc<Mutex<Minds>>);

impl Policy for Changing {
    fn may_stay(&mut self, client: Client<'_>) -> bool {
        assert!(!client.is_bridge);
        !self.0.lock().unwrap().gone.contains(&client.id)
    }

    fn subscribe(&mut self, _: Client<'_>, subscription: &Subscription<'_>) -> Admission {
        let minds = self.0.lock().unwrap();
        let answer = minds.answers.iter().find(|(f, _)| *f == subscription.filter.as_str());
        answer.map_or(Admission::Allow, |(_, answer)| *answer)
    }
}

fn net() -> (Net, Arc<Mutex<Minds>>) {
    let minds = Arc::<Mutex<Minds>>::default();
    let policy = Changing(Arc::clone(&minds));
    (Net::with_both(policy, |config| config.durable = true), minds)
}

// [MQTT-3.14.4-3] has the will published: the client has not said goodbye.
#[test]
fn a_client_that_may_not_stay_is_told_so_where_it_can_be() {
    for version in BOTH {
        let (mut net, minds) = net();
        let clients = ["ann", "bob"].map(|name| net.client(version, name));
        assert_eq!(net.reconsider(), (0, 0));
        minds.lock().unwrap().gone = vec!["bob", "nobody"];
        assert_eq!(net.reconsider(), (1, 0));
        assert!(!net.is_closed(clients[0]) && net.is_closed(clients[1]));
        let told = (version == Version::V5).then_some(ReasonCode::NotAuthorized);
        assert_eq!(net.goodbye(clients[1]), told);
        assert_eq!(net.broker.statistics().sessions, 1);
    }
}

#[test]
fn subscriptions_that_may_not_be_any_more_end_whether_their_client_is_there_or_not() {
    for version in BOTH {
        let (mut net, minds) = net();
        let mut disk = Disk::default();
        let shared = if version == Version::V5 { "$share/g/b" } else { "b" };
        let [here, away] = ["here", "away"].map(|name| net.keeper(version, name).0);
        for client in [here, away] {
            for filter in ["a", shared, "c/+", "d"] {
                net.subscribe(client, filter, QoS::AtLeastOnce);
            }
        }
        net.cut(away);
        disk.store(&mut net.broker);
        minds.lock().unwrap().answers = vec![
            (shared, Admission::Refuse(ReasonCode::NotAuthorized)),
            ("c/+", Admission::AllowUpTo(QoS::AtMostOnce)),
            ("d", Admission::Later),
        ];
        assert_eq!(net.reconsider(), (0, 2));
        assert_eq!(net.reconsider(), (0, 0));
        assert_eq!(net.broker.statistics().subscriptions, 6);
        disk.store(&mut net.broker);
        assert_eq!(disk, Disk::of(&net.broker), "what is stored is what there is");
        let publisher = net.client(version, "p");
        for topic in ["a", "b", "c/1", "d"] {
            net.publish(publisher, topic, topic, QoS::AtLeastOnce);
        }
        let got: Vec<_> = net.messages(here).iter().map(|m| (m.payload, m.qos.bits())).collect();
        assert_eq!(got, [(&b"a"[..], 1), (b"c/1", 0), (b"d", 1)]);
        let (away, was_there) = net.keeper(version, "away");
        assert!(was_there);
        assert_eq!(net.payloads(away), ["a", "d"], "of QoS 0 nothing is kept");
    }
}

#[test]
fn bridges_of_ones_own_are_left_alone() {
    let (mut net, minds) = net();
    let subscriptions = [subscription("a", QoS::AtLeastOnce)];
    let queue = QueueBounds::of(&Config::default());
    net.set_bridges(&[Bridge { name: "up", subscriptions: &subscriptions, queue }]).unwrap();
    minds.lock().unwrap().answers = vec![("a", Admission::Refuse(ReasonCode::NotAuthorized))];
    assert_eq!(net.reconsider(), (0, 0));
    assert_eq!(net.broker.statistics().subscriptions, 1);
}

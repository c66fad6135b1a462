//! Messages on which the other broker hangs up, as it does that will not take a topic and has no other
//! way to say so: NATS, where one has a blank; others, where it is not allowed.
//!
//! Such a message would come first on each connection anew, and none behind it would ever go. But connections
//! also end for other reasons, and what is lost with them is not to blame. So when several in a row have ended
//! without any answer, messages go one at a time, and only one that has ended some of these alone is given up.

use alloc::collections::VecDeque;
use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{PacketId, ReasonCode};

/// After so many connections without an answer messages go one at a time.
const SUSPICIOUS: u32 = 2;

/// So many connections a message may end alone.
const HOPELESS: u32 = 3;

/// After so many messages that were given up, their topic is too, for a while: what is published again and
/// again under a name that is wrong must not hold up the rest each time.
const TOO_MANY: u32 = 2;
const WHILE: Duration = Duration::from_secs(3600);

/// How many topics are known at most.
const MAX_TOPICS: usize = 256;

/// A topic here under which messages were given up.
#[derive(Debug)]
struct Known {
    topic: String,
    given_up: u32,
    until: Instant,
}

/// What is known of that.
#[derive(Debug, Default)]
pub(super) struct Unwanted {
    /// Whether messages go one at a time on this connection.
    is_alone: bool,
    /// The first message of QoS 1 or 2 that was sent on it, by its identifier and topic here.
    first: Option<(PacketId, String)>,
    /// Whether any was answered.
    is_answered: bool,
    /// Whether the other broker has said that it ends the connection for another reason.
    is_excused: bool,
    /// Connections in a row that ended without an answer.
    endings: u32,
    /// On which message alone the last ones did, and how many.
    suspect: Option<((PacketId, String), u32)>,
    topics: VecDeque<Known>,
}

impl Unwanted {
    /// A new connection, on which messages go one at a time or not.
    pub(super) fn begin(&mut self) -> bool {
        self.is_alone = self.endings >= SUSPICIOUS;
        self.first = None;
        (self.is_answered, self.is_excused) = (false, false);
        self.is_alone
    }

    /// Whether this message is not to be sent any more: it or its topic is given up.
    pub(super) fn gives_up(&mut self, now: Instant, id: Option<PacketId>, topic: &str) -> bool {
        let is_it = |((suspect, name), _): &((PacketId, String), u32)| {
            Some(*suspect) == id && name == topic
        };
        if self.suspect.as_ref().is_some_and(|it| it.1 >= HOPELESS && is_it(it)) {
            self.suspect = None;
            self.know(now, topic);
            return true;
        }
        self.topics.retain(|known| known.until > now);
        self.topics.iter().any(|known| known.topic == topic && known.given_up >= TOO_MANY)
    }

    /// Whether a message of QoS 0 may go now: among those that go one at a time it could be to blame.
    pub(super) const fn takes_qos_0(&self) -> bool {
        !self.is_alone
    }

    /// A message of QoS 1 or 2 was sent.
    pub(super) fn sent(&mut self, id: PacketId, topic: &str) {
        self.first.get_or_insert_with(|| (id, topic.to_owned()));
    }

    /// The other broker has answered one.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
        self.endings = 0;
        self.suspect = None;
    }

    /// Whether a new connection would be better: messages go one at a time on this one, and need not.
    pub(super) const fn is_over(&self) -> bool {
        self.is_alone && self.is_answered
    }

    /// The other broker says why it ends the connection.
    pub(super) const fn excused(&mut self, reason: ReasonCode) {
        self.is_excused = !matches!(
            reason,
            ReasonCode::UnspecifiedError
                | ReasonCode::MalformedPacket
                | ReasonCode::ProtocolError
                | ReasonCode::ImplementationSpecificError
                | ReasonCode::NotAuthorized
                | ReasonCode::TopicNameInvalid
                | ReasonCode::PacketTooLarge
                | ReasonCode::PayloadFormatInvalid
                | ReasonCode::RetainNotSupported
                | ReasonCode::QoSNotSupported
        );
    }

    /// The other broker has ended the connection.
    pub(super) fn ended(&mut self) {
        let Some(first) = self.first.take().filter(|_| !self.is_answered && !self.is_excused)
        else {
            return;
        };
        self.endings = self.endings.saturating_add(1);
        if self.is_alone {
            let before = self.suspect.take().filter(|(suspect, _)| *suspect == first);
            self.suspect = Some((first, before.map_or(0, |(_, count)| count) + 1));
        }
    }

    /// A message under this topic was given up.
    fn know(&mut self, now: Instant, topic: &str) {
        let place = self.topics.iter().position(|known| known.topic == topic);
        let given_up = place.and_then(|place| self.topics.remove(place)).map_or(0, |k| k.given_up);
        if self.topics.len() >= MAX_TOPICS {
            self.topics.pop_front();
        }
        let known = Known { topic: topic.to_owned(), given_up: given_up + 1, until: now + WHILE };
        self.topics.push_back(known);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mqtt_codec::{PacketId, ReasonCode};

    use super::{MAX_TOPICS, Unwanted, WHILE};

    const ID: PacketId = PacketId::MIN;

    /// A connection on which this message is sent and not answered; `false` if it is given up instead.
    fn ends(unwanted: &mut Unwanted, now: Instant, topic: &str) -> bool {
        unwanted.begin();
        if unwanted.gives_up(now, Some(ID), topic) {
            return false;
        }
        unwanted.sent(ID, topic);
        unwanted.ended();
        true
    }

    #[test]
    fn only_a_message_that_ends_connections_alone_is_given_up() {
        let (mut unwanted, now) = (Unwanted::default(), Instant::now());
        // With others, and then alone, until another is answered.
        for _ in 0..4 {
            assert!(ends(&mut unwanted, now, "bad"));
        }
        assert!(unwanted.begin() && !unwanted.takes_qos_0());
        unwanted.sent(ID, "good");
        unwanted.answered();
        assert!(unwanted.is_over());
        unwanted.ended();
        for _ in 0..2 {
            assert!(!unwanted.begin() && unwanted.takes_qos_0());
            unwanted.sent(ID, "bad");
            unwanted.ended();
        }
        for _ in 0..3 {
            assert!(unwanted.begin() && !unwanted.is_over());
            unwanted.sent(ID, "bad");
            unwanted.ended();
        }
        // The same identifier, but another message.
        assert!(!unwanted.gives_up(now, Some(ID), "good"));
        assert!(unwanted.gives_up(now, Some(ID), "bad"));
        assert!(!unwanted.gives_up(now, Some(ID), "bad"), "the next one has a chance");
    }

    #[test]
    fn a_broker_that_ends_connections_for_another_reason_blames_no_message() {
        let mut unwanted = Unwanted::default();
        for reason in [ReasonCode::ServerShuttingDown, ReasonCode::SessionTakenOver] {
            for _ in 0..10 {
                assert!(!unwanted.begin());
                unwanted.sent(ID, "a");
                unwanted.excused(reason);
                unwanted.ended();
            }
        }
        // Neither does one that gets none.
        for _ in 0..10 {
            assert!(!unwanted.begin());
            unwanted.ended();
        }
        for _ in 0..2 {
            unwanted.begin();
            unwanted.sent(ID, "a");
            unwanted.excused(ReasonCode::TopicNameInvalid);
            unwanted.ended();
        }
        assert!(unwanted.begin());
    }

    #[test]
    fn a_topic_is_given_up_for_a_while_after_some_messages() {
        let (mut unwanted, now) = (Unwanted::default(), Instant::now());
        for connections in [5, 3] {
            for _ in 0..connections {
                assert!(ends(&mut unwanted, now, "bad"));
            }
            assert!(!ends(&mut unwanted, now, "bad"));
        }
        assert!(unwanted.gives_up(now, None, "bad") && !unwanted.gives_up(now, None, "good"));
        assert!(!unwanted.gives_up(now + WHILE, None, "bad"));
        for n in 0..MAX_TOPICS + 10 {
            unwanted.know(now, &n.to_string());
        }
        assert_eq!(unwanted.topics.len(), MAX_TOPICS);
    }
}

//! The subscriptions, and which of them a message belongs to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use futures::channel::oneshot;
use mqtt_codec::{
    PacketId, Properties, Property, Publish, QoS, ReasonCode, SubscriptionId, TopicFilter,
    TopicName,
};
use mqtt_session::Instant;
use mqtt_session::client::Session;

use crate::extent::{Batch, Extent, Waiting};
use crate::handler::Handler;
use crate::message_ref::{Duty, MessageRef};
use crate::queue::Queue;
use crate::trie::Trie;
use crate::{Error, Filter, Lag, Message};

/// What the server knows of a subscription, or of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is to be asked for.
    Wanted,
    /// It was asked for in this packet.
    Asked(PacketId),
    /// The server has agreed.
    Granted,
}

#[derive(Debug)]
struct Entry {
    key: u32,
    filter: Filter,
    sink: Sink,
    state: State,
    /// Who waits for the answer.
    done: Option<oneshot::Sender<Result<ReasonCode, Error>>>,
}

/// Where the messages of a subscription go.
#[derive(Debug)]
pub(crate) enum Sink {
    Stream(Inlet),
    Handler(Handler),
}

impl From<Arc<Queue>> for Sink {
    fn from(queue: Arc<Queue>) -> Self {
        let (staged, room) = (Batch::default(), Extent::default());
        Self::Stream(Inlet { queue, staged, room, touched: false })
    }
}

impl From<Handler> for Sink {
    fn from(handler: Handler) -> Self {
        Self::Handler(handler)
    }
}

impl Sink {
    /// Nothing will come any more.
    fn end(self, error: &Error) {
        match self {
            Self::Stream(inlet) => inlet.queue.close(),
            Self::Handler(handler) => handler.end(error.clone()),
        }
    }
}

/// The driver's end of a stream.
#[derive(Debug)]
pub(crate) struct Inlet {
    queue: Arc<Queue>,
    /// Messages that are not in the queue yet, and how much it has room for: it is locked once for many.
    staged: Batch,
    room: Extent,
    /// Whether messages were added of which nobody was told.
    touched: bool,
}

/// A subscription that ends.
#[derive(Debug)]
struct Leaving {
    filter: String,
    state: State,
    done: Option<oneshot::Sender<Result<(), Error>>>,
}

#[derive(Debug)]
pub(crate) struct Routes {
    /// By ascending key.
    entries: Vec<Entry>,
    trie: Trie,
    leaving: Vec<Leaving>,
    /// What belongs to no subscription, how much of it at most, and beside subscriptions, and how many
    /// messages came behind it whose acknowledgement has to wait for its own.
    unrouted: Queue,
    max: usize,
    max_unrouted: usize,
    behind: usize,
    /// Until then nothing is given up: the server goes on with a session, and the program may have yet to
    /// subscribe to what comes.
    patience: Option<Instant>,
    /// How much of it was given up.
    given_up: u64,
    route: Route,
    /// The places of entries that were touched.
    touched: Vec<usize>,
    /// A stream that messages of QoS 0 have filled up, so that the next one would be dropped.
    filled: Option<Arc<Queue>>,
}

/// Where the last message went. The next one mostly goes there too.
#[derive(Debug, Default)]
struct Route {
    /// Whether the rest is true; it is not once there are other subscriptions.
    is_known: bool,
    name: String,
    /// The same for messages that own their topic, those of which that came together share it.
    topic: Option<Arc<str>>,
    ids: Vec<u32>,
    /// The places of the entries, ascending.
    targets: Vec<usize>,
    /// The keys of what the filters match.
    keys: Vec<u32>,
}

impl Route {
    fn topic(&mut self) -> Arc<str> {
        let Self { topic, name, .. } = self;
        Arc::clone(topic.get_or_insert_with(|| Arc::from(name.as_str())))
    }

    /// The message of this PUBLISH, whose topic this is.
    #[inline]
    fn own(&mut self, publish: &Publish<'_>, duty: &Duty<'_>, payload: Bytes) -> Message {
        let topic = self.topic();
        MessageRef::new(&self.name, publish, duty).owned(topic, payload)
    }
}

impl Entry {
    const fn inlet(&mut self) -> Option<&mut Inlet> {
        match &mut self.sink {
            Sink::Stream(inlet) => Some(inlet),
            Sink::Handler(_) => None,
        }
    }

    fn matches(&self, topic: TopicName<'_>) -> bool {
        let Ok(filter) = TopicFilter::new(&self.filter.filter) else { return false };
        filter.shared().map_or(filter, |shared| shared.filter).matches(topic)
    }
}

impl Inlet {
    /// Puts what is staged into the queue.
    fn flush(&mut self) {
        if !self.staged.is_empty() {
            self.queue.append(&mut self.staged);
        }
        self.room = Extent::default();
    }

    /// Whether there is room for a message more.
    const fn has_room(&self) -> bool {
        self.room.takes_more_than(self.staged.extent())
    }

    /// Takes note that messages are added, the first time, and of how much it has room for.
    fn touch(&mut self, place: usize, touched: &mut Vec<usize>) {
        if !self.touched {
            self.touched = true;
            self.room = self.queue.room();
            touched.push(place);
        }
    }
}

impl Routes {
    /// So many messages that belong to no subscription are kept while there is none, and beside others, but
    /// none beyond so many bytes.
    pub(crate) fn new(max: usize, max_unrouted: usize, max_bytes: usize) -> Self {
        let unrouted = Queue::new(Extent::bound(max, max_bytes), Lag::DropOldest);
        unrouted.ignore(max == 0);
        Self {
            max,
            max_unrouted,
            behind: 0,
            patience: None,
            given_up: 0,
            entries: Vec::new(),
            trie: Trie::default(),
            leaving: Vec::new(),
            unrouted,
            route: Route::default(),
            touched: Vec::new(),
            filled: None,
        }
    }

    /// Adds a subscription that is to be asked for. What came before for it is its own.
    pub(crate) fn add(
        &mut self,
        key: u32,
        filter: Filter,
        sink: Sink,
        done: oneshot::Sender<Result<ReasonCode, Error>>,
    ) {
        let mut entry = Entry { key, filter, sink, state: State::Wanted, done: Some(done) };
        let matches = |message: &Message| {
            TopicName::new(&message.topic).is_ok_and(|topic| entry.matches(topic))
        };
        let kept = self.unrouted.take(matches);
        let panicked = self.hand_over(kept, &mut entry.sink);
        self.forget_places();
        self.trie.insert(&entry.filter.filter, key);
        let place = self.entries.partition_point(|earlier| earlier.key < key);
        self.entries.insert(place, entry);
        if let Some(error) = panicked {
            self.end(key, &error);
        }
        self.make_way();
    }

    /// Delivers what belonged to no subscription. A handler that panics gets no more of it, and why is
    /// returned.
    fn hand_over(&self, kept: Batch, sink: &mut Sink) -> Option<Error> {
        let mut panicked = None;
        for Waiting { message, hold } in kept {
            match sink {
                Sink::Stream(inlet) => inlet.queue.push(message, hold.as_ref()),
                Sink::Handler(_) if panicked.is_some() => {
                    self.unrouted.push(message, hold.as_ref());
                }
                Sink::Handler(handler) => {
                    let reason = handler.call_kept(&message).unwrap_or_else(|error| {
                        panicked = Some(error);
                        ReasonCode::UnspecifiedError
                    });
                    hold.iter().for_each(|hold| hold.answer(reason));
                }
            }
        }
        if let Sink::Stream(inlet) = sink {
            inlet.queue.wake();
        }
        panicked
    }

    /// Takes out the entry at this place.
    fn take(&mut self, place: usize) -> Entry {
        self.forget_places();
        let entry = self.entries.remove(place);
        self.trie.remove(&entry.filter.filter, entry.key);
        entry
    }

    /// Entries are about to be at other places.
    fn forget_places(&mut self) {
        self.wake();
        self.route.is_known = false;
    }

    /// Ends a subscription; the server is told unless another one has the same filter.
    pub(crate) fn remove(
        &mut self,
        key: u32,
        tell: bool,
        done: Option<oneshot::Sender<Result<(), Error>>>,
    ) {
        match self.entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(place) => {
                let Entry { filter, state, .. } = self.take(place);
                let state = if tell { state } else { State::Wanted };
                self.leave(filter.filter, state, done);
            }
            Err(_) => answer(done, Ok(())),
        }
    }

    /// Tells the server that a subscription has ended, if it knows of it and no other one has this filter.
    fn leave(
        &mut self,
        filter: String,
        state: State,
        done: Option<oneshot::Sender<Result<(), Error>>>,
    ) {
        if state == State::Wanted || self.entries.iter().any(|e| e.filter.filter == filter) {
            answer(done, Ok(()));
        } else {
            self.leaving.push(Leaving { filter, state: State::Wanted, done });
        }
    }

    /// Ends a subscription whose handler has panicked. Returns with what the message is refused.
    #[cold]
    fn end(&mut self, key: u32, error: &Error) -> ReasonCode {
        if let Ok(place) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
            let Entry { filter, state, sink, done, .. } = self.take(place);
            sink.end(error);
            answer(done, Err(error.clone()));
            self.leave(filter.filter, state, None);
        }
        ReasonCode::UnspecifiedError
    }

    /// Sends what is to be asked for.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        session: &mut Session<'_>,
        tx: &mut Vec<u8>,
    ) -> Result<(), mqtt_session::Error> {
        let mut place = 0;
        while let Some(leaving) = self.leaving.get_mut(place) {
            let filter = TopicFilter::new(&leaving.filter).ok();
            if let (State::Wanted, Some(filter)) = (leaving.state, filter) {
                match session.unsubscribe(now, &[filter], Properties::EMPTY, tx) {
                    Ok(id) => leaving.state = State::Asked(id),
                    Err(mqtt_session::Error::QuotaExceeded) => return Ok(()),
                    Err(error) => {
                        // It cannot be said to this server, whose packets have to be smaller, say.
                        answer(self.leaving.remove(place).done, Err(Error::Options(error)));
                        continue;
                    }
                }
            }
            place += 1;
        }
        let named = session.limits().subscription_identifier_available;
        let mut refused = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.state == State::Wanted) {
            let Ok(subscription) = entry.filter.subscription() else { continue };
            let id = SubscriptionId::new(entry.key).filter(|_| named);
            let list = id.map(Property::SubscriptionIdentifier);
            let properties = Properties::from(list.as_slice());
            match session.subscribe(now, &[subscription], properties, tx) {
                Ok(id) => entry.state = State::Asked(id),
                Err(mqtt_session::Error::QuotaExceeded) => break,
                Err(error) => {
                    refused.push((entry.key, Error::Options(error)));
                    answer(entry.done.take(), Err(Error::Options(error)));
                }
            }
        }
        for (key, error) in refused {
            if let Ok(place) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
                self.take(place).sink.end(&error);
            }
        }
        Ok(())
    }

    /// Whether there is something to ask for.
    pub(crate) fn is_settled(&self) -> bool {
        self.leaving.is_empty()
    }

    /// SUBACK came.
    pub(crate) fn subscribed(&mut self, id: PacketId, reason: ReasonCode) {
        let asked = |entry: &Entry| entry.state == State::Asked(id);
        let Some(index) = self.entries.iter().position(asked) else { return };
        if reason.is_failure() {
            let entry = self.take(index);
            answer(entry.done, Err(Error::Rejected(reason)));
            entry.sink.end(&Error::Rejected(reason));
        } else if let Some(entry) = self.entries.get_mut(index) {
            entry.state = State::Granted;
            answer(entry.done.take(), Ok(reason));
        }
    }

    /// UNSUBACK came, in 3.1.1 without a reason.
    pub(crate) fn unsubscribed(&mut self, id: PacketId, reason: Option<ReasonCode>) {
        let asked = |leaving: &Leaving| leaving.state == State::Asked(id);
        let Some(index) = self.leaving.iter().position(asked) else { return };
        let result = match reason {
            Some(reason) if reason.is_failure() => Err(Error::Rejected(reason)),
            _ => Ok(()),
        };
        answer(self.leaving.remove(index).done, result);
    }

    /// A connection begins. What the server does not know is to be asked for. Where it goes on with its
    /// session, nothing is given up until `patience` ends.
    pub(crate) fn connected(&mut self, session_present: bool, epoch: u64, patience: Instant) {
        self.patience = (session_present && self.max > 0).then_some(patience);
        for entry in &mut self.entries {
            if !session_present || entry.state != State::Granted {
                entry.state = State::Wanted;
            }
            if let (true, Sink::Stream(inlet)) = (session_present, &entry.sink) {
                inlet.queue.drop_what_comes_again(epoch);
            }
        }
        if session_present {
            self.unrouted.drop_what_comes_again(epoch);
            for leaving in &mut self.leaving {
                leaving.state = State::Wanted;
            }
        } else {
            for leaving in self.leaving.drain(..) {
                answer(leaving.done, Ok(()));
            }
        }
    }

    /// Messages come that have nothing to do with those before: one topic that all of them have would keep
    /// two processors busy with counting who has it.
    pub(crate) fn begin(&mut self) {
        self.route.topic = None;
    }

    /// Finds out where a message goes.
    fn find(&mut self, topic: TopicName<'_>, properties: &Properties<'_>) {
        let Self { entries, route, trie, .. } = self;
        let ids = || properties.subscription_identifiers().map(SubscriptionId::get);
        // To make text of bytes costs more than to compare them.
        if *route.name.as_bytes() != *topic.as_bytes() {
            route.is_known = false;
            route.name.clear();
            route.name.push_str(topic.as_str());
            route.topic = None;
        }
        // As it mostly is: none.
        let none = properties.is_empty() && route.ids.is_empty();
        if route.is_known && (none || ids().eq(route.ids.iter().copied())) {
            return;
        }
        route.is_known = true;
        route.ids.clear();
        route.ids.extend(ids());
        route.keys.clear();
        trie.find(topic, &mut route.keys);
        route.keys.sort_unstable();
        let place = |key: &u32| entries.binary_search_by_key(key, |entry| entry.key).ok();
        route.targets.clear();
        route.targets.extend(route.keys.iter().filter_map(place));
        if route.ids.is_empty() {
            return;
        }
        // An identifier may be of an earlier run of this program, with the same session.
        let is_named =
            |place: &usize| entries.get(*place).is_some_and(|entry| route.ids.contains(&entry.key));
        let filter = |place: usize| entries.get(place).map(|entry| entry.filter.filter.as_str());
        let named: Vec<_> = route.targets.iter().copied().filter(is_named).map(filter).collect();
        if !named.is_empty() {
            route.targets.retain(|place| named.contains(&filter(*place)));
        }
    }

    /// Puts a message where it belongs, with a `payload` that it owns for those who keep it. Returns with what
    /// it is to be acknowledged now, unless that has to wait for something.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        publish: &Publish<'_>,
        topic: TopicName<'_>,
        duty: &Duty<'_>,
        payload: impl FnOnce() -> Bytes,
    ) -> Option<ReasonCode> {
        self.find(topic, &publish.properties);
        if duty.is_manual() && !self.route.targets.is_empty() {
            self.come_behind();
        }
        let Self { entries, route, touched, .. } = self;
        match *route.targets {
            [] => {
                let message = route.own(publish, duty, payload());
                if self.patience.is_some() {
                    return self.keep(message, duty);
                }
                // The application acknowledges it, or nobody has to.
                self.given_up += self.unrouted.push_over(message);
                self.make_way();
                return duty.fulfil(ReasonCode::Success);
            }
            // As it mostly is.
            [place] => match entries.get_mut(place) {
                Some(Entry { key, sink: Sink::Handler(handler), .. }) => {
                    let message = MessageRef::new(&route.name, publish, duty);
                    let (key, answer) = (*key, handler.call(&message));
                    let reason = answer.unwrap_or_else(|error| self.end(key, &error));
                    return duty.fulfil(reason);
                }
                Some(Entry { sink: Sink::Stream(inlet), .. }) => {
                    inlet.touch(place, touched);
                    if inlet.has_room() {
                        inlet.staged.push(route.own(publish, duty, payload()).into());
                        if publish.qos == QoS::AtMostOnce && !inlet.has_room() {
                            inlet.flush();
                            if inlet.queue.should_wait() {
                                self.filled = Some(Arc::clone(&inlet.queue));
                            }
                            inlet.room = inlet.queue.room();
                        }
                        return duty.fulfil(ReasonCode::Success);
                    }
                }
                None => return duty.fulfil(ReasonCode::Success),
            },
            _ => {}
        }
        self.deliver_to_all(publish, duty, payload)
    }

    /// Puts a message wherever it belongs, whether there is room or not.
    fn deliver_to_all(
        &mut self,
        publish: &Publish<'_>,
        duty: &Duty<'_>,
        payload: impl FnOnce() -> Bytes,
    ) -> Option<ReasonCode> {
        let Self { entries, route, touched, .. } = self;
        let (mut is_streamed, mut waits) = (false, false);
        for place in &route.targets {
            if let Some(Entry { sink: Sink::Stream(inlet), .. }) = entries.get_mut(*place) {
                inlet.touch(*place, touched);
                inlet.flush();
                is_streamed = true;
                waits |= inlet.queue.has_no_room();
            }
        }
        let owned = if is_streamed { Some(route.own(publish, duty, payload())) } else { None };
        let hold = if waits { duty.hold() } else { None };
        let message = MessageRef::new(&route.name, publish, duty);
        let mut reasons = Vec::new();
        let mut panicked = Vec::new();
        for place in &route.targets {
            match entries.get_mut(*place) {
                Some(Entry { sink: Sink::Stream(inlet), .. }) => {
                    owned.iter().for_each(|own| inlet.queue.push(own.clone(), hold.as_ref()));
                    if message.qos == QoS::AtMostOnce && inlet.queue.should_wait() {
                        self.filled = Some(Arc::clone(&inlet.queue));
                    }
                }
                Some(Entry { key, sink: Sink::Handler(handler), .. }) => {
                    match handler.call(&message) {
                        Ok(reason) => reasons.push(reason),
                        Err(error) => panicked.push((*key, error)),
                    }
                }
                None => {}
            }
        }
        reasons.extend(panicked.into_iter().map(|(key, error)| self.end(key, &error)));
        // Who refuses it has the say.
        let refusal = reasons.into_iter().find(|reason| *reason != ReasonCode::Success);
        let reason = refusal.unwrap_or(ReasonCode::Success);
        match hold {
            // What holds it acknowledges it in the end.
            Some(hold) => {
                refusal.iter().for_each(|reason| hold.answer(*reason));
                None
            }
            None => duty.fulfil(reason),
        }
    }

    /// Keeps a message that belongs to no subscription. Beyond the room for it it is not acknowledged, so
    /// that the server's quota runs out; with QoS 0 it is given up. Returns as [`Self::deliver`] does.
    fn keep(&mut self, message: Message, duty: &Duty<'_>) -> Option<ReasonCode> {
        let is_full = self.unrouted.has_no_room();
        if is_full && message.qos == QoS::AtMostOnce {
            self.given_up += 1;
            return None;
        }
        let hold = if is_full { duty.hold() } else { None };
        self.unrouted.push(message, hold.as_ref());
        if hold.is_some() { None } else { duty.fulfil(ReasonCode::Success) }
    }

    /// Until when nothing is given up that belongs to no subscription.
    pub(crate) const fn patience(&self) -> Option<Instant> {
        self.patience
    }

    /// Gives up what is beyond the bounds, once it was waited for a subscription long enough.
    pub(crate) fn end_patience(&mut self, now: Instant) {
        if self.patience.is_some_and(|until| until <= now) {
            self.patience = None;
            self.given_up += self.unrouted.keep(self.max);
            self.make_way();
        }
    }

    /// Where there are subscriptions, their messages must not wait for what belongs to none: while that
    /// uses up the server's quota, they do not come.
    fn make_way(&mut self) {
        if self.patience.is_none() && !self.entries.is_empty() {
            self.given_up += self.unrouted.keep(self.max_unrouted);
        }
    }

    /// Another message came whose acknowledgement waits until what belongs to no subscription is
    /// acknowledged \[MQTT-4.6.0-2]. Before that uses up the server's quota, it is.
    fn come_behind(&mut self) {
        if self.patience.is_some() || self.unrouted.is_empty() {
            self.behind = 0;
            return;
        }
        self.behind += 1;
        if self.behind >= self.max_unrouted {
            self.given_up += self.unrouted.ignore(true);
            self.unrouted.ignore(false);
            self.behind = 0;
        }
    }

    /// How many messages were given up since this was last asked, as they belong to no subscription.
    pub(crate) const fn take_given_up(&mut self) -> u64 {
        core::mem::replace(&mut self.given_up, 0)
    }

    /// Whether a stream was filled up by messages of QoS 0, so that nothing should be read before
    /// something is taken from it.
    pub(crate) const fn is_filled(&self) -> bool {
        self.filled.is_some()
    }

    /// The stream that was filled up.
    pub(crate) const fn take_filled(&mut self) -> Option<Arc<Queue>> {
        self.filled.take()
    }

    /// Wakes those for whom there are messages.
    pub(crate) fn wake(&mut self) {
        for place in self.touched.drain(..) {
            if let Some(inlet) = self.entries.get_mut(place).and_then(Entry::inlet) {
                inlet.touched = false;
                inlet.flush();
                inlet.queue.wake();
            }
        }
    }

    /// Gives back what was only needed for many messages.
    pub(crate) fn rest(&mut self) {
        for inlet in self.entries.iter_mut().filter_map(Entry::inlet) {
            inlet.staged.shrink_to_fit();
            inlet.queue.rest();
        }
    }

    /// The client is closed.
    pub(crate) fn close(&mut self, error: &Error) {
        self.forget_places();
        self.trie = Trie::default();
        for entry in self.entries.drain(..) {
            entry.sink.end(error);
            answer(entry.done, Err(error.clone()));
        }
        for leaving in self.leaving.drain(..) {
            answer(leaving.done, Err(error.clone()));
        }
    }
}

fn answer<T>(done: Option<oneshot::Sender<T>>, result: T) {
    if let Some(done) = done {
        // Nobody may wait any more.
        let _ = done.send(result);
    }
}

//! The subscriptions, and which of them a message belongs to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use futures::channel::oneshot;
use mqtt_codec::{
    PacketId, Properties, Property, QoS, ReasonCode, SubscriptionId, TopicFilter, TopicName,
};
use mqtt_session::Instant;
use mqtt_session::client::Session;

use crate::extent::{Batch, Extent};
use crate::queue::{Hold, Queue};
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
    queue: Arc<Queue>,
    state: State,
    /// Messages that are not in the queue yet, and how much it has room for: it is locked once for many.
    staged: Batch,
    room: Extent,
    /// Whether messages were added of which nobody was told.
    touched: bool,
    /// Who waits for the answer.
    done: Option<oneshot::Sender<Result<ReasonCode, Error>>>,
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
    topic: Arc<str>,
    ids: Vec<u32>,
    /// The places of the entries, ascending.
    targets: Vec<usize>,
}

impl Entry {
    fn matches(&self, topic: TopicName<'_>) -> bool {
        let Ok(filter) = TopicFilter::new(&self.filter.filter) else { return false };
        filter.shared().map_or(filter, |shared| shared.filter).matches(topic)
    }

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
        queue: Arc<Queue>,
        done: oneshot::Sender<Result<ReasonCode, Error>>,
    ) {
        let entry = Entry {
            key,
            filter,
            queue,
            state: State::Wanted,
            staged: Batch::default(),
            room: Extent::default(),
            touched: false,
            done: Some(done),
        };
        let matches = |message: &Message| {
            TopicName::new(&message.topic).is_ok_and(|topic| entry.matches(topic))
        };
        self.unrouted.hand_over(&entry.queue, matches);
        entry.queue.wake();
        self.forget_places();
        self.trie.insert(&entry.filter.filter, key);
        let place = self.entries.partition_point(|earlier| earlier.key < key);
        self.entries.insert(place, entry);
        self.make_way();
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
        let index = self.entries.iter().position(|entry| entry.key == key);
        let entry = index.map(|index| self.take(index));
        match entry {
            Some(Entry { filter, state, .. })
                if tell
                    && state != State::Wanted
                    && !self.entries.iter().any(|e| e.filter.filter == filter.filter) =>
            {
                self.leaving.push(Leaving { filter: filter.filter, state: State::Wanted, done });
            }
            _ => answer(done, Ok(())),
        }
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
                    refused.push(entry.key);
                    answer(entry.done.take(), Err(Error::Options(error)));
                }
            }
        }
        for key in refused {
            if let Ok(place) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
                // Nothing will come any more.
                self.take(place).queue.close();
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
            entry.queue.close();
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
            if session_present {
                entry.queue.drop_what_comes_again(epoch);
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

    /// Finds out where a message goes.
    fn find(&mut self, name: &Arc<str>, topic: TopicName<'_>, properties: &Properties<'_>) {
        let Self { entries, route, trie, .. } = self;
        let ids = || properties.subscription_identifiers().map(SubscriptionId::get);
        // Messages that came together have the same topic, and not only an equal one.
        if !Arc::ptr_eq(&route.topic, name) {
            route.is_known &= route.topic == *name;
            route.topic = Arc::clone(name);
        }
        // As it mostly is: none.
        let none = properties.is_empty() && route.ids.is_empty();
        if route.is_known && (none || ids().eq(route.ids.iter().copied())) {
            return;
        }
        route.is_known = true;
        route.ids.clear();
        route.ids.extend(ids());
        let mut keys = Vec::new();
        trie.find(topic, &mut keys);
        keys.sort_unstable();
        let place = |key: &u32| entries.binary_search_by_key(key, |entry| entry.key).ok();
        route.targets.clear();
        route.targets.extend(keys.iter().filter_map(place));
        // An identifier may be of an earlier run of this program, with the same session.
        let is_named =
            |place: &usize| entries.get(*place).is_some_and(|entry| route.ids.contains(&entry.key));
        let filter = |place: usize| entries.get(place).map(|entry| entry.filter.filter.as_str());
        let named: Vec<_> = route.targets.iter().copied().filter(is_named).map(filter).collect();
        if !named.is_empty() {
            route.targets.retain(|place| named.contains(&filter(*place)));
        }
    }

    /// Puts a message where it belongs. `hold` makes what acknowledges it where that must wait;
    /// returns whether nothing has to, so that it is to be acknowledged now.
    pub(crate) fn deliver(
        &mut self,
        message: Message,
        topic: TopicName<'_>,
        properties: &Properties<'_>,
        hold: impl FnOnce() -> Option<Arc<Hold>>,
    ) -> bool {
        self.find(&message.topic, topic, properties);
        let manual = message.receipt.is_some();
        if manual && !self.route.targets.is_empty() {
            self.come_behind();
        }
        let Self { entries, route, touched, .. } = self;
        match *route.targets {
            [] if self.patience.is_some() => return self.keep(message, hold),
            [] => {
                // The application acknowledges it, or nobody has to.
                self.given_up += self.unrouted.push_over(message);
                self.make_way();
                return !manual;
            }
            // As it mostly is.
            [place] => {
                let Some(entry) = entries.get_mut(place) else { return !manual };
                entry.touch(place, touched);
                if entry.has_room() {
                    let quality = message.qos;
                    entry.staged.push(message.into());
                    if quality == QoS::AtMostOnce && !entry.has_room() {
                        entry.flush();
                        if entry.queue.should_wait() {
                            self.filled = Some(Arc::clone(&entry.queue));
                        }
                        entry.room = entry.queue.room();
                    }
                    return !manual;
                }
            }
            _ => {}
        }
        let mut waits = false;
        for place in &route.targets {
            if let Some(entry) = entries.get_mut(*place) {
                entry.touch(*place, touched);
                entry.flush();
                waits |= entry.queue.has_no_room();
            }
        }
        let hold = if waits && !manual { hold() } else { None };
        for place in &route.targets {
            let Some(entry) = entries.get(*place) else { continue };
            entry.queue.push(message.clone(), hold.as_ref());
            if message.qos == QoS::AtMostOnce && entry.queue.should_wait() {
                self.filled = Some(Arc::clone(&entry.queue));
            }
        }
        // What holds it acknowledges it in the end.
        !manual && hold.is_none()
    }

    /// Keeps a message that belongs to no subscription. Beyond the room for it it is not acknowledged, so
    /// that the server's quota runs out; with QoS 0 it is given up. Returns as [`Self::deliver`] does.
    fn keep(&mut self, message: Message, hold: impl FnOnce() -> Option<Arc<Hold>>) -> bool {
        let is_full = self.unrouted.has_no_room();
        if is_full && message.qos == QoS::AtMostOnce {
            self.given_up += 1;
            return false;
        }
        let manual = message.receipt.is_some();
        let hold = if is_full && !manual { hold() } else { None };
        self.unrouted.push(message, hold.as_ref());
        !manual && hold.is_none()
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
            if let Some(entry) = self.entries.get_mut(place) {
                entry.touched = false;
                entry.flush();
                entry.queue.wake();
            }
        }
    }

    /// Gives back what was only needed for many messages.
    pub(crate) fn rest(&mut self) {
        for entry in &mut self.entries {
            entry.staged.shrink_to_fit();
            entry.queue.rest();
        }
    }

    /// The client is closed.
    pub(crate) fn close(&mut self, error: &Error) {
        self.forget_places();
        self.trie = Trie::default();
        for entry in self.entries.drain(..) {
            entry.queue.close();
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

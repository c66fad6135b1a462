//! What keeps the connection: one loop, for every runtime and transport.

mod authentication;
mod buffer;
mod online;
mod oversized;
mod timer;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use futures::AsyncWrite;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use mqtt_codec::{Disconnect, ReasonCode};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{AckToken, Delta, Event, Instant, Ring};

use crate::authentication::Exchange;
use crate::backoff::Backoff;
use crate::layers;
use crate::outbox::{Listener, Told, tell, tell_written};
use crate::queue::Queue;
use crate::routes::Routes;
use crate::shared::{Request, Shared};
use crate::store::Restored;
use crate::{ConnectionEvent, Error, Options, Runtime, Server, Transport};
use buffer::{Payloads, ReadBuffer, WriteBuffer};
use timer::Timer;

/// How often the loop goes round before others get their turn.
const ROUNDS: usize = 32;

/// How long the end of a connection may take that was said goodbye to.
const LEAVE: Duration = Duration::from_secs(2);

/// Keeps a client's connection: a future that ends when the client is closed, with the reason. It has
/// to be polled for anything to happen, which a runtime's `spawn` sees to.
#[must_use = "nothing happens unless it is polled"]
pub struct Driver {
    shared: Arc<Shared>,
    options: Options,
    runtime: Box<dyn Runtime>,
    session: Session<'static>,
    phase: Phase,
    timer: Timer,
    tx: WriteBuffer,
    rx: ReadBuffer,
    routes: Routes,
    /// What the session told that the outbox is to know.
    events: Vec<Event<'static>>,
    /// What is to be told of messages: now, and of QoS 0 once all that was written is sent.
    finished: Vec<(Listener, Told)>,
    written: Vec<Listener>,
    backoff: Backoff,
    /// Which of the servers is next, unless the last one has named another.
    server: usize,
    redirect: Option<Server>,
    /// The server that is to be used instead, as this connection ends.
    server_reference: Option<Server>,
    /// How many attempts in a row were refused for good.
    refusals: usize,
    /// Counts connections, so that it is known which messages come again.
    epoch: u64,
    /// The Client Identifier, perhaps assigned by the server.
    client_id: String,
    /// Since when the server has accepted this connection.
    accepted: Option<Instant>,
    /// Whether any connection ever was accepted, and who waits for the first one.
    ever_accepted: bool,
    first: Option<oneshot::Sender<Result<(), Error>>>,
    /// The topic of the last message, and whether others may have it.
    /// The exchange of enhanced authentication that is going on, and who waits for the next one.
    exchange: Option<Exchange>,
    reauthenticating: Vec<oneshot::Sender<Result<(), Error>>>,
    topic: Arc<str>,
    topic_is_shared: bool,
    payloads: Payloads,
    /// How many messages have come that are not counted yet.
    messages: u64,
    /// What is being stored.
    commit: Option<Commit>,
    /// Those who wait until their messages are stored.
    storing: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Whether an earlier run has left something to go on with.
    restored: bool,
    /// What the session has told that is to be stored.
    deltas: Vec<Delta>,
    /// While nothing is read, as a stream is full.
    pause: Option<Pause>,
}

/// Changes are being stored, and what depends on them waits in the transmit buffer.
struct Commit {
    done: BoxFuture<'static, io::Result<()>>,
    /// Up to where it can be sent then.
    until: u64,
    /// Those who wait for this.
    waiting: Vec<oneshot::Sender<Result<(), Error>>>,
}

/// Nothing is read until there is room in this stream, or it is this late.
struct Pause {
    queue: Arc<Queue>,
    until: Instant,
    /// Whether others have had their turn since.
    yielded: bool,
}

enum Phase {
    /// The next attempt is due then.
    Waiting(Instant),
    Connecting {
        transport: BoxFuture<'static, io::Result<Transport>>,
        until: Instant,
    },
    Online(Transport),
    /// Goodbye was said.
    Leaving {
        transport: Transport,
        until: Instant,
        closed: bool,
    },
    Done,
}

enum Step {
    /// Something was done, perhaps there is more to do.
    Again,
    /// There is nothing to do before something happens, or it is this late.
    Wait(Option<Instant>),
    /// Others are to get their turn first.
    Yield,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mut options: Options,
        restored: Restored,
        runtime: Box<dyn Runtime>,
    ) -> Result<Self, Error> {
        let mut config = Config::default();
        config.manual_acknowledge = true; // once there is room for the message
        config.topic_aliases = options.topic_aliases;
        config.response_timeout = options.response_timeout;
        config.max_packet_size = options.max_packet_size;
        let (outbound, received) = restored.deltas();
        let in_flight = u16::try_from(outbound.len()).unwrap_or(u16::MAX);
        let in_flight = options.in_flight_limit().max(in_flight);
        let session = || {
            Session::new(
                config,
                Slots {
                    outbound: Ring::heap(in_flight),
                    received: Ring::heap(u16::MAX),
                    pending: Ring::heap(u16::MAX),
                },
            )
        };
        // What cannot be said is found out now.
        if options.authentication.is_some() && !options.version.has_properties() {
            return Err(Error::Authentication(ReasonCode::BadAuthenticationMethod));
        }
        options
            .with_connect(&options.client_id, options.clean_start, &[], |connect| {
                session().connect(Instant::default(), connect, &mut Vec::new())
            })
            .map_err(Error::Options)?;
        let mut session = session();
        for delta in outbound.iter().chain(&received) {
            // There is room: see above, and of what is received for all identifiers there are.
            session.restore(*delta);
        }
        let mut tx = WriteBuffer::default();
        if options.store.is_some() {
            tx.permit(0);
        }
        if let Some(client_id) = restored.client_id {
            options.client_id = client_id;
        }
        Ok(Self {
            commit: None,
            storing: Vec::new(),
            deltas: Vec::new(),
            restored: !outbound.is_empty() || !received.is_empty(),
            session,
            phase: Phase::Waiting(Instant::default()),
            timer: Timer::default(),
            tx,
            rx: ReadBuffer::default(),
            routes: Routes::new(options.unrouted_messages),
            events: Vec::new(),
            finished: Vec::new(),
            written: Vec::new(),
            backoff: Backoff::new(),
            server: 0,
            redirect: None,
            server_reference: None,
            refusals: 0,
            epoch: 0,
            client_id: options.client_id.clone(),
            accepted: None,
            ever_accepted: false,
            first: None,
            exchange: None,
            reauthenticating: Vec::new(),
            topic: Arc::from(""),
            topic_is_shared: false,
            payloads: Payloads::default(),
            messages: 0,
            pause: None,
            shared,
            options,
            runtime,
        })
    }

    /// A future that waits until the first connection is accepted. The driver must run meanwhile.
    ///
    /// # Errors
    /// Why there will be none.
    pub fn connected(&mut self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        self.first = Some(sender);
        async { receiver.await.unwrap_or(Err(Error::Closed)) }
    }

    fn target(&self) -> Option<&Server> {
        if self.redirect.is_some() {
            return self.redirect.as_ref();
        }
        let servers = &self.options.servers;
        servers.get(self.server.checked_rem(servers.len()).unwrap_or(0))
    }

    fn io_error(&self, source: io::Error) -> Error {
        match self.target() {
            Some(server) => Error::io(server.clone(), source),
            None => Error::Url(crate::UrlError::Host),
        }
    }

    /// Takes what the handles want, and tells them what room there is.
    fn take_requests(&mut self, cx: &Context<'_>, now: Instant) {
        let mut state = self.shared.lock();
        state.set_driver(cx.waker());
        state.outbox.on_events(&mut self.events);
        state.outbox.expire(now);
        state.outbox.take_outcomes(&mut self.finished, &mut self.written);
        let room = state.outbox.next_waiting();
        let due = state.take_due(now);
        let requests = core::mem::take(&mut state.requests);
        let mut answers = core::mem::take(&mut state.answers);
        drop(state);
        room.into_iter().chain(due).for_each(core::task::Waker::wake);
        self.tell_outcomes();
        for request in requests {
            match request {
                Request::Subscribe { key, filter, queue, done } => {
                    self.routes.add(key, filter, queue, done);
                }
                Request::Unsubscribe { key, tell, done } => self.routes.remove(key, tell, done),
                Request::Store { done } => self.storing.push(done),
                Request::Reauthenticate { done } => self.reauthenticating.push(done),
            }
        }
        self.routes.wake();
        for answer in answers.drain(..) {
            self.acknowledge(now, answer.token, answer.reason);
        }
    }

    /// Tells what became of messages.
    fn tell_outcomes(&mut self) {
        let delivered = self.finished.iter().filter(|(_, told)| told.is_ok()).count() as u64;
        let undelivered = self.finished.len() as u64 - delivered;
        self.shared.counters.delivered.add(delivered);
        self.shared.counters.undelivered.add(undelivered);
        tell(&mut self.finished);
    }

    /// Tells those who wait for messages of QoS 0 whether they were sent.
    fn tell_written(&mut self, sent: bool) {
        let counters = &self.shared.counters;
        let counter = if sent { &counters.delivered } else { &counters.undelivered };
        counter.add(self.written.len() as u64);
        tell_written(&mut self.written, sent);
    }

    /// Acknowledges a message. It fails only for one of an earlier connection, which comes again.
    fn acknowledge(&mut self, now: Instant, token: AckToken, reason: ReasonCode) {
        // Before version 5 nothing can be refused.
        let refuses = self.session.version().has_properties();
        let told = if refuses { reason } else { ReasonCode::Success };
        if self.session.acknowledge(now, token, told, self.tx.packets()).is_ok()
            && self.options.store.is_some()
        {
            self.deltas.extend(token.delta(told));
        }
    }

    /// Stores what has changed, one batch after the other, and lets go what depends on it. What changes
    /// while one is stored is the next.
    fn persist(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            if let Some(commit) = &mut self.commit {
                let Poll::Ready(result) = commit.done.as_mut().poll(cx) else { return Ok(()) };
                if let Some(Commit { until, waiting, .. }) = self.commit.take() {
                    let result = result.map_err(|error| Error::Store(Arc::new(error)));
                    tell_stored(waiting, &result);
                    result?;
                    self.tx.permit(until);
                }
            }
            let mut state = self.shared.lock();
            let changes = state.outbox.journal().map(|journal| {
                self.deltas.drain(..).for_each(|delta| journal.received(delta));
                journal.take()
            });
            drop(state);
            let Some((store, changes)) = self.options.store.as_ref().zip(changes) else {
                // There is nothing to wait for.
                let waiting = core::mem::take(&mut self.storing);
                tell_stored(waiting, &Ok(()));
                return Ok(());
            };
            let (until, waiting) = (self.tx.end(), core::mem::take(&mut self.storing));
            if changes.is_empty() {
                self.tx.permit(until);
                tell_stored(waiting, &Ok(()));
                return Ok(());
            }
            self.commit = Some(Commit { done: store.commit(changes), until, waiting });
        }
    }

    fn step(&mut self, cx: &mut Context<'_>, now: Instant) -> Step {
        match core::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Done => Step::Wait(None),
            Phase::Waiting(until) => self.waiting(now, until),
            Phase::Connecting { mut transport, until } => match transport.as_mut().poll(cx) {
                Poll::Ready(Ok(transport)) => self.begin(now, transport),
                Poll::Ready(Err(error)) => {
                    let error = self.io_error(error);
                    self.lost(now, error)
                }
                Poll::Pending if now >= until => {
                    let error = self.io_error(io::ErrorKind::TimedOut.into());
                    self.lost(now, error)
                }
                Poll::Pending if self.closing_ends(now) => self.finish(&Error::Closed),
                Poll::Pending => {
                    self.phase = Phase::Connecting { transport, until };
                    Step::Wait(Some(until))
                }
            },
            Phase::Online(transport) => self.online(cx, now, transport),
            Phase::Leaving { transport, until, closed } => {
                self.leave(cx, now, transport, until, closed)
            }
        }
    }

    fn waiting(&mut self, now: Instant, until: Instant) -> Step {
        if self.closing_ends(now) {
            return self.finish(&Error::Closed);
        }
        if now < until {
            self.phase = Phase::Waiting(until);
            return Step::Wait(Some(until));
        }
        let Some(server) = self.target().cloned() else {
            return self.finish(&Error::Url(crate::UrlError::Host));
        };
        let transport = layers::open(&mut *self.runtime, &server, &self.options);
        let until = now + self.options.response_timeout;
        self.phase = Phase::Connecting { transport, until };
        Step::Again
    }

    /// Sends CONNECT.
    fn begin(&mut self, now: Instant, transport: Transport) -> Step {
        if let Err(error) = self.begin_exchange() {
            return self.lost(now, error);
        }
        let Self { options, session, tx, client_id, exchange, .. } = self;
        // A session that was kept is gone on with, but not one of an earlier run.
        let clean_start = options.clean_start
            && !self.restored
            && (!self.ever_accepted || !options.version.has_properties());
        let authentication = exchange.as_ref().map(Exchange::properties);
        let authentication = authentication.as_ref().map_or(&[][..], |properties| properties);
        let sent = options.with_connect(client_id, clean_start, authentication, |connect| {
            session.connect(now, connect, tx.packets())
        });
        match sent {
            Ok(()) => {
                self.phase = Phase::Online(transport);
                Step::Again
            }
            Err(error) => self.finish(&Error::Options(error)),
        }
    }

    /// Whether the client is being closed, and nothing is left to do or no time to do it.
    fn closing_ends(&self, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let unstored = state.outbox.journal().is_some_and(|journal| !journal.is_empty());
        let stored = !unstored && self.commit.is_none() && self.deltas.is_empty();
        state.closing.as_ref().is_some_and(|closing| {
            let idle = stored && state.outbox.len() == 0 && state.requests.is_empty();
            closing.reason.is_none()
                || now >= closing.deadline
                || idle && self.routes.is_settled() && self.written.is_empty()
        })
    }

    /// The connection is gone, or there was none.
    fn lost(&mut self, now: Instant, error: Error) -> Step {
        self.session.closed();
        self.tx.clear();
        self.rx.clear();
        self.epoch += 1;
        self.pause = None;
        self.tell_written(false);
        let policy = &self.options.reconnect;
        let accepted = self.accepted.is_some();
        match self.accepted.take() {
            Some(since) if now.since(since) >= policy.stable_after => self.backoff.reset(),
            Some(_) => {}
            None if self.redirect.take().is_some() => {}
            None => self.server = self.server.wrapping_add(1),
        }
        if let Some(server) = self.server_reference.take() {
            self.redirect = Some(server);
        }
        let useless = (policy.give_up)(&error);
        if accepted || !useless {
            self.refusals = 0;
        }
        self.refusals += usize::from(useless);
        // Another server may have another opinion, unless it was accepted by this one.
        let useless = useless && (accepted || self.refusals >= self.options.servers.len());
        let again = policy.enabled && (policy.first || self.ever_accepted) && !useless;
        let wait =
            if again && !self.closing_ends(now) { self.backoff.failed(policy) } else { None };
        let Some(wait) = wait else { return self.finish(&error) };
        self.shared.tell(&ConnectionEvent::Disconnected { error, retry_after: Some(wait) });
        self.phase = Phase::Waiting(now + wait);
        Step::Again
    }

    /// Says goodbye.
    fn say_goodbye(&mut self, now: Instant, transport: Transport, reason: ReasonCode) -> Step {
        let disconnect = Disconnect::new(reason);
        if self.session.disconnect(&disconnect, self.tx.packets()).is_err() {
            return self.finish(&Error::Closed);
        }
        self.phase = Phase::Leaving { transport, until: now + LEAVE, closed: false };
        Step::Again
    }

    /// Sends what there is, and waits until the server has closed too: closing before that could
    /// destroy what it has not read yet.
    fn leave(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut transport: Transport,
        until: Instant,
        mut closed: bool,
    ) -> Step {
        let ended = loop {
            if !closed {
                match self.tx.poll_flush(cx, &mut transport) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => break true,
                    Poll::Pending => break false,
                }
                if self.tx.len() > 0 {
                    break false; // which is not stored yet
                }
                self.tell_written(true);
                match Pin::new(&mut transport).poll_close(cx) {
                    Poll::Ready(Ok(())) => closed = true,
                    Poll::Ready(Err(_)) => break true,
                    Poll::Pending => break false,
                }
            }
            self.rx.clear();
            match self.rx.poll_fill(cx, &mut transport) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => break true,
                Poll::Pending => break false,
            }
        };
        if ended || now >= until {
            return self.finish(&Error::Closed);
        }
        self.phase = Phase::Leaving { transport, until, closed };
        Step::Wait(Some(until))
    }

    /// Tells everyone that it is over.
    fn finish(&mut self, error: &Error) -> Step {
        self.phase = Phase::Done;
        self.session.closed();
        self.tell_written(false);
        let mut state = self.shared.lock();
        state.outbox.on_events(&mut self.events);
        let (undelivered, waiting) = state.outbox.close();
        state.outbox.take_outcomes(&mut self.finished, &mut self.written);
        let first_end = state.closed.is_none();
        state.closed = Some(error.clone());
        state.answers.clear();
        let requests = core::mem::take(&mut state.requests);
        let listeners = core::mem::take(&mut state.listeners);
        let done = state.closing.take().and_then(|closing| closing.done);
        drop(state);
        self.tell_outcomes();
        waiting.into_values().for_each(core::task::Waker::wake);
        for request in requests {
            match request {
                Request::Subscribe { done, .. } => drop(done.send(Err(error.clone()))),
                Request::Store { done } => self.storing.push(done),
                Request::Reauthenticate { done } => self.reauthenticating.push(done),
                Request::Unsubscribe { .. } => {}
            }
        }
        let commit = self.commit.take().into_iter().flat_map(|commit| commit.waiting);
        let waiting = self.storing.drain(..).chain(commit).collect();
        tell_stored(waiting, &Err(error.clone()));
        for done in self.reauthenticating.drain(..) {
            // Nobody may wait any more.
            let _ = done.send(Err(error.clone()));
        }
        self.routes.close(error);
        if let Some(first) = self.first.take() {
            let _ = first.send(Err(error.clone()));
        }
        for listener in listeners.iter().filter_map(alloc::sync::Weak::upgrade) {
            if first_end {
                let error = error.clone();
                listener.push(ConnectionEvent::Disconnected { error, retry_after: None });
            }
            listener.close();
        }
        if let Some(done) = done {
            let _ = done.send(undelivered);
        }
        Step::Wait(None)
    }

    /// When something is due besides what the phase waits for.
    fn due(&self) -> Option<Instant> {
        let state = self.shared.lock();
        let closing = state.closing.as_ref().map(|closing| closing.deadline);
        earliest(closing, earliest(state.outbox.next_timeout(), state.next_timer()))
    }
}

fn tell_stored(waiting: Vec<oneshot::Sender<Result<(), Error>>>, result: &Result<(), Error>) {
    for done in waiting {
        // Nobody may want to know any more.
        let _ = done.send(result.clone());
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        for _ in 0..ROUNDS {
            if matches!(this.phase, Phase::Done) {
                return Poll::Ready(());
            }
            let now = this.shared.now();
            this.take_requests(cx, now);
            if let Err(error) = this.persist(cx) {
                this.finish(&error);
                return Poll::Ready(());
            }
            let until = match this.step(cx, now) {
                Step::Again => continue,
                Step::Wait(until) => until,
                Step::Yield => break,
            };
            if matches!(this.phase, Phase::Done) {
                return Poll::Ready(());
            }
            let until = earliest(until, this.due());
            if this.timer.poll(cx, now, until, &mut *this.runtime).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Done) {
            self.finish(&Error::Closed);
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("session", &self.session).finish_non_exhaustive()
    }
}

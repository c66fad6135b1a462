//! What keeps the connection: one loop, for every runtime and transport.

mod answers;
mod authentication;
mod buffer;
mod connecting;
mod ending;
mod online;
mod oversized;
mod requests;
mod storing;
mod timer;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use mqtt_codec::ReasonCode;
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{Delta, Event, Instant, Ring};

use crate::authentication::Exchange;
use crate::backoff::Backoff;
use crate::delivery::Listener;
use crate::outbox::Told;
use crate::queue::Queue;
use crate::routes::Routes;
use crate::shared::Shared;
use crate::store::Restored;
use crate::{Error, Options, Runtime, Server, Transport};
use answers::Awaited;
use buffer::{Payloads, ReadBuffer, WriteBuffer};
use storing::Commit;
use timer::Timer;

/// How often the loop goes round before others get their turn.
const ROUNDS: usize = 32;

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
    /// The exchange of enhanced authentication that is going on, and who waits for the next one.
    exchange: Option<Exchange>,
    reauthenticating: Vec<oneshot::Sender<Result<(), Error>>>,
    awaited: Awaited,
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
            routes: Routes::new(
                options.unrouted_messages,
                options.unrouted_limit(),
                options.unrouted_bytes,
            ),
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
            awaited: Awaited::default(),
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

    /// When something is due besides what the phase waits for.
    fn due(&self) -> Option<Instant> {
        let state = self.shared.lock();
        let closing = state.closing.as_ref().map(|closing| closing.deadline);
        earliest(closing, earliest(state.outbox.next_timeout(), state.next_timer()))
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

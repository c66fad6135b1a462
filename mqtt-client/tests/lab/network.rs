//! A server for one client, and connections to it that can be cut.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};
use mqtt_client::tokio::{Compat, TokioRuntime};
use mqtt_client::{Clock, QoS, ReasonCode, Runtime, Server, Transport};
use mqtt_codec::{
    ConnAck, Disconnect, List, Properties, Property, Publish, SubAck, TopicName, UnsubAck,
};
use mqtt_session::client::Slots;
use mqtt_session::server::{Config, Session};
use mqtt_session::{Event, Instant, Queue, QueueConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;

/// How many bytes pass in each direction before the connection is cut; `None`: all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) up: Option<usize>,
    pub(crate) down: Option<usize>,
    pub(crate) how: How,
}

/// What a cut is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// An end that both sides see.
    #[default]
    Ends,
    /// Nothing passes any more.
    Stalls,
    /// An end of this direction, while the other goes on.
    HalfCloses,
    /// An error, and what has not been read by then is gone.
    Resets,
}

/// How the server answers CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    Refuse(ReasonCode),
    /// Server moved, and where to.
    Moved(&'static str),
    /// Not at all.
    Silence,
    /// By hanging up.
    HangUp,
}

/// Changes what is about to be written: whole packets.
pub(crate) type Tamper = Box<dyn FnMut(&mut Vec<u8>) + Send>;

/// What happened at the server, in words.
pub(crate) type Log = Vec<String>;

#[derive(Clone)]
pub(crate) struct Network(Arc<(Mutex<State>, Notify)>, Arc<AtomicU64>);

pub(crate) struct State {
    /// Whether the server can be reached.
    pub(crate) up: bool,
    /// How many bytes are on their way at most, in each direction.
    pub(crate) pipe: usize,
    /// How long the server takes to read each few kilobytes.
    pub(crate) pace: Duration,
    /// What becomes of the next connections; the later ones hold.
    pub(crate) cuts: VecDeque<Cut>,
    pub(crate) answer: Answer,
    /// Whether the session of an earlier connection is still there.
    pub(crate) keeps_session: bool,
    /// Receive Maximum in CONNACK.
    pub(crate) receive_maximum: Option<u16>,
    /// Topic Alias Maximum in CONNACK.
    pub(crate) topic_alias_maximum: Option<u16>,
    pub(crate) log: Log,
    /// The topic of each message that came.
    pub(crate) topics: Vec<String>,
    /// The text of each message that came.
    pub(crate) messages: Vec<String>,
    /// Of each message that came, Response Topic and Correlation Data.
    pub(crate) requests: Vec<(Option<String>, Option<Vec<u8>>)>,
    /// When each attempt to connect was made.
    pub(crate) attempts: Vec<tokio::time::Instant>,
    /// Which server each was made to.
    pub(crate) servers: Vec<String>,
    /// Bytes that passed on the last connection, from the client and to it.
    pub(crate) passed: (usize, usize),
    /// Further limits that CONNACK tells.
    pub(crate) limits: Vec<Property<'static>>,
    /// What a server that does wrong makes of what it writes.
    pub(crate) tamper: Option<Tamper>,
    /// Ends the connection that there is, with a reason in version 5.
    hang_up: Option<Option<ReasonCode>>,
    session: Option<Session<'static>>,
    queue: Queue<'static>,
}

impl Network {
    pub(crate) fn new() -> Self {
        let state = State {
            up: true,
            pipe: 1 << 20,
            pace: Duration::ZERO,
            cuts: VecDeque::new(),
            answer: Answer::Accept,
            keeps_session: true,
            receive_maximum: None,
            topic_alias_maximum: None,
            limits: Vec::new(),
            tamper: None,
            log: Vec::new(),
            topics: Vec::new(),
            messages: Vec::new(),
            requests: Vec::new(),
            attempts: Vec::new(),
            servers: Vec::new(),
            passed: (0, 0),
            hang_up: None,
            session: None,
            queue: Queue::heap(QueueConfig::default()),
        };
        Self(Arc::new((Mutex::new(state), Notify::new())), Arc::default())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("no test has panicked with it")
    }

    /// Ends the connection that there is.
    pub(crate) fn hang_up(&self, reason: Option<ReasonCode>) {
        self.lock().hang_up = Some(reason);
        self.0.1.notify_waiters();
    }

    /// The client's clock goes forward by this much at once, and what sleeps does not notice: as after
    /// the machine was suspended.
    pub(crate) fn suspend(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("not for ever");
        self.1.fetch_add(millis, Ordering::SeqCst);
    }

    /// The server publishes to the client.
    pub(crate) fn publish(&self, topic: &str, text: &str, qos: QoS) {
        let topic = TopicName::new(topic).expect("a topic");
        self.submit(&Publish { qos, ..Publish::new(topic, text.as_bytes()) });
    }

    /// The same, whatever the message says.
    pub(crate) fn submit(&self, publish: &Publish<'_>) {
        let mut state = self.lock();
        state.queue.submit(Instant::default(), publish, &mut |_, _| {}).expect("there is room");
        drop(state);
        self.0.1.notify_waiters();
    }

    /// How many messages of the server are not acknowledged.
    pub(crate) fn undelivered(&self) -> usize {
        self.lock().queue.len()
    }

    /// Lets time pass until this holds.
    pub(crate) async fn until(&self, holds: impl Fn(&State) -> bool) {
        crate::in_time(async {
            while !holds(&self.lock()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    async fn serve(self, mut stream: DuplexStream, cut: Cut, reset: Arc<AtomicBool>) {
        let now = Instant::default();
        let mut session = Session::new(now, Config::default(), Slots::heap(64));
        let (mut rx, mut tx) = (Vec::new(), Vec::new());
        let (mut passed_up, mut passed_down) = (0, 0);
        let mut buffer = [0; 4096];
        let mut accepted = false;
        // Of a connection that is closed by half.
        let (mut deaf, mut mute) = (false, false);
        loop {
            let ended = self.lock().act(now, &mut session, &mut rx, &mut tx);
            accepted |= session.is_connected();
            let mut left = if mute { 0 } else { usize::MAX };
            left = left.min(cut.down.map_or(usize::MAX, |down| down - passed_down));
            let sent = tx.len().min(left);
            let whole = stream.write_all(&tx[..sent]).await.is_ok() && tx.len() < left;
            passed_down += sent;
            tx.clear();
            self.lock().passed = (passed_up, passed_down);
            let mut left = cut.up.map_or(usize::MAX, |up| up - passed_up);
            if !ended && cut.how == How::HalfCloses {
                if !whole && !mute {
                    mute = true;
                    let _ = stream.shutdown().await;
                }
                deaf |= left == 0;
            } else if ended || !whole || left == 0 {
                match cut.how {
                    _ if ended => {}
                    How::Stalls => {
                        // Until the client has had enough of it.
                        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                    }
                    How::Resets => reset.store(true, Ordering::SeqCst),
                    How::Ends | How::HalfCloses => {}
                }
                break;
            }
            if deaf {
                left = usize::MAX;
            }
            let room = buffer.len().min(left);
            tokio::select! {
                biased;
                read = stream.read(&mut buffer[..room]) => match read {
                    Ok(read) if read > 0 && deaf => {}
                    Ok(read) if read > 0 => {
                        passed_up += read;
                        rx.extend_from_slice(&buffer[..read]);
                        let pace = self.lock().pace;
                        tokio::time::sleep(pace).await;
                    }
                    _ => break,
                },
                () = self.0.1.notified() => {}
            }
        }
        session.closed();
        if accepted {
            self.lock().session = Some(session);
        }
    }
}

impl State {
    /// Does what is to do; whether the connection is to end.
    fn act(
        &mut self,
        now: Instant,
        session: &mut Session<'static>,
        rx: &mut Vec<u8>,
        tx: &mut Vec<u8>,
    ) -> bool {
        let mut bytes = &rx[..];
        let mut ended = false;
        loop {
            let event = match session.receive(now, &mut bytes, tx) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    self.log.push(format!("error: {error}"));
                    ended = true;
                    break;
                }
            };
            self.queue.on_event(&event, &mut |_, _| {});
            match event {
                Event::Connect(connect) => match self.answer {
                    Answer::Silence => {}
                    Answer::HangUp => ended = true,
                    Answer::Moved(reference) => {
                        let list = [Property::ServerReference(reference)];
                        let connack = ConnAck {
                            properties: Properties::from(&list[..]),
                            ..ConnAck::new(ReasonCode::ServerMoved)
                        };
                        session.reject(&connack, tx).expect("a refusal");
                        ended = true;
                    }
                    Answer::Refuse(reason) => {
                        session.reject(&ConnAck::new(reason), tx).expect("a refusal");
                        ended = true;
                    }
                    Answer::Accept => {
                        let earlier = self
                            .session
                            .take()
                            .filter(|_| self.keeps_session && !connect.clean_start);
                        let present = earlier.is_some();
                        let word = if present { "session kept" } else { "session new" };
                        self.log.push(word.into());
                        if let Some(mut earlier) = earlier {
                            session.take_over(&mut earlier);
                        }
                        let max = self.receive_maximum.and_then(core::num::NonZeroU16::new);
                        let aliases = self.topic_alias_maximum.map(Property::TopicAliasMaximum);
                        let list: Vec<_> = max
                            .map(Property::ReceiveMaximum)
                            .into_iter()
                            .chain(aliases)
                            .chain(self.limits.iter().copied())
                            .collect();
                        let connack = ConnAck {
                            session_present: present,
                            properties: Properties::from(&list[..]),
                            ..ConnAck::new(ReasonCode::Success)
                        };
                        session.accept(now, &connack, tx).expect("an acceptance");
                    }
                },
                Event::Message(message) => {
                    let text = String::from_utf8_lossy(message.publish.payload).into_owned();
                    let properties = &message.publish.properties;
                    self.requests.push((
                        properties.response_topic().map(|topic| topic.as_str().to_owned()),
                        properties.correlation_data().map(<[u8]>::to_vec),
                    ));
                    self.topics.push(session.topic(&message.publish).as_str().into());
                    self.messages.push(text);
                }
                Event::Subscribe(subscribe) => {
                    let mut reasons = Vec::new();
                    for subscription in subscribe.subscriptions.iter() {
                        self.log.push(format!("subscribe {}", subscription.filter));
                        reasons.push(
                            ReasonCode::from_value(subscription.qos.bits()).expect("granted"),
                        );
                    }
                    let suback = SubAck {
                        packet_id: subscribe.packet_id,
                        properties: Properties::EMPTY,
                        reasons: List::from(&reasons[..]),
                    };
                    session.suback(&suback, tx).expect("an answer");
                }
                Event::Unsubscribe(unsubscribe) => {
                    for filter in unsubscribe.filters.iter() {
                        self.log.push(format!("unsubscribe {filter}"));
                    }
                    let reasons = vec![ReasonCode::Success; unsubscribe.filters.len()];
                    let unsuback = UnsubAck {
                        packet_id: unsubscribe.packet_id,
                        properties: Properties::EMPTY,
                        reasons: List::from(&reasons[..]),
                    };
                    session.unsuback(&unsuback, tx).expect("an answer");
                }
                Event::Acknowledged { reason, .. } if reason.is_failure() => {
                    self.log.push(format!("refused {reason}"));
                }
                Event::Disconnected(disconnect) => {
                    self.log.push(format!("goodbye {}", disconnect.reason));
                    ended = true;
                }
                _ => {}
            }
        }
        let rest = bytes.len();
        rx.drain(..rx.len() - rest);
        if session.is_connected() {
            // Who sends nonsense may also be told that it did.
            let sent = self.queue.send(now, session, tx, &mut |_, _| {});
            assert!(sent.is_ok() || self.tamper.is_some(), "a Vec has room: {sent:?}");
            if let Some(reason) = self.hang_up.take() {
                if let Some(reason) = reason {
                    session.disconnect(&Disconnect::new(reason), tx).expect("a goodbye");
                }
                ended = true;
            }
        }
        if let Some(tamper) = self.tamper.as_mut().filter(|_| !tx.is_empty()) {
            tamper(tx);
        }
        ended
    }
}

/// The client's end of a connection.
struct Socket {
    stream: Compat<DuplexStream>,
    /// Whether it was reset by the other end.
    reset: Arc<AtomicBool>,
}

impl Socket {
    fn check(&self) -> io::Result<()> {
        let reset = self.reset.load(Ordering::SeqCst);
        if reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, bytes)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

impl Runtime for Network {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let (network, server) = (self.clone(), server.to_string());
        Box::pin(async move {
            let mut state = network.lock();
            state.attempts.push(tokio::time::Instant::now());
            state.servers.push(server);
            if !state.up {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let cut = state.cuts.pop_front().unwrap_or_default();
            let (near, far) = tokio::io::duplex(state.pipe);
            drop(state);
            let reset = Arc::<AtomicBool>::default();
            tokio::spawn(network.clone().serve(far, cut, Arc::clone(&reset)));
            Ok(Box::new(Socket { stream: Compat(near), reset }) as Transport)
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn clock(&self) -> Clock {
        let (clock, suspended) = (TokioRuntime.clock(), Arc::clone(&self.1));
        Box::new(move || clock() + Duration::from_millis(suspended.load(Ordering::SeqCst)))
    }
}

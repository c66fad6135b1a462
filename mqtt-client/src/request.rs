//! Request and response (section 4.10).

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::Stream;
use mqtt_codec::QoS;

use crate::{Client, Error, Message, PublishError, ReasonCode, Subscription};

/// Why there is no response.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request was not delivered.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The server says that nobody has subscribed to the request.
    #[error("nobody has subscribed to the request")]
    NobodyListens,
    /// The client was closed before the response came.
    #[error("the client is closed")]
    Closed,
    /// Before version 5 a message cannot say where the response is to go.
    #[error("requests need version 5")]
    Version,
}

/// Sends requests, any number at once, and gives each its response (version 5). Made by
/// [`Client::requester`].
///
/// ```
/// use core::time::Duration;
/// use mqtt_client::{Client, Message, QoS};
///
/// async fn ask(client: Client) -> Result<(), Box<dyn std::error::Error>> {
///     let requester = client.requester("answers/kitchen").await?;
///     let request = Message::new("residence/window", "open?", QoS::AtLeastOnce);
///     let response = tokio::time::timeout(Duration::from_secs(5), requester.request(request));
///     println!("{:?}", response.await??.text());
///     Ok(())
/// }
///
/// async fn answer(client: Client) -> Result<(), Box<dyn std::error::Error>> {
///     let mut requests = client.subscribe("residence/window", QoS::AtLeastOnce).await?;
///     while let Some(request) = requests.next().await {
///         if let Some(response) = request.response("yes") {
///             client.send(response).await?;
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Requester {
    client: Client,
    topic: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    responses: Subscription,
    /// By Correlation Data.
    open: BTreeMap<u64, Open>,
    last: u64,
}

/// A request without response, and who waits for it; or the response.
#[derive(Debug)]
enum Open {
    Waiting(Option<Waker>),
    Answered(Message),
}

impl Requester {
    pub(crate) fn new(client: Client, topic: &str, responses: Subscription) -> Self {
        let state = State { responses, open: BTreeMap::new(), last: 0 };
        Self { client, topic: topic.into(), state: Mutex::new(state) }
    }

    /// Sends a request, with Response Topic and Correlation Data of this requester, and waits for its
    /// response, for however long that takes: put a timeout around it. Cancel safe: dropped, the
    /// request may still arrive, but its response is of no interest any more.
    ///
    /// # Errors
    /// [`RequestError`] says why there will be none.
    pub async fn request(&self, mut request: Message) -> Result<Message, RequestError> {
        if !self.client.has_properties() {
            return Err(RequestError::Version);
        }
        let ticket = Ticket::new(self);
        request.properties.response_topic = Some(self.topic.clone());
        let correlation = ticket.id.to_be_bytes();
        request.properties.correlation_data = Some(Bytes::copy_from_slice(&correlation));
        let delivered = self.client.send(request).await?;
        if delivered.reason == ReasonCode::NoMatchingSubscribers {
            return Err(RequestError::NobodyListens);
        }
        core::future::poll_fn(|cx| self.poll(cx, ticket.id)).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sorts the responses that have come, and looks for that one. Whoever polled last is woken for
    /// the next response, whose ever it is.
    fn poll(&self, cx: &mut Context<'_>, id: u64) -> Poll<Result<Message, RequestError>> {
        let mut state = self.lock();
        let ended = loop {
            match Pin::new(&mut state.responses).poll_next(cx) {
                Poll::Ready(Some(response)) => state.sort(response),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if let Some(Open::Answered(response)) = state.open.get(&id) {
            return Poll::Ready(Ok(response.clone()));
        }
        if ended {
            return Poll::Ready(Err(RequestError::Closed));
        }
        state.open.insert(id, Open::Waiting(Some(cx.waker().clone())));
        Poll::Pending
    }
}

impl State {
    fn sort(&mut self, response: Message) {
        response.acknowledge();
        let correlation = response.properties.correlation_data.as_deref();
        let id = correlation.and_then(|data| data.try_into().ok()).map(u64::from_be_bytes);
        // Late ones and strangers are of no interest.
        let Some(open) = id.and_then(|id| self.open.get_mut(&id)) else { return };
        if let Open::Waiting(waker) = core::mem::replace(open, Open::Answered(response)) {
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// An open request, as long as somebody waits.
struct Ticket<'r> {
    requester: &'r Requester,
    id: u64,
}

impl<'r> Ticket<'r> {
    fn new(requester: &'r Requester) -> Self {
        let mut state = requester.lock();
        state.last += 1;
        let id = state.last;
        state.open.insert(id, Open::Waiting(None));
        Self { requester, id }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.requester.lock();
        state.open.remove(&self.id);
        // It may be who was to be woken for the next response.
        let next = state.open.values_mut().find_map(|open| match open {
            Open::Waiting(waker) => waker.take(),
            Open::Answered(_) => None,
        });
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl Client {
    /// Subscribes to a topic of one's own, to which the responses to requests are sent.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn requester(&self, response_topic: &str) -> Result<Requester, Error> {
        let responses = self.subscribe(response_topic, QoS::AtLeastOnce).await?;
        Ok(Requester::new(self.clone(), response_topic, responses))
    }
}

impl Message {
    /// The response to this request, of the same QoS. `None` if it is none, or from a client before
    /// version 5.
    #[must_use]
    pub fn response(&self, payload: impl Into<Bytes>) -> Option<Self> {
        let topic = self.properties.response_topic.as_deref()?;
        let mut response = Self::new(topic, payload, self.qos);
        if let Some(data) = &self.properties.correlation_data {
            response.properties.correlation_data = Some(data.clone());
        }
        Some(response)
    }
}

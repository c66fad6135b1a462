//! Enhanced authentication (section 4.12): mechanisms of the session, one for each exchange.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use mqtt_codec::{Auth, Properties, Property, ReasonCode};
use mqtt_session::{AuthStep, Mechanism};

use crate::Error;

/// How many bytes of Authentication Data a mechanism may answer with.
const MAX_DATA: usize = 4096;

/// What makes a [`Mechanism`] for each exchange of enhanced authentication: one for each connection, one
/// for each re-authentication. Version 5 only.
///
/// ```
/// use mqtt_client::{Authentication, Options};
/// use mqtt_session::{AuthStep, Mechanism};
///
/// /// Shows a token, and asks nothing of the server.
/// struct Token(Vec<u8>);
///
/// impl Mechanism for Token {
///     fn method(&self) -> &str {
///         "TOKEN"
///     }
///
///     fn step(&mut self, _: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
///         buffer[..self.0.len()].copy_from_slice(&self.0);
///         AuthStep::Done(self.0.len())
///     }
/// }
///
/// let mut options = Options::from_url("mqtts://broker.example")?;
/// options.authentication = Some(Authentication::new(|| Token(b"of this hour".to_vec())));
/// # Ok::<(), mqtt_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Authentication(Arc<dyn Fn() -> Box<dyn Mechanism + Send> + Send + Sync>);

impl Authentication {
    /// Calls this for each exchange.
    pub fn new<M: Mechanism + Send + 'static>(
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move || Box::new(make())))
    }

    /// The exchange for a connection, or for a re-authentication.
    pub(crate) fn begin(&self) -> Exchange {
        Exchange { mechanism: (self.0)(), done: false, data: Vec::new() }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authentication")
    }
}

/// An exchange that is going on.
pub(crate) struct Exchange {
    mechanism: Box<dyn Mechanism + Send>,
    /// Whether the mechanism has got all that it wants.
    done: bool,
    data: Vec<u8>,
}

impl Exchange {
    /// Takes what the server says, and makes an answer of it.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the mechanism is not content.
    pub(crate) fn step(&mut self, received: Option<&[u8]>) -> Result<(), Error> {
        self.data.resize(MAX_DATA, 0);
        let len = match self.mechanism.step(received, &mut self.data) {
            AuthStep::Continue(len) => len,
            AuthStep::Done(len) => {
                self.done = true;
                len
            }
            AuthStep::Failed(reason) => return Err(Error::Authentication(reason)),
        };
        self.data.truncate(len);
        Ok(())
    }

    /// Method and data of the answer.
    pub(crate) fn properties(&self) -> [Property<'_>; 2] {
        let method = Property::AuthenticationMethod(self.mechanism.method());
        [method, Property::AuthenticationData(&self.data)]
    }

    /// The answer, where `reason` says for what.
    pub(crate) fn with_answer<R>(
        &self,
        reason: ReasonCode,
        send: impl FnOnce(&Auth<'_>) -> R,
    ) -> R {
        send(&Auth { reason, properties: Properties::from(&self.properties()[..]) })
    }

    /// The server says that it is content, and perhaps proves who it is. So nobody gets away with
    /// leaving that out.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the mechanism is not.
    pub(crate) fn end(mut self, received: Option<&[u8]>) -> Result<(), Error> {
        if received.is_some() && !self.done {
            self.step(received)?;
        }
        if self.done { Ok(()) } else { Err(Error::Authentication(ReasonCode::NotAuthorized)) }
    }
}

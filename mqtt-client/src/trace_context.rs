//! W3C Trace Context in User Properties.

use alloc::format;
use alloc::string::String;

use crate::Message;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// What ties a message to the trace that it belongs to: W3C Trace Context, level 1, in the User Properties
/// `traceparent` and `tracestate` of the message (version 5). Set [`Options::trace_context`] to have it
/// added to all that is published.
///
/// ```
/// use mqtt_client::{Message, QoS, TraceContext};
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(parent, "congo=t61rcWkgMzE").expect("it is valid");
/// let mut message = Message::new("a/b", "21.5", QoS::AtLeastOnce);
/// context.put_into(&mut message);
/// assert_eq!(TraceContext::of(&message), Some(context));
/// ```
///
/// [`Options::trace_context`]: crate::Options::trace_context
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// `trace-id`, not zero.
    pub trace_id: u128,
    /// `parent-id`: the span that the message comes from, not zero.
    pub parent_id: u64,
    /// `trace-flags`: bit 0 says that the trace is recorded.
    pub flags: u8,
    /// `tracestate`, as it is; may be empty.
    pub state: String,
}

/// Lower-case hexadecimal digits.
fn hex(text: &str) -> Option<u128> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.as_bytes().iter().all(lower).then(|| u128::from_str_radix(text, 16).ok())?
}

impl TraceContext {
    /// Reads `traceparent` and `tracestate`. `None` if they are not valid. Of versions above 0 what
    /// version 0 has is read.
    #[must_use]
    pub fn parse(parent: &str, state: &str) -> Option<Self> {
        let mut fields = parent.split('-');
        let mut field = |len| fields.next().filter(|field| field.len() == len);
        let version = hex(field(2)?)?;
        let trace_id = hex(field(32)?).filter(|id| *id != 0)?;
        let parent_id = u64::try_from(hex(field(16)?)?).ok().filter(|id| *id != 0)?;
        let flags = u8::try_from(hex(field(2)?)?).ok()?;
        if version == 0xFF || version == 0 && fields.next().is_some() {
            return None;
        }
        Some(Self { trace_id, parent_id, flags, state: state.into() })
    }

    /// `traceparent`.
    #[must_use]
    pub fn parent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }

    /// What a message carries; `None` if that is nothing valid.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let user = &message.properties.user;
        Self::among(|| user.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// What is among these User Properties.
    pub(crate) fn among<'u, I: Iterator<Item = (&'u str, &'u str)>>(
        user: impl Fn() -> I,
    ) -> Option<Self> {
        let value = |wanted| user().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        Self::parse(value(PARENT)?, value(STATE).unwrap_or_default())
    }

    /// Puts it into a message, in place of what is there.
    pub fn put_into(&self, message: &mut Message) {
        let user = &mut message.properties.user;
        user.retain(|(name, _)| name != PARENT && name != STATE);
        user.push((PARENT.into(), self.parent()));
        if !self.state.is_empty() {
            user.push((STATE.into(), self.state.clone()));
        }
    }

    /// Whether a message carries one already, valid or not.
    pub(crate) fn is_in(message: &Message) -> bool {
        message.properties.user.iter().any(|(name, _)| name == PARENT)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn what_the_recommendation_calls_invalid_is_not_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good, "").unwrap().parent(), good);
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else";
        assert_eq!(TraceContext::parse(later, "").unwrap().parent(), good);
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad, ""), None, "{bad}");
        }
    }
}

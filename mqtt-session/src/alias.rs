//! Topic aliases that the peer sends (section 3.3.2.3.4).

use mqtt_codec::TopicName;

use crate::Fault;

/// What the peer's topic aliases stand for, on this connection.
#[derive(Debug)]
pub(crate) struct Aliases {
    /// The Topic Alias Maximum that we announced.
    max: u16,
    #[cfg(feature = "alloc")]
    topics: alloc::vec::Vec<Option<alloc::boxed::Box<str>>>,
}

impl Aliases {
    /// No aliases.
    pub(crate) const fn new() -> Self {
        Self {
            max: 0,
            #[cfg(feature = "alloc")]
            topics: alloc::vec::Vec::new(),
        }
    }

    /// A new connection, on which aliases up to `max` are taken [MQTT-3.3.2-7].
    pub(crate) fn reset(&mut self, max: u16) {
        self.max = max;
        #[cfg(feature = "alloc")]
        self.topics.clear();
    }

    /// A PUBLISH came with this alias: it is set, or where the topic is empty looked for.
    pub(crate) fn receive(&mut self, alias: u16, topic: TopicName<'_>) -> Result<(), Fault> {
        if alias > self.max {
            return Err(Fault::TopicAlias);
        }
        if topic.is_empty() {
            return self.get(alias).map(|_| ()).ok_or(Fault::TopicAliasUnknown);
        }
        #[cfg(feature = "alloc")]
        {
            let index = usize::from(alias);
            if self.topics.len() <= index {
                self.topics.resize_with(index + 1, || None);
            }
            if let Some(place) = self.topics.get_mut(index) {
                *place = Some(topic.as_str().into());
            }
        }
        Ok(())
    }

    /// What this alias stands for.
    #[cfg(feature = "alloc")]
    pub(crate) fn get(&self, alias: u16) -> Option<TopicName<'_>> {
        let topic = self.topics.get(usize::from(alias))?.as_deref()?;
        TopicName::new(topic).ok()
    }

    /// Without a heap no alias is announced, so none is known.
    #[cfg(not(feature = "alloc"))]
    #[expect(clippy::unused_self, reason = "as with a heap")]
    pub(crate) const fn get(&self, _: u16) -> Option<TopicName<'_>> {
        None
    }
}

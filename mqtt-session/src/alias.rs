//! Topic aliases (section 3.3.2.3.4): those that the peer sends, and those that we choose.

use mqtt_codec::TopicName;

use crate::Fault;

/// The topic aliases of one connection, both ways. Most connections have none.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    #[cfg(feature = "alloc")]
    both: Option<alloc::boxed::Box<Both>>,
}

#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
struct Both {
    /// What those of the peer stand for.
    topics: alloc::vec::Vec<Option<alloc::boxed::Box<str>>>,
    /// Those that we have chosen.
    chosen: chosen::Chosen,
}

impl Aliases {
    /// A new connection: what was known is forgotten [MQTT-3.3.2-7].
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// A PUBLISH came with this alias, of at most `max`: it is set, or where the topic is empty looked
    /// for.
    pub(crate) fn receive(
        &mut self,
        alias: u16,
        max: u16,
        topic: TopicName<'_>,
    ) -> Result<(), Fault> {
        if alias > max {
            return Err(Fault::TopicAlias);
        }
        match self.get(alias) {
            None if topic.is_empty() => Err(Fault::TopicAliasUnknown),
            Some(known) if topic.is_empty() || topic == known => Ok(()),
            _ => {
                self.set(alias, topic);
                Ok(())
            }
        }
    }

    #[cfg(feature = "alloc")]
    fn set(&mut self, alias: u16, topic: TopicName<'_>) {
        let index = usize::from(alias) - 1;
        let topics = &mut self.both.get_or_insert_default().topics;
        if topics.len() <= index {
            let size = (2 * topics.len()).clamp(index + 1, usize::from(u16::MAX));
            topics.reserve_exact(size - topics.len());
            topics.resize_with(size, || None);
        }
        if let Some(place) = topics.get_mut(index) {
            *place = Some(topic.as_str().into());
        }
    }

    /// What this alias stands for.
    #[cfg(feature = "alloc")]
    pub(crate) fn get(&self, alias: u16) -> Option<TopicName<'_>> {
        let topics = &self.both.as_ref()?.topics;
        let topic = topics.get(usize::from(alias).checked_sub(1)?)?.as_deref()?;
        TopicName::new(topic).ok()
    }

    /// The alias for a topic that we send, and whether the peer knows it already; `None` for none.
    #[cfg(feature = "alloc")]
    pub(crate) fn choose(
        &mut self,
        policy: TopicAliases,
        max: u16,
        topic: &str,
    ) -> Option<(core::num::NonZeroU16, bool)> {
        self.both.get_or_insert_default().chosen.choose(policy, max, topic)
    }

    /// The peer has been told that this alias stands for this topic, or again.
    #[cfg(feature = "alloc")]
    pub(crate) fn told(&mut self, alias: core::num::NonZeroU16, topic: &str) {
        if let Some(both) = &mut self.both {
            both.chosen.told(alias, topic);
        }
    }

    /// Without a heap no alias is announced, so none comes.
    #[cfg(not(feature = "alloc"))]
    #[expect(clippy::unused_self, reason = "as with a heap")]
    const fn set(&mut self, _: u16, _: TopicName<'_>) {}

    /// Without a heap no alias is announced, so none is known.
    #[cfg(not(feature = "alloc"))]
    #[expect(clippy::unused_self, reason = "as with a heap")]
    pub(crate) const fn get(&self, _: u16) -> Option<TopicName<'_>> {
        None
    }
}

/// How a session chooses topic aliases for what it sends (section 3.3.2.3.4). It never uses more than
/// the peer's Topic Alias Maximum, none in 3.1.1, and none when a message is sent again, so that this
/// is legal on any connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicAliases {
    /// None: the caller may set Topic Alias itself.
    #[default]
    Off,
    /// The first topics that are sent, at most so many, keep their alias for the whole connection.
    #[cfg(feature = "alloc")]
    Fixed(u16),
    /// The topics sent last, at most so many. They are looked through one after the other: dozens
    /// rather than thousands.
    #[cfg(feature = "alloc")]
    Lru(u16),
}

#[cfg(feature = "alloc")]
mod chosen {
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::num::NonZeroU16;

    use super::TopicAliases;

    /// The aliases that the peer was told on this connection.
    #[derive(Debug, Default)]
    pub(super) struct Chosen {
        topics: Vec<Topic>,
        clock: u64,
    }

    #[derive(Debug, Default)]
    struct Topic {
        name: String,
        used: u64,
    }

    /// Shorter names gain nothing.
    const SHORTEST: usize = 4;

    impl Chosen {
        /// The alias for this topic, and whether the peer knows it already; `None` for none.
        pub(super) fn choose(
            &self,
            policy: TopicAliases,
            max: u16,
            topic: &str,
        ) -> Option<(NonZeroU16, bool)> {
            let (wanted, replace) = match policy {
                TopicAliases::Off => return None,
                TopicAliases::Fixed(wanted) => (wanted, false),
                TopicAliases::Lru(wanted) => (wanted, true),
            };
            if topic.len() < SHORTEST {
                return None;
            }
            let known = self.topics.iter().position(|known| known.name == topic);
            let index = if let Some(index) = known {
                index
            } else if self.topics.len() < usize::from(wanted.min(max)) {
                self.topics.len()
            } else if replace {
                let (oldest, _) = self.topics.iter().enumerate().min_by_key(|(_, t)| t.used)?;
                oldest
            } else {
                return None;
            };
            let alias = u16::try_from(index + 1).ok().and_then(NonZeroU16::new)?;
            Some((alias, known.is_some()))
        }

        /// The peer has been told that this alias stands for this topic, or again.
        pub(super) fn told(&mut self, alias: NonZeroU16, topic: &str) {
            let index = usize::from(alias.get()) - 1;
            if index == self.topics.len() {
                self.topics.push(Topic::default());
            }
            self.clock += 1;
            if let Some(place) = self.topics.get_mut(index) {
                place.used = self.clock;
                if place.name != topic {
                    place.name.clear();
                    place.name.push_str(topic);
                }
            }
        }
    }
}

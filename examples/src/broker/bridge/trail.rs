//! Over which bridges a message has come, so that rings of brokers do not send it round for ever.

use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU8;
use std::collections::hash_map::RandomState;

use mqtt_codec::{Properties, Property};

/// The User Property that a bridge adds to each message; brokers of version 5 pass it on, in its order
/// \[MQTT-3.3.2-17], \[MQTT-3.3.2-18].
const NAME: &str = "bridged-by";

/// What a bridge looks for in messages, and adds to them.
#[derive(Debug)]
pub(super) struct Trail {
    /// This bridge's mark. Bridges of one name are told apart by a random number.
    mark: String,
    max_hops: usize,
}

impl Trail {
    pub(super) fn new(name: &str, max_hops: NonZeroU8) -> Self {
        let random = RandomState::new().build_hasher().finish();
        Self { mark: format!("{name}/{random:016x}"), max_hops: max_hops.get().into() }
    }

    /// Whether a message that has these may go over this bridge: if it has not done so, and over fewer bridges
    /// than the most.
    pub(super) fn lets_pass(&self, properties: &Properties<'_>) -> bool {
        let marks = properties.user_properties().filter(|(name, _)| *name == NAME);
        let mut hops = 0;
        for (_, mark) in marks {
            hops += 1;
            if mark == self.mark {
                return false;
            }
        }
        hops < self.max_hops
    }

    /// What a message gets that goes over it.
    pub(super) fn property(&self) -> [Property<'_>; 1] {
        [Property::UserProperty((NAME, &self.mark))]
    }

    /// By how many bytes that makes it longer at most.
    pub(super) fn len(&self) -> usize {
        // Two lengths, the identifier, and what the lengths of the properties and the packet may grow by.
        2 + 2 + 1 + NAME.len() + self.mark.len() + 6
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU8;

    use mqtt_codec::Property;

    use super::{NAME, Trail};

    #[test]
    fn a_message_goes_over_each_bridge_once_and_over_so_many_in_all() {
        let new = |name| Trail::new(name, NonZeroU8::MIN.saturating_add(1));
        let (a, b, again) = (new("a"), new("b"), new("a"));
        let passes = |trail: &Trail, marks: &[Property<'_>]| trail.lets_pass(&marks.into());
        let [of_a] = a.property();
        let [of_b] = b.property();
        assert!(passes(&a, &[]));
        assert!(!passes(&a, &[of_a]));
        assert!(passes(&b, &[of_a]) && passes(&again, &[of_a]), "another bridge");
        assert!(!passes(&again, &[of_a, of_b]), "the third");
        let other = Property::UserProperty(("other", "x"));
        let same = Property::UserProperty((NAME, "x"));
        assert!(passes(&a, &[other, other, same]));
        assert!(!passes(&a, &[other, same, same]));
    }
}

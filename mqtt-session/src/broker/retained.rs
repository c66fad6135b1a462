//! Retained messages (section 3.3.1.3).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use hashbrown::HashMap;
use mqtt_codec::{QoS, TopicFilter, TopicName, Version};

use super::config::Config;
use super::message::{Frame, behind_topic, frame_len, join};
use super::slab::Slab;
use super::tree::{NONE, NodeId, ROOT, Tree, Value};
use crate::Instant;

/// The last value of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Retained {
    pub(crate) frame: Frame,
    pub(crate) qos: QoS,
    /// When it is of no use any more.
    pub(crate) expires: Option<Instant>,
}

/// A message that was retained.
#[derive(Debug)]
pub(crate) struct Removed {
    /// If it was kept as it is.
    pub(crate) frame: Option<Frame>,
    pub(crate) expires: Option<Instant>,
}

/// The message of a topic, as [`Kept`] reads it. Without any bytes it holds the place where a cursor
/// stands.
#[derive(Debug, Default)]
struct Topic(Option<Box<[u8]>>);

impl Topic {
    fn has_message(&self) -> bool {
        self.0.as_ref().is_some_and(|bytes| !bytes.is_empty())
    }
}

impl Value for Topic {
    type Wildcards = ();

    fn is_vacant(&self) -> bool {
        self.0.is_none()
    }
}

/// Frames up to this size are kept without what all of them have, and without the topic, of which the
/// tree knows. To put one together again for a subscriber takes less than the memory is worth.
const SMALL: usize = 1024;

/// The first byte of a message: its QoS, and what follows.
const EXPIRES: u8 = 4;
const SHARED: u8 = 8;

/// How a message is kept.
enum Kept<'k> {
    /// At this place of [`Store::shared`].
    Shared(u32),
    /// What is behind the topic.
    Small { qos: QoS, expires: Option<Instant>, behind: &'k [u8] },
}

impl<'k> Kept<'k> {
    fn read(bytes: &'k [u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_first()?;
        if flags & SHARED != 0 {
            return Some(Self::Shared(u32::from_be_bytes(rest.try_into().ok()?)));
        }
        let (expires, behind) = if flags & EXPIRES == 0 {
            (None, rest)
        } else {
            let (millis, behind) = rest.split_first_chunk()?;
            (Some(Instant::from_millis(u64::from_be_bytes(*millis))), behind)
        };
        Some(Self::Small { qos: QoS::from_bits(flags & 3)?, expires, behind })
    }

    fn shared(index: u32) -> Box<[u8]> {
        let [a, b, c, d] = index.to_be_bytes();
        Box::new([SHARED, a, b, c, d])
    }

    fn small(message: &Retained, topic: TopicName<'_>) -> Option<Box<[u8]>> {
        let behind = behind_topic(&message.frame, topic.as_str().len())?;
        let expires = message.expires.map(|at| at.as_millis().to_be_bytes());
        let flags = message.qos.bits() | expires.map_or(0, |_| EXPIRES);
        let parts = [&[flags][..], expires.as_ref().map_or(&[][..], |bytes| bytes), behind];
        Some(parts.concat().into())
    }
}

/// The last value of every topic that has one.
#[derive(Debug)]
pub(crate) struct Store {
    tree: Tree<Topic>,
    /// Messages that are not small, and all where they are known by their frames.
    shared: Slab<Retained>,
    is_durable: bool,
    /// How many cursors stand at a node.
    pins: HashMap<NodeId, u32>,
    scratch: Vec<u8>,
    len: usize,
    bytes: usize,
    max: usize,
    max_bytes: usize,
}

/// A walk through all retained messages that match a filter, which can pause for as long as it
/// likes: what is kept and cleared meanwhile does not disturb it.
#[derive(Debug)]
pub(crate) struct Cursor {
    filter: Box<str>,
    /// Where each of its levels begins.
    starts: Box<[u16]>,
    node: NodeId,
    /// How many levels of the filter lead to the node.
    depth: usize,
    /// Whether the node is a match that is not done with.
    at_match: bool,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// To a match.
    Match,
    /// As far as it was allowed to.
    Paused,
    /// To the end.
    End,
}

impl Store {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            tree: Tree::new(config.max_filter_levels, config.max_filter_bytes),
            shared: Slab::new(),
            is_durable: config.durable,
            pins: HashMap::new(),
            scratch: Vec::new(),
            len: 0,
            bytes: 0,
            max: config.max_retained_messages,
            max_bytes: config.max_retained_bytes,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps the message of a topic that has none. `None` if there is no room.
    pub(crate) fn set(&mut self, topic: TopicName<'_>, message: Retained) -> Option<NodeId> {
        let size = message.frame.len();
        if self.len >= self.max || self.bytes.saturating_add(size) > self.max_bytes {
            return None;
        }
        let node = self.tree.insert(topic.levels())?;
        let kept = if self.is_durable || size > SMALL {
            self.shared.insert(message).map(|key| Kept::shared(key.index))
        } else {
            Kept::small(&message, topic)
        };
        let (Some(kept), Some(place)) = (kept, self.tree.value_mut(node)) else {
            self.tree.prune(node);
            return None;
        };
        place.0 = Some(kept);
        self.len += 1;
        self.bytes += size;
        Some(node)
    }

    /// Forgets the message of this topic [MQTT-3.3.1-6].
    pub(crate) fn clear(&mut self, topic: TopicName<'_>) -> Option<(NodeId, Removed)> {
        let node = self.tree.find(topic.levels());
        Some((node, self.remove(node)?))
    }

    /// All messages of a durable broker.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Retained> {
        self.shared.iter()
    }

    fn remove(&mut self, node: NodeId) -> Option<Removed> {
        let topic = self.topic_len(node);
        let place = self.tree.value_mut(node)?;
        let (size, removed) = match Kept::read(place.0.as_deref()?)? {
            Kept::Shared(index) => {
                let key = self.shared.key(index)?;
                let Retained { frame, expires, .. } = self.shared.remove(key)?;
                (frame.len(), Removed { frame: Some(frame), expires })
            }
            Kept::Small { expires, behind, .. } => {
                (frame_len(topic, behind.len()), Removed { frame: None, expires })
            }
        };
        place.0 = self.pins.contains_key(&node).then(Box::default);
        self.len -= 1;
        self.bytes -= size;
        self.tree.prune(node);
        Some(removed)
    }

    /// Forgets the message here if it has expired.
    pub(crate) fn expire(&mut self, node: NodeId, now: Instant) -> Option<Removed> {
        let expires = match Kept::read(self.tree.value(node)?.0.as_deref()?)? {
            Kept::Shared(index) => self.shared.at(index)?.expires,
            Kept::Small { expires, .. } => expires,
        };
        if expires? > now {
            return None;
        }
        self.remove(node)
    }

    /// How many bytes the topic of this node has.
    fn topic_len(&self, node: NodeId) -> usize {
        let len: usize = self.path_from(node).map(|node| self.tree.level(node).len() + 1).sum();
        len.saturating_sub(1)
    }

    /// This node and those above it, but for the root.
    fn path_from(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let is_one = |node: &NodeId| *node != ROOT && *node != NONE;
        let parent = move |node: &NodeId| Some(self.tree.parent(*node)).filter(is_one);
        iter::successors(Some(node).filter(is_one), parent)
    }

    /// A walk that begins before the first match.
    pub(crate) fn cursor(&mut self, filter: TopicFilter<'_>) -> Cursor {
        self.pin(ROOT);
        let filter = filter.as_str();
        // A filter is at most 65,535 bytes long.
        let starts = filter.match_indices('/').map(|(slash, _)| (slash + 1) as u16);
        Cursor {
            filter: filter.into(),
            starts: iter::once(0).chain(starts).collect(),
            node: ROOT,
            depth: 0,
            at_match: false,
        }
    }

    /// The message of the match where the cursor stands.
    pub(crate) fn get(&mut self, cursor: &Cursor) -> Option<Retained> {
        if !cursor.at_match {
            return None;
        }
        match Kept::read(self.tree.value(cursor.node)?.0.as_deref()?)? {
            Kept::Shared(index) => self.shared.at(index).cloned(),
            Kept::Small { qos, expires, behind } => {
                let len = self.topic_len(cursor.node);
                let mut scratch = core::mem::take(&mut self.scratch);
                let topic = |bytes: &mut Vec<u8>| {
                    let mut end = bytes.len() + len;
                    bytes.resize(end, b'/');
                    for node in self.path_from(cursor.node) {
                        let level = self.tree.level(node).as_bytes();
                        let start = end.saturating_sub(level.len());
                        if let Some(place) = bytes.get_mut(start..end) {
                            place.copy_from_slice(level);
                        }
                        end = start.saturating_sub(1);
                    }
                };
                let frame = join(topic, len, behind, &mut scratch);
                self.scratch = scratch;
                Some(Retained { frame, qos, expires })
            }
        }
    }

    /// Goes on to the next match, or until `steps` are used up.
    pub(crate) fn advance(&mut self, cursor: &mut Cursor, steps: &mut usize) -> Walked {
        let start = cursor.node;
        cursor.at_match = false;
        let walked = loop {
            if *steps == 0 {
                break Walked::Paused;
            }
            if !self.step(cursor, steps) {
                break Walked::End;
            }
            let has_message = self.tree.value(cursor.node).is_some_and(Topic::has_message);
            if has_message && self.is_match(cursor) {
                cursor.at_match = true;
                break Walked::Match;
            }
        };
        self.pin(cursor.node);
        self.unpin(start);
        walked
    }

    /// The walk ends.
    pub(crate) fn drop_cursor(&mut self, cursor: &Cursor) {
        self.unpin(cursor.node);
    }

    /// One more cursor stands at this node, which stays.
    fn pin(&mut self, node: NodeId) {
        *self.pins.entry(node).or_insert(0) += 1;
        if let Some(topic) = self.tree.value_mut(node) {
            topic.0.get_or_insert_default();
        }
    }

    /// One less does.
    fn unpin(&mut self, node: NodeId) {
        let Some(count) = self.pins.get_mut(&node) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.pins.remove(&node);
        if let Some(topic) = self.tree.value_mut(node).filter(|topic| !topic.has_message()) {
            topic.0 = None;
        }
        self.tree.prune(node);
    }

    /// Whether the filter ends at the node.
    fn is_match(&self, cursor: &Cursor) -> bool {
        cursor.depth >= cursor.starts.len() || cursor.level(cursor.depth) == Some("#")
    }

    /// The next node that the filter may lead to, depth first.
    fn step(&self, cursor: &mut Cursor, steps: &mut usize) -> bool {
        let down = match cursor.level(cursor.depth) {
            Some("+" | "#") => self.visible(cursor.node, self.tree.first_child(cursor.node), steps),
            Some(level) => {
                // A long level takes longer to look for.
                *steps = steps.saturating_sub(1 + level.len() / 64);
                self.tree.child(cursor.node, level)
            }
            None => NONE,
        };
        if down != NONE {
            cursor.node = down;
            cursor.depth += 1;
            return true;
        }
        while cursor.depth > 0 {
            let side = match cursor.level(cursor.depth - 1) {
                Some("+" | "#") => {
                    let parent = self.tree.parent(cursor.node);
                    self.visible(parent, self.tree.next(cursor.node), steps)
                }
                _ => NONE,
            };
            if side != NONE {
                cursor.node = side;
                return true;
            }
            cursor.node = self.tree.parent(cursor.node);
            cursor.depth -= 1;
            *steps = steps.saturating_sub(1);
        }
        false
    }

    /// This node or the first sibling behind it that a wildcard shows: none that begins with `$` on
    /// the first level [MQTT-4.7.2-1].
    fn visible(&self, parent: NodeId, first: NodeId, steps: &mut usize) -> NodeId {
        let mut siblings = iter::successors(Some(first), |node| {
            Some(self.tree.next(*node)).filter(|n| *n != NONE)
        });
        let shown = |node: &NodeId| {
            *steps = steps.saturating_sub(1);
            parent != ROOT || !self.tree.level(*node).starts_with('$')
        };
        siblings.find(shown).unwrap_or(NONE)
    }
}

impl Cursor {
    /// The filter that it walks by.
    pub(crate) fn filter(&self) -> Option<TopicFilter<'_>> {
        TopicFilter::for_version(&self.filter, Version::V311).ok()
    }

    /// How many bytes its filter takes.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filter.len() + size_of_val(&*self.starts)
    }

    /// The match where it stands is done with.
    pub(crate) const fn done(&mut self) {
        self.at_match = false;
    }

    /// The level of the filter that chooses among the children of a node of this depth: `#` for all
    /// depths from its own on.
    fn level(&self, depth: usize) -> Option<&str> {
        let Some(start) = self.starts.get(depth) else {
            return self.filter.ends_with('#').then_some("#");
        };
        let end =
            self.starts.get(depth + 1).map_or(self.filter.len(), |next| usize::from(*next) - 1);
        self.filter.get(usize::from(*start)..end)
    }
}

//! Retained messages (section 3.3.1.3).

use alloc::boxed::Box;
use core::iter;

use mqtt_codec::{QoS, TopicFilter, TopicName, Version};

use super::config::Config;
use super::message::Frame;
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

#[derive(Debug, Default)]
struct Topic {
    message: Option<Retained>,
    /// How many cursors stand here.
    pins: u32,
}

impl Value for Topic {
    fn is_vacant(&self) -> bool {
        self.message.is_none() && self.pins == 0
    }
}

/// The last value of every topic that has one.
#[derive(Debug)]
pub(crate) struct Store {
    tree: Tree<Topic>,
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
        self.tree.value_mut(node)?.message = Some(message);
        self.len += 1;
        self.bytes += size;
        Some(node)
    }

    /// Forgets the message of this topic [MQTT-3.3.1-6].
    pub(crate) fn clear(&mut self, topic: TopicName<'_>) -> Option<(NodeId, Retained)> {
        let node = self.tree.find(topic.levels());
        Some((node, self.remove(node)?))
    }

    /// All messages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Retained> {
        self.tree.values().filter_map(|topic| topic.message.as_ref())
    }

    fn remove(&mut self, node: NodeId) -> Option<Retained> {
        let message = self.tree.value_mut(node)?.message.take()?;
        self.len -= 1;
        self.bytes -= message.frame.len();
        self.tree.prune(node);
        Some(message)
    }

    /// Forgets the message here if it has expired.
    pub(crate) fn expire(&mut self, node: NodeId, now: Instant) -> Option<Retained> {
        let message = self.tree.value(node)?.message.as_ref()?;
        if message.expires? > now {
            return None;
        }
        self.remove(node)
    }

    /// A walk that begins before the first match.
    pub(crate) fn cursor(&mut self, filter: TopicFilter<'_>) -> Cursor {
        self.pin(ROOT, 1);
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
    pub(crate) fn get(&self, cursor: &Cursor) -> Option<&Retained> {
        self.tree.value(cursor.node)?.message.as_ref().filter(|_| cursor.at_match)
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
            let has_message = self.tree.value(cursor.node).is_some_and(|t| t.message.is_some());
            if has_message && self.is_match(cursor) {
                cursor.at_match = true;
                break Walked::Match;
            }
        };
        self.pin(cursor.node, 1);
        self.pin(start, -1);
        self.tree.prune(start);
        walked
    }

    /// The walk ends.
    pub(crate) fn drop_cursor(&mut self, cursor: &Cursor) {
        self.pin(cursor.node, -1);
        self.tree.prune(cursor.node);
    }

    fn pin(&mut self, node: NodeId, change: i32) {
        if let Some(topic) = self.tree.value_mut(node) {
            topic.pins = topic.pins.saturating_add_signed(change);
        }
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

//! A tree of topic levels, for filters and for retained messages.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::text::Text;

/// A node of a [`Tree`].
pub(crate) type NodeId = u32;

/// No node.
pub(crate) const NONE: NodeId = u32::MAX;

/// The node above the first level.
pub(crate) const ROOT: NodeId = 0;

/// What a node holds.
pub(crate) trait Value: Default {
    /// Where the children `+` and `#` are, if there may be such.
    type Wildcards: Children;

    /// Whether the node is of no use unless it has children.
    fn is_vacant(&self) -> bool;
}

/// Children that are found without looking for their level.
pub(crate) trait Children: Default + core::fmt::Debug {
    /// This is the child of this level now.
    fn set(&mut self, level: &[u8], child: NodeId);
}

/// No child is found like this.
impl Children for () {
    fn set(&mut self, _: &[u8], _: NodeId) {}
}

/// The children `+` and `#`.
#[derive(Debug)]
pub(crate) struct Wildcards {
    plus: NodeId,
    hash: NodeId,
}

impl Default for Wildcards {
    fn default() -> Self {
        Self { plus: NONE, hash: NONE }
    }
}

impl Children for Wildcards {
    fn set(&mut self, level: &[u8], child: NodeId) {
        match level {
            b"+" => self.plus = child,
            b"#" => self.hash = child,
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Node<T: Value> {
    parent: NodeId,
    /// What stands between the slashes.
    level: Text,
    first_child: NodeId,
    /// The siblings, or of a free node the next free one.
    next: NodeId,
    previous: NodeId,
    wildcards: T::Wildcards,
    value: T,
}

/// Values by paths of levels. A child is found by one look into one table, whatever the number of its
/// siblings.
#[derive(Debug)]
pub(crate) struct Tree<T: Value> {
    nodes: Vec<Node<T>>,
    free: NodeId,
    /// Of all levels.
    bytes: usize,
    max_nodes: usize,
    max_bytes: usize,
    /// All nodes but the root, by parent and level.
    children: HashTable<NodeId>,
    hasher: DefaultHashBuilder,
}

impl<T: Value> Node<T> {
    fn new(parent: NodeId, level: &str, value: T) -> Self {
        Self {
            parent,
            level: Text::new(level),
            first_child: NONE,
            next: NONE,
            previous: NONE,
            wildcards: T::Wildcards::default(),
            value,
        }
    }
}

impl<T: Value<Wildcards = Wildcards>> Tree<T> {
    /// The child `+`, or [`NONE`].
    pub(crate) fn plus(&self, parent: NodeId) -> NodeId {
        self.nodes.get(parent as usize).map_or(NONE, |node| node.wildcards.plus)
    }

    /// The child `#`, or [`NONE`].
    pub(crate) fn hash(&self, parent: NodeId) -> NodeId {
        self.nodes.get(parent as usize).map_or(NONE, |node| node.wildcards.hash)
    }
}

impl<T: Value> Tree<T> {
    /// A tree of at most so many nodes below the root, whose levels have at most so many bytes.
    pub(crate) fn new(max_nodes: usize, max_bytes: usize) -> Self {
        Self {
            bytes: 0,
            max_nodes,
            max_bytes,
            nodes: Vec::from([Node::new(NONE, "", T::default())]),
            free: NONE,
            children: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// How many nodes there are below the root.
    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn value(&self, node: NodeId) -> Option<&T> {
        self.nodes.get(node as usize).map(|node| &node.value)
    }

    pub(crate) fn value_mut(&mut self, node: NodeId) -> Option<&mut T> {
        self.nodes.get_mut(node as usize).map(|node| &mut node.value)
    }

    /// The child with this level, or [`NONE`].
    pub(crate) fn child(&self, parent: NodeId, level: &str) -> NodeId {
        let level = level.as_bytes();
        let is_it = |id: &NodeId| {
            self.nodes
                .get(*id as usize)
                .is_some_and(|node| node.parent == parent && node.level.as_bytes() == level)
        };
        self.children.find(self.hasher.hash_one((parent, level)), is_it).copied().unwrap_or(NONE)
    }

    /// Any child, from which [`Tree::next`] leads to all others, or [`NONE`].
    pub(crate) fn first_child(&self, parent: NodeId) -> NodeId {
        self.nodes.get(parent as usize).map_or(NONE, |node| node.first_child)
    }

    /// Another child of the same parent, or [`NONE`] after the last.
    pub(crate) fn next(&self, node: NodeId) -> NodeId {
        self.nodes.get(node as usize).map_or(NONE, |node| node.next)
    }

    /// The node above, or [`NONE`] above the root.
    pub(crate) fn parent(&self, node: NodeId) -> NodeId {
        self.nodes.get(node as usize).map_or(NONE, |node| node.parent)
    }

    /// What stands between the slashes.
    pub(crate) fn level(&self, node: NodeId) -> &str {
        self.nodes.get(node as usize).map_or("", |node| node.level.as_str())
    }

    /// The node at the end of this path, or [`NONE`].
    pub(crate) fn find<'l>(&self, path: impl IntoIterator<Item = &'l str>) -> NodeId {
        let mut node = ROOT;
        for level in path {
            node = self.child(node, level);
            if node == NONE {
                break;
            }
        }
        node
    }

    /// The node at the end of this path, made where it is missing. `None` when there are too many.
    pub(crate) fn insert<'l>(&mut self, path: impl IntoIterator<Item = &'l str>) -> Option<NodeId> {
        let mut node = ROOT;
        for level in path {
            let child = self.child(node, level);
            if child != NONE {
                node = child;
                continue;
            }
            match self.add(node, level) {
                Some(child) => node = child,
                None => {
                    self.prune(node);
                    return None;
                }
            }
        }
        Some(node)
    }

    fn add(&mut self, parent: NodeId, level: &str) -> Option<NodeId> {
        let bytes = self.bytes.saturating_add(level.len());
        if self.len() >= self.max_nodes || bytes > self.max_bytes {
            return None;
        }
        let mut node = Node::new(parent, level, T::default());
        node.next = self.first_child(parent);
        let id = match self.nodes.get_mut(self.free as usize) {
            Some(place) => {
                let id = core::mem::replace(&mut self.free, place.next);
                *place = node;
                id
            }
            None => {
                let id = u32::try_from(self.nodes.len()).ok().filter(|id| *id != NONE)?;
                self.nodes.push(node);
                id
            }
        };
        self.bytes = bytes;
        let next = self.next(id);
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = id;
        }
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.first_child = id;
            parent.wildcards.set(level.as_bytes(), id);
        }
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash = |id: &NodeId| {
            let node = nodes.get(*id as usize);
            hasher
                .hash_one(node.map_or((NONE, &[][..]), |node| (node.parent, node.level.as_bytes())))
        };
        self.children.insert_unique(hash(&id), id, hash);
        Some(id)
    }

    /// Removes this node and those above it, as far as they are of no use.
    pub(crate) fn prune(&mut self, mut id: NodeId) {
        while id != ROOT {
            let Some(node) = self.nodes.get_mut(id as usize) else { return };
            if node.first_child != NONE || !node.value.is_vacant() {
                return;
            }
            let level = core::mem::take(&mut node.level);
            let level = level.as_bytes();
            self.bytes = self.bytes.saturating_sub(level.len());
            let (parent, next, previous) = (node.parent, node.next, node.previous);
            node.next = self.free;
            node.parent = NONE;
            node.value = T::default();
            self.free = id;
            let hash = self.hasher.hash_one((parent, level));
            if let Ok(entry) = self.children.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
            if let Some(next) = self.nodes.get_mut(next as usize) {
                next.previous = previous;
            }
            if let Some(previous) = self.nodes.get_mut(previous as usize) {
                previous.next = next;
            }
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                if previous == NONE {
                    parent.first_child = next;
                }
                parent.wildcards.set(level, NONE);
            }
            id = parent;
        }
    }
}

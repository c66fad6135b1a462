//! Which filters match a topic (section 4.7): a tree whose edges are levels.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use mqtt_codec::{TopicFilter, TopicName};

/// Filters and the keys of those who want them. A node is a path of levels, wildcards among them as
/// what they are: a topic has none, so that they cannot be confused. Memory is in proportion to the
/// levels of all filters, and a look-up visits no node twice.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Nodes that are free.
    free: Vec<usize>,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    level: Box<str>,
    children: BTreeMap<Box<str>, usize>,
    keys: Vec<u32>,
}

const ROOT: usize = 0;

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: alloc::vec![Node::default()], free: Vec::new() }
    }
}

/// The levels that a server matches: without `$share` and the name of the group.
fn levels(filter: &str) -> Option<impl Iterator<Item = &str>> {
    let filter = TopicFilter::new(filter).ok()?;
    Some(filter.shared().map_or(filter, |shared| shared.filter).as_str().split('/'))
}

impl Trie {
    /// Adds a filter, which has passed the codec, under a key.
    pub(crate) fn insert(&mut self, filter: &str, key: u32) {
        let mut at = ROOT;
        for level in levels(filter).into_iter().flatten() {
            at = match self.child(at, level) {
                Some(child) => child,
                None => self.add(at, level),
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.keys.push(key);
        }
    }

    fn child(&self, node: usize, level: &str) -> Option<usize> {
        self.nodes.get(node)?.children.get(level).copied()
    }

    fn add(&mut self, parent: usize, level: &str) -> usize {
        let node = Node { parent, level: level.into(), ..Node::default() };
        let place = self.free.pop().unwrap_or(self.nodes.len());
        match self.nodes.get_mut(place) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.insert(level.into(), place);
        }
        place
    }

    /// Takes this key from this filter, and gives back the memory that only it needed.
    pub(crate) fn remove(&mut self, filter: &str, key: u32) {
        let Some(mut levels) = levels(filter) else { return };
        let Some(mut at) = levels.try_fold(ROOT, |at, level| self.child(at, level)) else { return };
        if let Some(node) = self.nodes.get_mut(at) {
            node.keys.retain(|known| *known != key);
        }
        while at != ROOT {
            let Some(node) = self.nodes.get_mut(at) else { return };
            if !node.keys.is_empty() || !node.children.is_empty() {
                return;
            }
            let Node { parent, level, .. } = core::mem::take(node);
            self.free.push(at);
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.children.remove(&level);
            }
            at = parent;
        }
    }

    /// Adds the keys of all filters that match, in no order, each once.
    pub(crate) fn find(&self, topic: TopicName<'_>, keys: &mut Vec<u32>) {
        let mut take = |node: Option<usize>| {
            keys.extend(node.and_then(|node| self.nodes.get(node)).iter().flat_map(|n| &n.keys));
        };
        // Not by recursion: how many levels there are is up to others.
        let mut paths = alloc::vec![(ROOT, Some(topic.as_str()))];
        while let Some((node, rest)) = paths.pop() {
            let Some(rest) = rest else {
                take(Some(node));
                // [MQTT-4.7.1-2]: with the parent level.
                take(self.child(node, "#"));
                continue;
            };
            let (level, rest) = match rest.split_once('/') {
                Some((level, rest)) => (level, Some(rest)),
                None => (rest, None),
            };
            // [MQTT-4.7.2-1]
            if node != ROOT || !level.starts_with('$') {
                take(self.child(node, "#"));
                paths.extend(self.child(node, "+").map(|child| (child, rest)));
            }
            paths.extend(self.child(node, level).map(|child| (child, rest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use mqtt_codec::{TopicFilter, TopicName};

    use super::Trie;

    fn random(state: &mut u32) -> usize {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 16) as usize
    }

    fn path(state: &mut u32, words: &[&str]) -> String {
        let count = 1 + random(state) % 4;
        let levels: Vec<&str> = (0..count).map(|_| words[random(state) % words.len()]).collect();
        levels.join("/")
    }

    #[test]
    fn it_finds_what_looking_at_each_filter_finds_mqtt_4_7() {
        let mut state = 7;
        let mut trie = Trie::default();
        let mut model: Vec<(u32, String)> = Vec::new();
        for key in 0..20_000 {
            if random(&mut state) % 5 < 2 && !model.is_empty() {
                let (key, filter) = model.swap_remove(random(&mut state) % model.len());
                trie.remove(&filter, key);
            } else {
                let mut filter = path(&mut state, &["a", "b", "", "+", "$s", "#"]);
                if random(&mut state) % 8 == 0 {
                    filter = format!("$share/g/{filter}");
                }
                if TopicFilter::new(&filter).is_ok() && model.len() < 60 {
                    trie.insert(&filter, key);
                    model.push((key, filter));
                }
            }
            let topic = path(&mut state, &["a", "b", "", "c", "$s"]);
            let Ok(topic) = TopicName::new(&topic) else { continue };
            let mut found = Vec::new();
            trie.find(topic, &mut found);
            found.sort_unstable();
            let matches = |filter: &str| {
                let filter = TopicFilter::new(filter).unwrap();
                filter.shared().map_or(filter, |shared| shared.filter).matches(topic)
            };
            let mut expected: Vec<u32> =
                model.iter().filter(|(_, f)| matches(f)).map(|(key, _)| *key).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic} of {model:?}");
        }
        for (key, filter) in model {
            trie.remove(&filter, key);
        }
        assert_eq!(trie.nodes.len(), trie.free.len() + 1, "all memory is given back");
    }

    #[test]
    fn a_filter_of_as_many_levels_as_there_can_be_does_no_harm() {
        let filter = "/".repeat(65_535);
        let mut trie = Trie::default();
        trie.insert(&filter, 1);
        trie.insert(&"+/".repeat(30_000), 2);
        let mut found = Vec::new();
        trie.find(TopicName::new(&filter).unwrap(), &mut found);
        assert_eq!(found, [1]);
        trie.remove(&filter, 1);
        trie.remove(&"+/".repeat(30_000), 2);
        assert_eq!(trie.nodes.len(), trie.free.len() + 1);
    }
}

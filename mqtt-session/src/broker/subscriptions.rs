//! Who has subscribed to what (sections 4.7 and 4.8).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::iter;
use core::num::NonZeroU32;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use mqtt_codec::{QoS, Subscription, SubscriptionId, TopicFilter, TopicName, Version};

use super::few::Few;
use super::patterns::Patterns;
use super::tree::{NONE, NodeId, ROOT, Tree, Value, Wildcards};

/// A subscription: an index that is used again once the subscription is gone.
pub(crate) type SubIndex = u32;

/// How a session has subscribed, as far as delivery asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// Whether retained messages are still to be sent for it.
    pub(crate) replays: bool,
    pub(crate) id: Option<SubscriptionId>,
}

impl Options {
    pub(crate) fn new(
        subscription: &Subscription<'_>,
        qos: QoS,
        id: Option<SubscriptionId>,
    ) -> Self {
        Self {
            qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            replays: false,
            id,
        }
    }
}

/// A subscriber of a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber {
    pub(crate) session: u32,
    pub(crate) options: Options,
    sub: SubIndex,
}

/// Those who have subscribed to one filter; or the members of one group that shares it, which is a
/// node of its own below that of the filter.
#[derive(Debug)]
enum Subscribers {
    Plain(Few<Subscriber>),
    /// At a group, and at a filter that groups share.
    Shared(Box<(Few<Subscriber>, Shared)>),
}

impl Default for Subscribers {
    fn default() -> Self {
        Self::Plain(Few::default())
    }
}

impl Subscribers {
    fn members(&self) -> &[Subscriber] {
        match self {
            Self::Plain(members) => members,
            Self::Shared(both) => &both.0,
        }
    }

    fn members_mut(&mut self) -> &mut Few<Subscriber> {
        match self {
            Self::Plain(members) => members,
            Self::Shared(both) => &mut both.0,
        }
    }

    fn shared(&self) -> Option<&Shared> {
        match self {
            Self::Plain(_) => None,
            Self::Shared(both) => Some(&both.1),
        }
    }

    fn shared_mut(&mut self) -> Option<&mut Shared> {
        match self {
            Self::Plain(_) => None,
            Self::Shared(both) => Some(&mut both.1),
        }
    }

    /// From now on it has to do with groups, if it has not yet.
    fn share(&mut self) {
        if let Self::Plain(members) = self {
            *self = Self::Shared(Box::new((core::mem::take(members), Shared::default())));
        }
    }

    /// It has nothing to do with groups any more.
    fn unshare(&mut self) -> Option<Shared> {
        match core::mem::take(self) {
            Self::Plain(members) => {
                *self = Self::Plain(members);
                None
            }
            Self::Shared(both) => {
                let (members, shared) = *both;
                *self = Self::Plain(members);
                Some(shared)
            }
        }
    }
}

/// What only Shared Subscriptions need.
#[derive(Debug, Default)]
struct Shared {
    /// At a filter: the nodes of its groups.
    groups: Vec<NodeId>,
    /// At a group: where it stands in `groups`, and whose turn it is.
    place: usize,
    turn: usize,
    /// At a group: a number that no other one has had for long.
    number: Option<NonZeroU32>,
}

/// A group that shares a filter, for as long as it has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    node: NodeId,
    number: NonZeroU32,
}

impl Group {
    /// One that has no members any more.
    pub(crate) const GONE: Self = Self { node: NONE, number: NonZeroU32::MAX };
}

impl Value for Subscribers {
    type Wildcards = Wildcards;

    fn is_vacant(&self) -> bool {
        self.members().is_empty() && self.shared().is_none_or(|s| s.groups.is_empty())
    }
}

/// Where a subscription is found.
#[derive(Clone, Copy, Debug)]
struct Place {
    session: u32,
    node: NodeId,
    /// In the node's list.
    member: u32,
    /// In the session's list.
    own: u32,
}

/// The bounds of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max: usize,
    pub(crate) max_per_session: usize,
    pub(crate) max_nodes: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_pattern_levels: usize,
    pub(crate) max_pattern_levels_per_session: usize,
    pub(crate) max_shared_per_session: usize,
}

/// What came of subscribing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    New,
    Replaced,
    /// There is no room for it.
    Refused,
}

/// All subscriptions: a tree of filters. To subscribe and to unsubscribe cost the same however many
/// there are; to find the matches costs as much as there are filters that begin like the topic, which
/// are no more than [`Patterns`] allows.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    tree: Tree<Subscribers>,
    patterns: Patterns,
    places: Vec<Place>,
    free: Vec<SubIndex>,
    /// By session and node.
    table: HashTable<SubIndex>,
    hasher: DefaultHashBuilder,
    bounds: Bounds,
    /// How many are shared, and of whom.
    shared: usize,
    shared_of: HashMap<u32, usize>,
    /// How many groups there were.
    groups: u32,
    /// Nodes yet to be looked at, and where their next level begins in the topic.
    walk: Vec<(NodeId, Option<usize>)>,
}

impl Subscriptions {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            tree: Tree::new(bounds.max_nodes, bounds.max_bytes),
            patterns: Patterns::new(
                bounds.max_pattern_levels,
                bounds.max_pattern_levels_per_session,
            ),
            places: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            bounds,
            shared: 0,
            shared_of: HashMap::new(),
            groups: 0,
            walk: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Those that are shared.
    pub(crate) const fn shared_len(&self) -> usize {
        self.shared
    }

    /// Subscribes a session, whose subscriptions `own` lists. A group is named only where the version
    /// knows Shared Subscriptions. `payer` is whose [`Patterns`] they are; without one, as when all is
    /// restored, no bound of a session is looked at but the number of its subscriptions.
    pub(crate) fn subscribe(
        &mut self,
        session: u32,
        payer: Option<u32>,
        own: &mut Few<SubIndex>,
        filter: TopicFilter<'_>,
        group: Option<&str>,
        options: Options,
    ) -> Subscribed {
        let existing = self.find(session, filter, group);
        if let Some(sub) = existing {
            // [MQTT-3.8.4-3]
            if let Some(member) = self.member_mut(sub) {
                let replays = member.options.replays;
                member.options = Options { replays, ..options };
            }
            return Subscribed::Replaced;
        }
        if self.len() >= self.bounds.max || own.len() >= self.bounds.max_per_session {
            return Subscribed::Refused;
        }
        let shared = self.shared_of.get(&session).copied().unwrap_or_default();
        let is_bounded = group.is_some() && payer.is_some();
        if is_bounded && shared >= self.bounds.max_shared_per_session {
            return Subscribed::Refused;
        }
        if !self.patterns.add(payer, filter) {
            return Subscribed::Refused;
        }
        let group_level = group.map(group_level);
        let path = filter.levels().chain(group_level.as_deref());
        let Some(node) = self.tree.insert(path) else {
            self.patterns.remove(&filter.levels().collect::<Vec<_>>());
            return Subscribed::Refused;
        };
        let sub = self.free.pop().unwrap_or(self.places.len() as SubIndex);
        let Some(value) = self.tree.value_mut(node) else { return Subscribed::Refused };
        let place =
            Place { session, node, member: value.members().len() as u32, own: own.len() as u32 };
        value.members_mut().push(Subscriber { session, options, sub });
        if group.is_some() && value.shared().is_none() {
            self.groups = self.groups.wrapping_add(1).max(1);
            value.share();
            if let Some(shared) = value.shared_mut() {
                shared.number = NonZeroU32::new(self.groups);
            }
            self.add_group(node);
        }
        match self.places.get_mut(sub as usize) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        own.push(sub);
        if group.is_some() {
            self.shared += 1;
            self.shared_of.insert(session, shared + 1);
        }
        let (places, hasher) = (&self.places, &self.hasher);
        let hash = |sub: &SubIndex| hash_of(hasher, places.get(*sub as usize));
        self.table.insert_unique(hash(&sub), sub, hash);
        Subscribed::New
    }

    /// One subscription of this session fewer is shared.
    fn unshared(&mut self, session: u32) {
        self.shared -= 1;
        if let Some(shared) = self.shared_of.get_mut(&session) {
            *shared -= 1;
            if *shared == 0 {
                self.shared_of.remove(&session);
            }
        }
    }

    /// A group has its first member: the filter gets to know it.
    fn add_group(&mut self, node: NodeId) {
        let filter = self.tree.parent(node);
        let Some(value) = self.tree.value_mut(filter) else { return };
        value.share();
        let Some(shared) = value.shared_mut() else { return };
        let place = shared.groups.len();
        shared.groups.push(node);
        if let Some(shared) = self.tree.value_mut(node).and_then(Subscribers::shared_mut) {
            shared.place = place;
        }
    }

    /// A group has no member any more.
    fn remove_group(&mut self, node: NodeId) {
        let filter = self.tree.parent(node);
        let shared = self.tree.value_mut(node).and_then(Subscribers::unshare);
        let Some(place) = shared.map(|shared| shared.place) else { return };
        let Some(value) = self.tree.value_mut(filter) else { return };
        let Some(shared) = value.shared_mut() else { return };
        if place < shared.groups.len() {
            shared.groups.swap_remove(place);
        }
        let moved = shared.groups.get(place).copied();
        if shared.groups.is_empty() {
            value.unshare();
        }
        if let Some(shared) =
            moved.and_then(|node| self.tree.value_mut(node)).and_then(Subscribers::shared_mut)
        {
            shared.place = place;
        }
    }

    /// How a session has subscribed to this filter.
    pub(crate) fn options_mut(
        &mut self,
        session: u32,
        filter: TopicFilter<'_>,
        group: Option<&str>,
    ) -> Option<&mut Options> {
        let sub = self.find(session, filter, group)?;
        Some(&mut self.member_mut(sub)?.options)
    }

    /// The filter of a subscription, as [`path`] has it, and its options.
    pub(crate) fn get(&self, sub: SubIndex) -> Option<(Vec<u8>, Options)> {
        let place = self.places.get(sub as usize)?;
        let options = self.tree.value(place.node)?.members().get(place.member as usize)?.options;
        let mut path = Vec::new();
        for (depth, node) in self.path_to(place.node).into_iter().enumerate() {
            let level = self.tree.level(node);
            if depth > 0 && !level.starts_with(GROUP) {
                path.push(b'/');
            }
            path.extend_from_slice(level.as_bytes());
        }
        Some((path, options))
    }

    /// Whether a session has subscribed to this filter, alone.
    pub(crate) fn contains(&self, session: u32, filter: TopicFilter<'_>) -> bool {
        self.find(session, filter, None).is_some()
    }

    fn find(&self, session: u32, filter: TopicFilter<'_>, group: Option<&str>) -> Option<SubIndex> {
        let group_level = group.map(group_level);
        self.find_at(session, self.tree.find(filter.levels().chain(group_level.as_deref())))
    }

    fn find_at(&self, session: u32, node: NodeId) -> Option<SubIndex> {
        let is_it = |sub: &SubIndex| {
            self.places
                .get(*sub as usize)
                .is_some_and(|place| place.session == session && place.node == node)
        };
        self.table.find(self.hasher.hash_one((session, node)), is_it).copied()
    }

    fn member_mut(&mut self, sub: SubIndex) -> Option<&mut Subscriber> {
        let place = *self.places.get(sub as usize)?;
        self.tree.value_mut(place.node)?.members_mut().get_mut(place.member as usize)
    }

    /// Ends a subscription; `false` if there is none.
    pub(crate) fn unsubscribe(
        &mut self,
        session: u32,
        own: &mut Few<SubIndex>,
        filter: TopicFilter<'_>,
        group: Option<&str>,
    ) -> bool {
        match self.find(session, filter, group) {
            Some(sub) => {
                self.remove(own, sub);
                true
            }
            None => false,
        }
    }

    /// Ends all subscriptions of a session, which ends itself.
    pub(crate) fn unsubscribe_all(&mut self, session: u32, own: &mut Few<SubIndex>) {
        while let Some(sub) = own.last().copied() {
            self.remove(own, sub);
        }
        self.patterns.forget(session);
    }

    /// The nodes from the first level to this one.
    fn path_to(&self, node: NodeId) -> Vec<NodeId> {
        let parents = |node: &NodeId| Some(self.tree.parent(*node)).filter(|n| *n != ROOT);
        let mut nodes: Vec<NodeId> = iter::successors(Some(node), parents).collect();
        nodes.reverse();
        nodes
    }

    fn remove(&mut self, own: &mut Few<SubIndex>, sub: SubIndex) {
        let Some(place) = self.places.get(sub as usize).copied() else {
            own.swap_remove(own.len().saturating_sub(1));
            return;
        };
        let hash = hash_of(&self.hasher, Some(&place));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == sub) {
            entry.remove();
            self.free.push(sub);
        }
        let levels = self.path_to(place.node).into_iter().map(|node| self.tree.level(node));
        let levels: Vec<&str> = levels.filter(|level| !level.starts_with(GROUP)).collect();
        self.patterns.remove(&levels);
        own.swap_remove(place.own as usize);
        let moved = own.get(place.own as usize).and_then(|sub| self.places.get_mut(*sub as usize));
        if let Some(moved) = moved {
            moved.own = place.own;
        }
        let Some(value) = self.tree.value_mut(place.node) else { return };
        value.members_mut().swap_remove(place.member as usize);
        let moved = value.members().get(place.member as usize).map(|member| member.sub);
        let empty = value.members().is_empty();
        let is_group = self.tree.level(place.node).starts_with(GROUP);
        if is_group {
            self.unshared(place.session);
        }
        if let Some(moved) = moved.and_then(|sub| self.places.get_mut(sub as usize)) {
            moved.member = place.member;
        }
        if empty {
            if is_group {
                self.remove_group(place.node);
            }
            self.tree.prune(place.node);
        }
    }

    /// Adds to `subscribers` all whose filter matches, and to `groups` those of Shared Subscriptions.
    pub(crate) fn matching(
        &mut self,
        topic: TopicName<'_>,
        subscribers: &mut Vec<Subscriber>,
        groups: &mut Vec<NodeId>,
    ) {
        let topic = topic.as_str();
        let tree = &self.tree;
        let mut add = |node: NodeId| {
            let Some(value) = tree.value(node) else { return };
            subscribers.extend_from_slice(value.members());
            if let Some(shared) = value.shared() {
                groups.extend_from_slice(&shared.groups);
            }
        };
        self.walk.clear();
        self.walk.push((ROOT, Some(0)));
        while let Some((node, rest)) = self.walk.pop() {
            // [MQTT-4.7.2-1]
            let wildcards = node != ROOT || !topic.starts_with('$');
            if wildcards {
                add(tree.hash(node));
            }
            let Some(rest) = rest else {
                add(node);
                continue;
            };
            let rest_of_topic = topic.get(rest..).unwrap_or_default();
            let (level, next) = match rest_of_topic.bytes().position(|byte| byte == b'/') {
                Some(end) => (rest_of_topic.get(..end).unwrap_or_default(), Some(rest + end + 1)),
                None => (rest_of_topic, None),
            };
            let plus = tree.plus(node);
            if wildcards && plus != NONE {
                self.walk.push((plus, next));
            }
            let child = tree.child(node, level);
            if child != NONE {
                self.walk.push((child, next));
            }
        }
    }

    /// The group at this node.
    pub(crate) fn group(&self, node: NodeId) -> Option<Group> {
        let number = self.tree.value(node)?.shared()?.number?;
        Some(Group { node, number })
    }

    /// The group whose turn it was, as far as can be said when a message for a session comes back.
    pub(crate) fn group_of(&mut self, session: u32, topic: TopicName<'_>) -> Group {
        let (mut subscribers, mut groups) = (Vec::new(), Vec::new());
        self.matching(topic, &mut subscribers, &mut groups);
        let own = groups.iter().find(|node| self.find_at(session, **node).is_some());
        let node = own.or(groups.first()).copied();
        node.and_then(|node| self.group(node)).unwrap_or(Group::GONE)
    }

    /// The member of a group that gets the next message: from the one on whose turn it is, the first
    /// of those that `rank` puts lowest; `None` ranks those out that must not get it.
    pub(crate) fn choose(
        &mut self,
        group: Group,
        mut rank: impl FnMut(&Subscriber) -> Option<u8>,
    ) -> Option<Subscriber> {
        let Subscribers::Shared(both) = self.tree.value_mut(group.node)? else { return None };
        let (members, shared) = &mut **both;
        if shared.number != Some(group.number) {
            return None;
        }
        let len = members.len();
        let mut best: Option<(u8, usize)> = None;
        for step in 0..len {
            let index = (shared.turn + step) % len;
            let ranked = members.get(index).and_then(&mut rank);
            if let Some(rank) = ranked.filter(|rank| best.is_none_or(|(lowest, _)| *rank < lowest))
            {
                best = Some((rank, index));
            }
            if ranked == Some(0) || step >= MAX_LOOKS {
                break;
            }
        }
        let (_, index) = best?;
        shared.turn = index + 1;
        members.get(index).copied()
    }
}

/// How many members of a group are looked at in search of a better one.
const MAX_LOOKS: usize = 256;

/// What the level of a group begins with: U+0000 is in no filter [MQTT-4.7.3-2].
const GROUP: char = '\0';

/// A filter, and behind U+0000 the group that shares it.
pub(crate) fn path(filter: TopicFilter<'_>, group: Option<&str>) -> Vec<u8> {
    let mut path = Vec::from(filter.as_str());
    if let Some(group) = group {
        path.push(GROUP as u8);
        path.extend_from_slice(group.as_bytes());
    }
    path
}

/// What [`path`] was made of.
pub(crate) fn from_path(path: &[u8]) -> Option<(TopicFilter<'_>, Option<&str>)> {
    let path = core::str::from_utf8(path).ok()?;
    let (filter, group) = match path.split_once(GROUP) {
        Some((filter, group)) => (filter, Some(group)),
        None => (path, None),
    };
    // Of 3.1.1, where a shared filter is one like others.
    Some((TopicFilter::for_version(filter, Version::V311).ok()?, group))
}

fn group_level(name: &str) -> String {
    let mut level = String::with_capacity(name.len() + 1);
    level.push(GROUP);
    level.push_str(name);
    level
}

fn hash_of(hasher: &DefaultHashBuilder, place: Option<&Place>) -> u64 {
    let (session, node) = place.map_or((NONE, NONE), |place| (place.session, place.node));
    hasher.hash_one((session, node))
}

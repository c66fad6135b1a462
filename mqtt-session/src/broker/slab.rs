//! Things that are found by a key that says so when they are gone.

use alloc::vec::Vec;

/// Where something is kept. Once that is taken out, the key finds nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

#[derive(Debug)]
enum Place<T> {
    Used(T),
    /// The next free place.
    Free(u32),
}

const NONE: u32 = u32::MAX;

/// Values in places that are used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    /// Of each place: beside it, it would leave a gap.
    generations: Vec<u32>,
    free: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), generations: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Keeps the value. `None` when all keys are used up.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        let free = self.free;
        let key = match (self.places.get_mut(free as usize), self.generations.get(free as usize)) {
            (Some(place), Some(generation)) => {
                if let Place::Free(next) = *place {
                    self.free = next;
                }
                *place = Place::Used(value);
                Key { index: free, generation: *generation }
            }
            _ => {
                let index = u32::try_from(self.places.len()).ok().filter(|index| *index != NONE)?;
                self.places.push(Place::Used(value));
                self.generations.push(0);
                Key { index, generation: 0 }
            }
        };
        self.len += 1;
        Some(key)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        let generation = self.generations.get_mut(key.index as usize)?;
        if *generation != key.generation || matches!(place, Place::Free(_)) {
            return None;
        }
        *generation = generation.wrapping_add(1);
        let removed = core::mem::replace(place, Place::Free(self.free));
        self.free = key.index;
        self.len -= 1;
        match removed {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    fn is_current(&self, key: Key) -> bool {
        self.generations.get(key.index as usize) == Some(&key.generation)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if self.is_current(key) { self.at(key.index) } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if self.is_current(key) { self.at_mut(key.index) } else { None }
    }

    /// What is kept in this place, whatever its key.
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        match self.places.get(index as usize)? {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// What is kept in this place, whatever its key.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.places.get_mut(index as usize)? {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// The key of what is kept in this place.
    pub(crate) fn key(&self, index: u32) -> Option<Key> {
        self.at(index)?;
        Some(Key { index, generation: *self.generations.get(index as usize)? })
    }

    /// All values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| match place {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        })
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + use<'_, T> {
        (0..self.places.len() as u32).filter_map(|index| self.key(index))
    }
}

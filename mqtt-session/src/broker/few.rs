//! A list that mostly has one item.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::slice;

/// As a [`Vec`], but one item alone needs no memory of its own.
#[derive(Debug, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    #[expect(
        clippy::box_collection,
        reason = "one word instead of three, where there are many lists"
    )]
    Many(Box<Vec<T>>),
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, item: T) {
        match core::mem::take(self) {
            Self::None => *self = Self::One(item),
            Self::One(first) => *self = Self::Many(Box::new(Vec::from([first, item]))),
            Self::Many(mut list) => {
                list.push(item);
                *self = Self::Many(list);
            }
        }
    }

    /// Takes out the item at this index, in whose place comes the last one.
    pub(crate) fn swap_remove(&mut self, index: usize) {
        if let Self::Many(list) = self {
            if index < list.len() {
                list.swap_remove(index);
            }
            if list.len() <= 1 {
                *self = list.pop().map_or(Self::None, Self::One);
            }
        } else if index == 0 {
            *self = Self::None;
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => slice::from_ref(item),
            Self::Many(list) => list,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(item) => slice::from_mut(item),
            Self::Many(list) => list,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::Few;

    #[test]
    fn few_are_as_many() {
        let (mut few, mut many) = (Few::default(), Vec::new());
        let mut random = 1_u32;
        for step in 0..1000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random & 0x10000 == 0 {
                few.push(step);
                many.push(step);
            } else if !many.is_empty() {
                let index = (random >> 20) as usize % many.len();
                few.swap_remove(index);
                many.swap_remove(index);
            }
            assert_eq!(few[..], many[..]);
        }
        assert!(few.len() < 100);
    }
}

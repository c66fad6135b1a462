//! Bounded storage: lent by the caller, or on the heap where there is one.

use core::ops::Range;

/// A bounded queue whose storage the caller lends, or with `alloc` one that grows up to a bound.
/// Adding and taking at both ends costs the same however long it is.
#[derive(Debug)]
pub struct Ring<'s, T>(Storage<'s, T>);

/// The extent is in both, where there is room for it beside what tells them apart: a broker has three
/// rings for each connection.
#[derive(Debug)]
enum Storage<'s, T> {
    Lent(Extent, &'s mut [T]),
    #[cfg(feature = "alloc")]
    Heap(Extent, alloc::boxed::Box<[T]>),
}

/// Which part of the storage is in use.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Where in the storage the first item is.
    head: u16,
    len: u16,
    max: u16,
}

impl<T> Ring<'_, T> {
    const fn extent(&self) -> Extent {
        match &self.0 {
            Storage::Lent(extent, _) => *extent,
            #[cfg(feature = "alloc")]
            Storage::Heap(extent, _) => *extent,
        }
    }

    const fn extent_mut(&mut self) -> &mut Extent {
        match &mut self.0 {
            Storage::Lent(extent, _) => extent,
            #[cfg(feature = "alloc")]
            Storage::Heap(extent, _) => extent,
        }
    }
}

impl<'s, T: Copy + Default> Ring<'s, T> {
    /// A ring for at most `max` items on the heap, of which nothing is taken before it is needed.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn heap(max: u16) -> Self {
        Self(Storage::Heap(Extent { head: 0, len: 0, max }, alloc::boxed::Box::default()))
    }

    /// From now on there can be no more items than that, but for those that there are.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn limit(&mut self, max: u16) {
        let extent = self.extent_mut();
        extent.max = max.max(extent.len).max(1);
    }

    /// How many items there can be.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.extent().max as usize
    }

    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent().len as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent().len == 0
    }

    pub(crate) const fn is_full(&self) -> bool {
        let Extent { len, max, .. } = self.extent();
        len >= max
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        let place = self.place(index);
        self.items().get(place).copied()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len() {
            return None;
        }
        let place = self.place(index);
        self.items_mut().get_mut(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + use<'_, 's, T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The index of the first item that is not before what is looked for, in a sorted ring.
    pub(crate) fn partition_point(&self, before: impl Fn(T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(item) if before(item) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Adds an item at the end; `false` if there is no room.
    #[inline]
    pub(crate) fn push(&mut self, item: T) -> bool {
        if self.is_full() {
            return false;
        }
        self.make_room();
        let place = self.place(self.len());
        self.extent_mut().len += 1;
        if let Some(place) = self.items_mut().get_mut(place) {
            *place = item;
        }
        true
    }

    /// Puts an item at this index, which is at most the length; `false` if there is no room. The fewer
    /// items move that are on one side of it.
    pub(crate) fn insert(&mut self, index: usize, item: T) -> bool {
        if self.is_full() || index > self.len() {
            return false;
        }
        self.make_room();
        self.extent_mut().len += 1;
        if index < self.len() / 2 {
            let head = self.extent().head;
            let last = (self.items().len() - 1) as u16;
            self.extent_mut().head = head.checked_sub(1).unwrap_or(last);
            self.move_down(1..index + 1);
        } else {
            self.move_up(index..self.len() - 1);
        }
        if let Some(place) = self.get_mut(index) {
            *place = item;
        }
        true
    }

    /// Takes out the item at this index. The fewer items move that are on one side of it.
    #[inline]
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        if index == 0 {
            self.extent_mut().head = self.place(1) as u16;
        } else {
            self.close_gap(index);
        }
        self.extent_mut().len -= 1;
        Some(item)
    }

    #[inline(never)]
    fn close_gap(&mut self, index: usize) {
        if index < self.len() / 2 {
            self.move_up(0..index);
            self.extent_mut().head = self.place(1) as u16;
        } else {
            self.move_down(index + 1..self.len());
        }
    }

    /// Keeps those items that `keep` says true of, which may change them.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for i in 0..self.len() {
            if self.get_mut(i).is_some_and(&mut keep) {
                self.copy(i, kept);
                kept += 1;
            }
        }
        self.extent_mut().len = kept as u16;
    }

    pub(crate) const fn clear(&mut self) {
        self.extent_mut().len = 0;
    }

    /// Moves the items of a range, which does not begin at 0, one place towards the front.
    fn move_down(&mut self, range: Range<usize>) {
        let size = self.items().len();
        let mut start = range.start;
        // As many at once as lie side by side, here and there.
        while start < range.end {
            let (from, to) = (self.place(start), self.place(start - 1));
            let count = (range.end - start).min(size - from).min(size - to);
            self.items_mut().copy_within(from..from + count, to);
            start += count;
        }
    }

    /// Moves the items of a range, behind which there is a place, one place towards the end.
    fn move_up(&mut self, range: Range<usize>) {
        let mut end = range.end;
        while end > range.start {
            let (from, to) = (self.place(end - 1) + 1, self.place(end) + 1);
            let count = (end - range.start).min(from).min(to);
            self.items_mut().copy_within(from - count..from, to - count);
            end -= count;
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        if let (Some(item), Some(place)) = (self.get(from), self.get_mut(to)) {
            *place = item;
        }
    }

    fn items(&self) -> &[T] {
        match &self.0 {
            Storage::Lent(_, items) => items,
            #[cfg(feature = "alloc")]
            Storage::Heap(_, items) => items,
        }
    }

    fn items_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Storage::Lent(_, items) => items,
            #[cfg(feature = "alloc")]
            Storage::Heap(_, items) => items,
        }
    }

    /// Where in the storage the item with this index is.
    fn place(&self, index: usize) -> usize {
        let place = usize::from(self.extent().head) + index;
        let size = self.items().len();
        if place >= size { place - size } else { place }
    }

    /// Storage for one more, where it grows as it is used.
    #[inline]
    fn make_room(&mut self) {
        #[cfg(feature = "alloc")]
        if self.len() == self.items().len() {
            self.grow();
        }
    }

    #[cfg(feature = "alloc")]
    #[cold]
    fn grow(&mut self) {
        if let Storage::Heap(Extent { head, len, max }, items) = &mut self.0 {
            let len = usize::from(*len);
            let size = (len * 2).clamp(4, usize::from(u16::MAX)).min(usize::from(*max));
            items.rotate_left(usize::from(*head));
            *head = 0;
            let mut grown = core::mem::take(items).into_vec();
            grown.reserve_exact(size - len);
            grown.resize(size, T::default());
            *items = grown.into_boxed_slice();
        }
    }
}

impl<'s, T> From<&'s mut [T]> for Ring<'s, T> {
    /// A ring in lent storage, of which at most 65,535 items are used.
    fn from(items: &'s mut [T]) -> Self {
        let max = u16::try_from(items.len()).unwrap_or(u16::MAX);
        let (items, _) = items.split_at_mut(usize::from(max));
        Self(Storage::Lent(Extent { head: 0, len: 0, max }, items))
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::Ring;

    #[test]
    fn a_ring_does_what_a_list_does() {
        let mut storage = [0_u16; 5];
        let mut lent = Ring::from(&mut storage[..]);
        let mut heap = Ring::heap(5);
        let mut list: alloc::vec::Vec<u16> = alloc::vec::Vec::new();
        let mut random = 1_u32;
        for step in 0..10_000_u16 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (random >> 16) as usize % (list.len() + 1);
            if random & 0x100 == 0 {
                let room = list.len() < 5;
                assert_eq!(lent.insert(index, step), room);
                assert_eq!(heap.insert(index, step), room);
                if room {
                    list.insert(index, step);
                }
            } else {
                let removed = (index < list.len()).then(|| list.remove(index));
                assert_eq!(lent.remove(index), removed);
                assert_eq!(heap.remove(index), removed);
            }
            assert!(lent.iter().eq(list.iter().copied()));
            assert!(heap.iter().eq(list.iter().copied()));
        }
    }
}

//! Storage that starts at a cache line.

use std::fmt::{Debug, Formatter};
use std::ops::{Deref, DerefMut};

use super::raw::{self, Part};
use super::{Element, clear};

/// Growable storage of `E` whose first element lies at a 64-byte boundary.
///
/// ```
/// let mut buffer = ihead::internals::kernels::Buffer::<f32>::zeros(100);
/// assert_eq!(buffer.as_ptr() as usize % 64, 0);
/// buffer.resize(1000);
/// assert_eq!((buffer.len(), buffer[999]), (1000, 0.0));
/// ```
pub struct Buffer<E> {
    /// `None` where there has never been an element.
    storage: Option<Part<E>>,
    len: usize,
}

impl<E> Default for Buffer<E> {
    fn default() -> Self {
        Self { storage: None, len: 0 }
    }
}

impl<E: Debug> Debug for Buffer<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<E: Element> Buffer<E> {
    /// No elements, no allocation.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self::together(&[len]).pop().unwrap_or_default()
    }

    /// Buffers of these numbers of zeros, side by side in one allocation, which is freed when none of them is left. What is used
    /// together is best made together: from 1.6 MiB on, most of it lies in large pages (of 2 MiB) where the system has them, so that
    /// the processor has fewer addresses to look up. A buffer that grows moves elsewhere and leaves its place unused.
    pub fn together(lens: &[usize]) -> Vec<Self> {
        let filled: Vec<usize> = lens.iter().copied().filter(|len| *len > 0).collect();
        let mut parts = raw::zeros(&filled).into_iter();
        let buffer = |&len: &usize| Self { storage: if len > 0 { parts.next() } else { None }, len };
        lens.iter().map(buffer).collect()
    }

    /// How many elements there is room for.
    fn room(&self) -> usize {
        self.storage.as_ref().map_or(0, |part| part.as_slice().len())
    }

    /// Makes the length `len`: keeps the common prefix; elements that were not there before are zero.
    pub fn resize(&mut self, len: usize) {
        if len <= self.room() {
            let old = std::mem::replace(&mut self.len, len);
            if len > old {
                clear(&mut self[old..]);
            }
        } else {
            let mut larger = Self::zeros(len);
            larger[..self.len].copy_from_slice(self);
            *self = larger;
        }
    }

    /// The first `len` elements, with whatever values earlier uses left; allocates when there are fewer.
    pub fn scratch(&mut self, len: usize) -> &mut [E] {
        if len > self.room() {
            *self = Self::zeros(len);
        }
        self.len = self.len.max(len);
        &mut self[..len]
    }
}

impl<E> Deref for Buffer<E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        self.storage.as_ref().map_or(&[], |part| &part.as_slice()[..self.len])
    }
}

impl<E> DerefMut for Buffer<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [E] {
        self.storage.as_mut().map_or(&mut [], |part| &mut part.as_mut_slice()[..self.len])
    }
}

impl<E: Element> Clone for Buffer<E> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<E: Element> FromIterator<E> for Buffer<E> {
    fn from_iter<I: IntoIterator<Item = E>>(values: I) -> Self {
        let values: Vec<E> = values.into_iter().collect();
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(&values);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: usize = 64;

    fn aligned<E: Element>(buffer: &Buffer<E>) -> bool {
        (buffer.as_ptr() as usize).is_multiple_of(LINE)
    }

    #[test]
    fn every_length_is_aligned_and_keeps_its_prefix() {
        for len in 0..200 {
            let mut buffer: Buffer<f64> = (0..len).map(|i| i as f64).collect();
            assert!(len == 0 || aligned(&buffer));
            assert!(len == 0 || aligned(&buffer.clone()));
            buffer.resize(len / 2);
            buffer.resize(2 * len + 1);
            assert!(aligned(&buffer));
            let expected = |i: usize| if i < len / 2 { i as f64 } else { 0.0 };
            assert!(buffer.iter().enumerate().all(|(i, &x)| x == expected(i)));
        }
    }

    #[test]
    fn scratch_grows_and_never_shrinks() {
        let mut buffer = Buffer::<f32>::new();
        assert_eq!(buffer.scratch(70).len(), 70);
        assert_eq!(buffer.scratch(3).len(), 3);
        assert_eq!(buffer.len(), 70);
        assert!(aligned(&buffer));
    }

    #[test]
    fn buffers_that_are_made_together_do_not_overlap_and_may_go_in_any_order() {
        // less than a large page, and more than two
        for unit in [1, 400_000] {
            let lens = [3, 0, 17 * unit, 1, 16, unit];
            let mut buffers = Buffer::<f32>::together(&lens);
            assert!(buffers.iter().map(|b| b.len()).eq(lens));
            assert!(buffers.iter().all(|b| b.iter().all(|x| *x == 0.0) && (b.is_empty() || aligned(b))));
            for (i, buffer) in buffers.iter_mut().enumerate() {
                buffer.fill(i as f32);
            }
            assert!(buffers.iter().enumerate().all(|(i, b)| b.iter().all(|x| *x == i as f32)));
            let mut kept = buffers.remove(2);
            drop(buffers);
            kept.resize(lens[2] + 1);
            assert_eq!((kept[0], kept[lens[2] - 1], kept[lens[2]]), (2.0, 2.0, 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "buffers of more numbers")]
    fn more_numbers_than_there_are_addresses_are_refused() {
        Buffer::<f64>::zeros(usize::MAX);
    }
}

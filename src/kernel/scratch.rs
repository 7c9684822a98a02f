//! Buffers that a worker keeps for the accumulators that it updates.
//!
//! An accumulator takes a buffer, computes a block's values in it, and gives it back. So a state contains only what has
//! to be combined.

use std::cell::Cell;

use crate::dtype::{Buffer, Item};
use crate::grid::BLOCK;
use crate::memory;

/// A word for each element of a block: its bin, for example.
pub(crate) type Words = Box<[u32; BLOCK]>;

/// The buffers of a worker. Each is made when it is first taken.
#[derive(Default)]
pub struct Scratch {
    words: Cell<Option<Words>>,
    floats: Cell<Vec<f64>>,
    items: Cell<Option<Buffer>>,
}

impl Scratch {
    /// Words, with anything in them.
    #[inline(always)]
    pub(crate) fn take_words(&self) -> Words {
        self.words.take().unwrap_or_else(|| memory::array(memory::filled(0, BLOCK)))
    }

    /// Takes the words back.
    #[inline(always)]
    pub(crate) fn keep_words(&self, words: Words) {
        self.words.set(Some(words));
    }

    /// Floats, as many as there happen to be.
    #[inline(always)]
    pub(crate) fn take_floats(&self) -> Vec<f64> {
        self.floats.take()
    }

    /// Takes the floats back.
    #[inline(always)]
    pub(crate) fn keep_floats(&self, floats: Vec<f64>) {
        self.floats.set(floats);
    }

    /// Items of this type for a block, with anything in them.
    #[inline(always)]
    pub(crate) fn take_items<T: Item>(&self) -> Buffer {
        let kept = self.items.take().filter(|buffer| buffer.item() == T::TYPE);
        kept.unwrap_or_else(|| Buffer::new(T::TYPE, BLOCK))
    }

    /// Takes the items back.
    #[inline(always)]
    pub(crate) fn keep_items(&self, items: Buffer) {
        self.items.set(Some(items));
    }
}

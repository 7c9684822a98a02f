//! The fixed tree in which the states of chunks are combined.
//!
//! Chunk states are the leaves, in the order of the array; each inner node joins two neighbours, and a node without a
//! neighbour moves up unchanged. The shape depends only on the number of chunks, so rounding does not depend on which
//! worker computed what, or when. Two nodes are joined as soon as both are complete: with chunks taken in order, only
//! about workers × log₂(chunks) states exist at a time, however long the array is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::memory;

/// The states that wait for their neighbour.
#[derive(Debug)]
pub(super) struct Tree<S> {
    leaves: usize,
    waiting: Mutex<HashMap<(u32, usize), S>>,
}

impl<S> Tree<S> {
    /// Creates a tree with this number of leaves.
    pub(super) fn new(leaves: usize) -> Tree<S> {
        Tree { leaves, waiting: Mutex::new(HashMap::new()) }
    }

    /// Adds the state of a leaf and combines all nodes that become complete, with `combine(left, right)`.
    ///
    /// Combining happens outside the lock, so workers do not wait for each other's sums.
    pub(super) fn hand_in(&self, leaf: usize, mut state: S, mut combine: impl FnMut(S, S) -> S) {
        let (mut level, mut index, mut width) = (0_u32, leaf, self.leaves);
        while width > 1 {
            let neighbour = index ^ 1;
            if neighbour < width {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(other) = waiting.remove(&(level, neighbour)) else {
                    memory::insert(&mut waiting, (level, index), state);
                    return;
                };
                drop(waiting);
                state = if index < neighbour { combine(state, other) } else { combine(other, state) };
            }
            (level, index, width) = (level + 1, index / 2, width.div_ceil(2));
        }
        memory::insert(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner), (level, 0), state);
    }

    /// Takes the root, if every leaf has been added and the root has not been taken.
    pub(super) fn take_root(&self) -> Option<S> {
        let top = usize::BITS - self.leaves.saturating_sub(1).leading_zeros();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&(top, 0))
    }

    /// The root, if every leaf has been added.
    pub(super) fn into_root(self) -> Option<S> {
        let mut waiting = self.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        let key = *waiting.keys().next()?;
        if waiting.len() == 1 { waiting.remove(&key) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(leaves: usize, order: impl Iterator<Item = usize>) -> Option<String> {
        let tree = Tree::new(leaves);
        for leaf in order {
            tree.hand_in(leaf, leaf.to_string(), |left, right| format!("({left} {right})"));
        }
        tree.into_root()
    }

    #[test]
    fn the_shape_depends_on_the_number_of_leaves_alone() {
        assert_eq!(shape(1, 0..1).as_deref(), Some("0"));
        assert_eq!(shape(5, 0..5).as_deref(), Some("(((0 1) (2 3)) 4)"));
        assert_eq!(shape(6, 0..6).as_deref(), Some("(((0 1) (2 3)) (4 5))"));
        for leaves in 1..40 {
            let forward = shape(leaves, 0..leaves);
            assert!(forward.is_some());
            assert_eq!(forward, shape(leaves, (0..leaves).rev()));
            assert_eq!(
                forward,
                shape(leaves, (0..leaves).filter(|i| i % 3 == 0).chain((0..leaves).filter(|i| i % 3 != 0)))
            );
        }
    }

    #[test]
    fn few_states_wait_at_a_time() {
        let tree = Tree::new(1000);
        for leaf in 0..1000 {
            tree.hand_in(leaf, (), |(), ()| ());
            assert!(tree.waiting.lock().is_ok_and(|waiting| waiting.len() <= 10));
        }
    }
}

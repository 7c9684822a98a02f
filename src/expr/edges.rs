//! How many ascending edges are below each item: `np.searchsorted` of the items among the edges.

use crate::dtype::{Buffer, ItemType, Sealed};
use crate::expr::flags::Flags;
use crate::expr::operation::{Elementwise, Operand};
use crate::memory;
use crate::simd::Level;

/// Up to this many edges are compared with every item. Such a loop has no branches and is vectorised; bisection reads
/// fewer edges, but one after the other.
const FEW: usize = 24;

/// An item that can be compared with edges. NaN is above all edges, as in a sorted array.
pub trait Edge: Sealed + PartialOrd {
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
}

impl Edge for f64 {
    #[inline(always)]
    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

impl Edge for i64 {
    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
}

/// Ascending edges, none of them NaN.
#[derive(Debug, Clone)]
pub struct Edges<T> {
    edges: Vec<T>,
    /// Whether an edge that equals the item is counted too.
    right: bool,
}

impl<T: Edge> Edges<T> {
    /// These edges; `None` if they are not ascending.
    pub fn new(edges: &[T], right: bool) -> Option<Edges<T>> {
        let ascending = edges.is_sorted() && !edges.iter().any(|edge| edge.is_nan());
        ascending.then(|| Edges { edges: memory::copied(edges), right })
    }

    #[inline(always)]
    fn count(&self, items: &[T], counts: &mut [i64], is_counted: impl Fn(T, T) -> bool) {
        if self.edges.len() <= FEW {
            counts.fill(0);
            for &edge in &self.edges {
                for (count, &item) in counts.iter_mut().zip(items) {
                    *count += i64::from(is_counted(edge, item));
                }
            }
            return;
        }
        for (count, &item) in counts.iter_mut().zip(items) {
            // Halves without branches: the next item's search overlaps with this one's.
            let (mut from, mut len) = (0, self.edges.len());
            while len > 1 {
                let half = len / 2;
                let middle = self.edges.get(from + half - 1).copied().unwrap_or_default();
                from += if is_counted(middle, item) { half } else { 0 };
                len -= half;
            }
            let last = self.edges.get(from).copied().unwrap_or_default();
            *count = from.cast_signed() as i64 + i64::from(is_counted(last, item));
        }
    }
}

impl<T: Edge> Elementwise for Edges<T> {
    fn item(&self) -> ItemType {
        ItemType::Int64
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn run(&self, operands: &[Operand<'_>], output: &mut Buffer, len: usize) -> Flags {
        let items = operands.first().and_then(|operand| T::of(operand.block)).and_then(|items| items.get(..len));
        let counts = i64::of_mut(output).and_then(|counts| counts.get_mut(..len));
        let (Some(items), Some(counts)) = (items, counts) else {
            unreachable!("items are compared with edges of their own type");
        };
        Level::current().run(
            #[inline(always)]
            || {
                if self.right {
                    self.count(items, counts, |edge, item| (edge <= item) | item.is_nan());
                } else {
                    self.count(items, counts, |edge, item| (edge < item) | item.is_nan());
                }
            },
        );
        Flags::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<T: Edge>(edges: &[T], right: bool, items: &[T]) -> Option<Vec<i64>> {
        let mut output = Buffer::new(ItemType::Int64, items.len());
        let edges = Edges::new(edges, right)?;
        edges.run(&[Operand { block: T::block(items), constant: false }], &mut output, items.len());
        i64::of_mut(&mut output).map(|counts| counts.to_vec())
    }

    #[test]
    fn edges_below_items_are_counted() {
        let (edges, items) = ([1.0, 2.0, 2.0, 5.0], [0.0, 1.0, 2.0, 5.0, f64::NAN]);
        assert_eq!(counted(&edges, false, &items), Some(vec![0, 0, 1, 3, 4]));
        assert_eq!(counted(&edges, true, &items), Some(vec![0, 1, 3, 4, 4]));
        assert_eq!(counted::<i64>(&[], true, &[1]), Some(vec![0]));
    }

    #[test]
    fn many_edges_are_bisected() {
        for len in 1..FEW + 20 {
            let edges: Vec<i64> = (0..50).take(len).map(|edge| edge / 3).collect();
            let items: Vec<i64> = (-2..40).collect();
            for right in [false, true] {
                let is_below = |edge: i64, item: i64| edge < item || (right && edge == item);
                let below = |item: i64| edges.iter().map(|&edge| i64::from(is_below(edge, item))).sum();
                let want = items.iter().map(|&item| below(item)).collect();
                assert_eq!(counted(&edges, right, &items), Some(want));
            }
        }
    }

    #[test]
    fn edges_ascend() {
        assert!(Edges::new(&[2, 1], true).is_none());
        assert!(Edges::new(&[1.0, f64::NAN], true).is_none());
    }
}

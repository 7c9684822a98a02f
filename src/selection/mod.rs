//! Order statistics: the exact elements at given ranks, without sorting or copying the array.
//!
//! 1. A sample shows how the elements are distributed.
//! 2. A sweep collects the elements near the requested ranks, and counts those below ([`Near`]). This nearly always
//!    determines the elements at the ranks.
//!
//! Where it does not, where the functions of a call request many ranks, and where too many elements are near them, bins
//! are counted:
//!
//! 1. A [`Map`] into bins is fitted to the sample.
//! 2. A sweep counts the elements of each bin ([`Count`]). This determines which bins hold the requested ranks.
//! 3. A sweep collects the few elements of those bins ([`Collect`]) and sorts them.
//!
//! A map only has to be monotone: regardless of rounding, all elements of a bin are at most as large as those of the
//! next bin. So the result is exact for every map. A bad map makes bins that are too full to collect; they are divided
//! and counted again. A bin with a single value needs no collecting. Small arrays are finished with the sample, and
//! arrays with few distinct values with the counts.
//!
//! The idea is that of sample sort and of the "lazy select" of Floyd and Rivest (Communications of the ACM 18 (1975),
//! 165–172). Counting before collecting keeps the memory bounded and lets all ranks share both sweeps.
//!
//! Another thread may change the array between the sweeps. Then bins hold other elements than were counted, and the
//! result is meaningless. It is still safe: every index is checked, and collecting and dividing have limits
//! ([`ROUNDS`]).

mod buckets;
mod collect;
mod count;
mod distinct;
mod map;
mod method;
mod near;
mod ranks;
mod sample;
mod value_table;
mod weighted;

use std::sync::Arc;

use crate::dtype::Ordered;
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Request};
use crate::memory;
use crate::value::Value;
use buckets::{Sort, Sorted};
use collect::Collect;
use count::{Count, Counts};
use map::Map;
use near::{Found, Near};
use sample::{Sample, Sampled};

pub(crate) use buckets::Sorts;
pub(crate) use distinct::{Distinct, distinct};
pub(crate) use method::{Method, Place, interpolated, lower_rank};
pub(crate) use ranks::{Ties, ranks};
pub(crate) use weighted::weighted;

/// The function that gets all elements in order, and their number.
type InOrder<E> = dyn Fn(&mut dyn Iterator<Item = E>, usize) -> Result<Value, Error> + Send + Sync;

/// Requests all elements in order, as keys or as pairs of keys and positions, and passes them to `finish` with their
/// number.
pub(crate) fn sorted<T: Ordered, E: Sorts>(
    expression: Expression,
    omits: bool,
    finish: impl Fn(&mut dyn Iterator<Item = E>, usize) -> Result<Value, Error> + Send + Sync + 'static,
) -> Request {
    let finish: Arc<InOrder<E>> = Arc::new(finish);
    if let Some(map) = Map::of_every_key() {
        return sorted_by::<T, E>(expression, Arc::new(map), omits, finish);
    }
    let then = vec!["the order of all elements"];
    Request::sealed(expression.clone(), Sample::near(Vec::new()), then, move |sample: &Arc<Sampled<T>>| {
        // This also holds for few elements, because a sample has no positions.
        let map = sample.map().unwrap_or_else(|| Arc::new(Map::one_bin()));
        Ok(Answer::Next(sorted_by(expression.clone(), map, omits, Arc::clone(&finish))))
    })
}

fn sorted_by<T: Ordered, E: Sorts>(
    expression: Expression,
    map: Arc<Map<T>>,
    omits: bool,
    finish: Arc<InOrder<E>>,
) -> Request {
    let sort = Sort::<T, E>::new(map, omits);
    Request::sealed(expression, sort, Vec::new(), move |sorted: &Sorted<E>| {
        finish(&mut sorted.in_order(), sorted.len()).map(Answer::Value)
    })
}

/// The largest number of elements to collect from this many: 1/64 of the array, or a small number.
fn limit(len: u64) -> u64 {
    (len / 64).max(32_768)
}

/// A number of elements that stands for any.
const NOMINAL: u64 = 1 << 40;

/// What the sweep after the sample does, in words, where few ranks are requested.
const NEAR: &str = "elements near the ranks, and counts below";

/// What the two sweeps after the sample do where many ranks are requested.
const BY_COUNTS: [&str; 2] = ["counts of bins that suit the sample", "the elements of the bins that matter"];

/// The requested ranks, counted from 0, for this number of elements.
type Wanted = dyn Fn(u64) -> Vec<u64> + Send + Sync;

/// The function that gets the elements.
type Finish<T> = dyn Fn(&Picked<T>) -> Result<Answer, Error> + Send + Sync;

/// The elements at some ranks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picked<T> {
    /// The number of elements.
    pub(crate) len: u64,
    /// Whether an element is NaN (or NaT). Then no element was searched, and every rank has NaN.
    pub(crate) missing: bool,
    /// The ranks, in order, and their elements.
    items: Vec<(u64, T)>,
}

impl<T: Ordered> Picked<T> {
    /// The element at a requested rank.
    pub(crate) fn at(&self, rank: u64) -> T {
        let place = self.items.binary_search_by_key(&rank, |(known, _)| *known);
        place.ok().and_then(|place| self.items.get(place)).map_or(T::of_key(u64::MAX), |(_, item)| *item)
    }

    /// The result if no element was searched.
    fn nothing(len: u64) -> Picked<T> {
        Picked { len, missing: true, items: Vec::new() }
    }
}

/// The location of the element at a rank.
#[derive(Debug, Clone, Copy)]
struct Located {
    rank: u64,
    bin: usize,
    /// The rank among the elements of the bin.
    within: u64,
    /// The number of elements in the bin.
    count: u64,
}

/// Counts after which a selection takes what it has. A division leaves at most half of a bin's keys together, and what
/// has ended at a single value stays there: all end after 64 of them. If somebody overwrites the array, the elements may
/// be in another bin at every count.
const ROUNDS: u32 = 66;

/// The elements that a kernel requests.
#[derive(Clone)]
struct Selection<T> {
    expression: Expression,
    wanted: Arc<Wanted>,
    finish: Arc<Finish<T>>,
    map: Option<Arc<Map<T>>>,
    /// How often bins have been counted.
    rounds: u32,
}

/// Requests the elements at the ranks that `wanted` returns for the number of elements, and passes them to `finish`.
///
/// If there is a NaN, no element is searched. To ignore NaN, request an expression without NaN.
pub(crate) fn select<T: Ordered>(
    expression: Expression,
    wanted: impl Fn(u64) -> Vec<u64> + Send + Sync + 'static,
    finish: impl Fn(&Picked<T>) -> Result<Answer, Error> + Send + Sync + 'static,
) -> Request {
    let selection = Selection { expression, wanted: Arc::new(wanted), finish: Arc::new(finish), map: None, rounds: 0 };
    match Map::of_every_key() {
        Some(map) => selection.count(Arc::new(map)),
        None => selection.sample(),
    }
}

impl<T: Ordered> Selection<T> {
    fn sample(self) -> Request {
        let sample = Sample::near(self.ranks(NOMINAL));
        Request::sealed(self.expression.clone(), sample, vec![NEAR], move |sample: &Arc<Sampled<T>>| {
            if sample.is_whole() {
                return self.all(sample);
            }
            // After a NaN in the sample, nothing has to be counted.
            if sample.items.last().is_some_and(|last| last.is_missing()) {
                return (self.finish)(&Picked::nothing(sample.items.len() as u64));
            }
            Ok(Answer::Next(match Near::shown_by(sample) {
                Some(near) if !sample.has_few_keys() => self.clone().near(near, Arc::clone(sample)),
                _ => self.clone().by_counts(sample),
            }))
        })
    }

    /// Collects the elements near the ranks; if that was not enough, bins are counted.
    fn near(self, near: Near<T>, sample: Arc<Sampled<T>>) -> Request {
        Request::chain(self.expression.clone(), near, Vec::new(), move |found: &Found<T>| {
            if found.missing {
                return (self.finish)(&Picked::nothing(found.len));
            }
            match found.at(&self.ranks(found.len)) {
                Some(items) => (self.finish)(&Picked { len: found.len, missing: false, items }),
                None => Ok(Answer::Next(self.clone().by_counts(&sample))),
            }
        })
    }

    /// Counts the elements of bins that suit the sample.
    fn by_counts(self, sample: &Sampled<T>) -> Request {
        match sample.map() {
            Some(map) if !sample.is_thin() => self.count(map),
            // A mask has left so few elements that all of them can be collected.
            map => Selection { map, ..self }.collect_all(),
        }
    }

    /// Finishes if the sample has all elements.
    fn all(&self, sample: &Sampled<T>) -> Result<Answer, Error> {
        let len = sample.items.len() as u64;
        if sample.items.iter().any(|item| item.is_missing()) {
            return (self.finish)(&Picked::nothing(len));
        }
        (self.finish)(&Picked { len, missing: false, items: sample.at(&self.ranks(len)) })
    }

    /// Finishes if all elements are given in order.
    fn sorted(&self, items: &[T]) -> Result<Answer, Error> {
        let len = items.len() as u64;
        if items.last().is_some_and(|last| last.is_missing()) {
            return (self.finish)(&Picked::nothing(len));
        }
        let item = |rank: u64| usize::try_from(rank).ok().and_then(|rank| items.get(rank)).map(|item| (rank, *item));
        (self.finish)(&Picked {
            len,
            missing: false,
            items: memory::collected(self.ranks(len).into_iter().filter_map(item)),
        })
    }

    /// The requested ranks, in order.
    fn ranks(&self, len: u64) -> Vec<u64> {
        let mut ranks = (self.wanted)(len);
        ranks.retain(|&rank| rank < len);
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    fn collect_all(self) -> Request {
        let all = Collect::new(Arc::new(Map::one_bin()), vec![limit(0)]);
        let then = vec!["counts, if there are many"];
        Request::sealed(self.expression.clone(), all, then, move |items: &Option<Vec<T>>| match (items, &self.map) {
            (None, Some(map)) => Ok(Answer::Next(self.clone().count(Arc::clone(map)))),
            (items, _) => self.sorted(items.as_deref().unwrap_or_default()),
        })
    }

    fn count(mut self, map: Arc<Map<T>>) -> Request {
        self.rounds += 1;
        let count = Count::new(Arc::clone(&map));
        let then = if map.has_single_keys() { vec![] } else { vec![BY_COUNTS[1]] };
        Request::chain(self.expression.clone(), count, then, move |counts: &Counts| self.counted(&map, counts))
    }

    /// Continues when the elements of each bin are counted.
    fn counted(&self, map: &Arc<Map<T>>, counts: &Counts) -> Result<Answer, Error> {
        let (counts, missing) = (counts.totals(), counts.missing());
        let len = counts.iter().sum();
        if missing > 0 {
            return (self.finish)(&Picked::nothing(len));
        }
        let located = locate(&self.ranks(len), &counts);
        let mut bins: Vec<usize> = memory::collected(located.iter().map(|located| located.bin));
        bins.dedup();
        let ranges: Vec<(u64, u64)> = memory::collected(bins.iter().map(|&bin| map.keys(bin)));
        let several = bins.iter().zip(&ranges).filter(|(_, (first, last))| first < last);
        let several: Vec<usize> = memory::collected(several.map(|(&bin, _)| bin));
        let mut wanted = memory::filled(0, counts.len());
        for &bin in &several {
            wanted[bin] = counts[bin];
        }
        // The number of elements without the pivots is unknown; if they are too many, they are counted again.
        let is_pivoted = |bin: &usize| map.pivot(*bin).is_some();
        let pivoted = memory::collected(several.iter().copied().filter(is_pivoted));
        let room = limit(len) / (pivoted.len() as u64 + 1);
        let mut expected: u64 = several.iter().map(|&bin| counts[bin]).sum();
        for bin in pivoted {
            expected -= counts[bin];
            wanted[bin] = wanted[bin].min(room);
        }
        if several.is_empty() || self.rounds > ROUNDS {
            return self.picked(len, map, &located, &[]);
        }
        // What is down to one key stays so: else its rank would be searched anew in every round.
        let divided = |map: &Map<T>| map.divided(ranges.iter().copied());
        if expected > limit(len) {
            return Ok(Answer::Next(self.clone().count(Arc::new(divided(map)))));
        }
        let (selection, map, divided) = (self.clone(), Arc::clone(map), Arc::new(divided(map)));
        let collect = Collect::new(Arc::clone(&map), wanted);
        let finish = move |items: &Option<Vec<T>>| match items {
            None => Ok(Answer::Next(selection.clone().count(Arc::clone(&divided)))),
            Some(items) => selection.picked(len, &map, &located, items),
        };
        Ok(Answer::Next(Request::sealed(self.expression.clone(), collect, Vec::new(), finish)))
    }

    /// Finishes with the elements of the bins, in order, without pivots and without bins of a single value.
    fn picked(&self, len: u64, map: &Map<T>, located: &[Located], items: &[T]) -> Result<Answer, Error> {
        let pick = |located: &Located| {
            let rest = items.get(items.partition_point(|&item| map.place(item) < located.bin)..).unwrap_or_default();
            let bin = rest.get(..rest.partition_point(|&item| map.place(item) == located.bin)).unwrap_or_default();
            let found = |within: u64| usize::try_from(within).ok().and_then(|within| bin.get(within)).copied();
            let item = match map.pivot(located.bin) {
                Some(pivot) => {
                    let below = bin.partition_point(|item| item.key() < pivot) as u64;
                    let equal = located.count.saturating_sub(bin.len() as u64);
                    if located.within < below {
                        found(located.within)
                    } else if located.within < below + equal {
                        Some(T::of_key(pivot))
                    } else {
                        found(located.within - equal)
                    }
                }
                None => found(located.within),
            };
            // The element is absent if the bin has a single value, or if another thread writes to the array.
            (located.rank, item.unwrap_or_else(|| T::of_key(map.keys(located.bin).0)))
        };
        (self.finish)(&Picked { len, missing: false, items: memory::collected(located.iter().map(pick)) })
    }
}

/// The bins of ranks; the ranks are in order.
fn locate(ranks: &[u64], counts: &[u64]) -> Vec<Located> {
    let mut located = memory::with_room(ranks.len());
    let mut bins = counts.iter().enumerate();
    let (mut below, mut bin, mut end) = (0, 0, 0);
    for &rank in ranks {
        while rank >= end {
            let Some((next, count)) = bins.next() else { return located };
            (below, bin, end) = (end, next, end + count);
        }
        located.push(Located { rank, bin, within: rank - below, count: end - below });
    }
    located
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_found_in_their_bins() {
        let found = |ranks: &[u64]| -> Vec<(u64, usize, u64)> {
            locate(ranks, &[0, 3, 0, 1, 5]).iter().map(|l| (l.rank, l.bin, l.within)).collect()
        };
        assert_eq!(found(&[0, 2, 3, 4, 8]), [(0, 1, 0), (2, 1, 2), (3, 3, 0), (4, 4, 0), (8, 4, 4)]);
        assert_eq!(found(&[9]), []);
        assert_eq!(found(&[]), []);
    }
}

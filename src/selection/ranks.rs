//! The rank of each element: all elements are sorted with their positions, and each rank is written to its position.

use std::sync::Arc;

use crate::array_writer::written;
use crate::dtype::{DType, Ordered};
use crate::expr::Expression;
use crate::grid::BLOCK;
use crate::kernel::{Accumulator, Answer, Items, Request, Seals, Team};
use crate::memory;
use crate::selection::buckets::{Buckets, Sort};
use crate::selection::map::Map;
use crate::selection::sample::{Sample, Sampled};
use crate::simd::Simd;
use crate::source::Output;

/// The rank of equal elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ties {
    /// The mean of their ranks.
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// One rank; the next value gets the next rank.
    Dense,
    /// Different ranks, in the order of positions.
    Ordinal,
}

impl Ties {
    /// The method with this name.
    pub(crate) fn named(name: &str) -> Ties {
        match name {
            "min" => Ties::Min,
            "max" => Ties::Max,
            "dense" => Ties::Dense,
            "ordinal" => Ties::Ordinal,
            _ => Ties::Average,
        }
    }
}

/// Sorts the elements and writes the ranks.
#[derive(Debug, Clone)]
struct Ranks<T> {
    sort: Sort<T, (u64, u64)>,
    ties: Ties,
    output: Output,
}

/// Requests the ranks of all elements.
pub(crate) fn ranks<T: Ordered>(expression: Expression, omits: bool, ties: Ties, output: Output) -> Request {
    let of = expression.clone();
    let by = move |map: Arc<Map<T>>| {
        let ranks = Ranks { sort: Sort::<T, (u64, u64)>::new(map, omits), ties, output: output.clone() };
        Request::sealed(of.clone(), ranks, Vec::new(), |()| Ok(Answer::Value(written())))
    };
    if let Some(map) = Map::of_every_key() {
        return by(Arc::new(map));
    }
    let then = vec![<Ranks<T> as Accumulator>::NAME];
    Request::sealed(expression, Sample::near(Vec::new()), then, move |sample: &Arc<Sampled<T>>| {
        Ok(Answer::Next(by(sample.map().unwrap_or_else(|| Arc::new(Map::one_bin())))))
    })
}

impl<T: Ordered> Accumulator for Ranks<T> {
    const NAME: &'static str = "ranks";

    type Item = T;
    type State = Buckets<(u64, u64)>;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        true
    }

    fn init(&self) -> Self::State {
        self.sort.init()
    }

    #[inline(always)]
    fn update<S: Simd>(&self, simd: S, state: &mut Self::State, block: Items<'_, T>) {
        self.sort.update(simd, state, block);
    }

    fn combine(&self, state: &mut Self::State, next: Self::State) {
        self.sort.combine(state, next);
    }

    fn unify(&self, _: &Self) -> Option<Self> {
        None
    }
}

impl<T: Ordered> Seals for Ranks<T> {
    /// Nothing: the ranks are written to the output.
    type Sealed = ();

    fn seal(&self, state: Self::State, sampled: Option<usize>, team: &Team<'_>) {
        let sorted = self.sort.seal(state, sampled, team);
        let last = sorted.buckets.iter().rfind(|bucket| !bucket.is_empty()).and_then(|bucket| bucket.last());
        let missing = last.is_some_and(|(key, _)| T::of_key(*key).is_missing());
        if missing || sorted.len() < self.output.len() {
            let mut parts: Vec<usize> = memory::collected((0..self.output.len()).step_by(BLOCK));
            team.each(&mut parts, |_, start| {
                let len = BLOCK.min(self.output.len() - *start);
                self.output.write_floats(*start, &memory::filled(f64::NAN, len));
            });
        }
        if missing {
            return;
        }
        let buckets = sorted.buckets.iter().map(|bucket| (bucket.as_slice(), 0));
        let mut buckets: Vec<(&[(u64, u64)], u64)> = memory::collected(buckets);
        if self.ties == Ties::Dense {
            team.each(&mut buckets, |_, (part, values)| *values = equals(part).count() as u64);
        }
        let mut below = 0;
        for (part, count) in &mut buckets {
            let own = if self.ties == Ties::Dense { *count } else { part.len() as u64 };
            *count = below;
            below += own;
        }
        team.each(&mut buckets, |_, (part, below)| {
            self.ties.rank(part, *below, |position, float, whole| self.put(position, float, whole));
        });
    }
}

/// Splits a sorted bucket into runs of equal elements.
fn equals(part: &[(u64, u64)]) -> impl Iterator<Item = &[(u64, u64)]> {
    part.chunk_by(|left, right| left.0 == right.0)
}

impl Ties {
    /// Calls `put` with the position and rank of each sorted key: the rank as a float and, except for means, as an
    /// integer. `below` elements come before these keys.
    pub(crate) fn rank(self, sorted: &[(u64, u64)], below: u64, mut put: impl FnMut(u64, f64, u64)) {
        let mut first = below + 1;
        for equal in equals(sorted) {
            let last = first + equal.len() as u64 - 1;
            for (own, &(_, position)) in (first..).zip(equal) {
                match self {
                    Ties::Average => put(position, f64::midpoint(first as f64, last as f64), 0),
                    Ties::Min | Ties::Dense => put(position, first as f64, first),
                    Ties::Max => put(position, last as f64, last),
                    Ties::Ordinal => put(position, own as f64, own),
                }
            }
            first = if self == Ties::Dense { first + 1 } else { last + 1 };
        }
    }
}

impl<T> Ranks<T> {
    /// Writes one rank, in the array's dtype.
    fn put(&self, position: u64, float: f64, whole: u64) {
        let place = usize::try_from(position).unwrap_or(usize::MAX);
        if self.output.dtype() == DType::Float64 {
            self.output.write_floats(place, &[float]);
        } else {
            self.output.write_bits(place, &[whole.cast_signed()]);
        }
    }
}

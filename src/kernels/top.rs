//! The k largest and the k smallest elements: `topk`, `bottomk`, `argtopk`, `argbottomk`.
//!
//! A worker keeps up to 2k candidates. When it has 2k, it selects the better half; from then on an element must beat
//! the worst of that half. In a long array almost no element does.

use std::marker::PhantomData;

use crate::dtype::{Buffer, DType, Ordered, Sealed, with_ordered};
use crate::error::Error;
use crate::kernel::{Accumulator, Answer, Entry, Input, Items, Request, Seals, Shape, Takes, Team};
use crate::memory;
use crate::parameters::{Accepts, Arguments, DefaultValue, Parameter};
use crate::simd::Simd;
use crate::value::Value;

/// Keeps the `k` best elements.
#[derive(Debug, Clone, Copy)]
struct Best<T> {
    k: usize,
    /// Whether the largest elements are the best; otherwise the smallest are.
    largest: bool,
    /// Whether positions are requested.
    positions: bool,
    /// Whether NaN (and NaT) is left out.
    omits: bool,
    item: PhantomData<fn(T)>,
}

/// A candidate: its key (a smaller key is better) and its position.
type Candidate = (u64, u64);

/// The candidates.
#[derive(Debug, Clone)]
struct Candidates {
    kept: Vec<Candidate>,
    /// The candidate that others must beat.
    worst: Candidate,
}

impl<T: Ordered> Best<T> {
    #[inline(always)]
    fn rank(&self, item: T) -> u64 {
        let key = item.canonical().key();
        if self.largest { !key } else { key }
    }

    #[inline(never)]
    fn select(&self, state: &mut Candidates) {
        if state.kept.len() > self.k {
            let (_, &mut worst, _) = state.kept.select_nth_unstable(self.k - 1);
            state.worst = worst;
            state.kept.truncate(self.k);
        }
    }

    fn room(&self) -> usize {
        self.k.saturating_mul(2).max(1024)
    }
}

impl<T: Ordered> Accumulator for Best<T> {
    const NAME: &'static str = "best";

    type Item = T;
    type State = Candidates;

    const ORDER_FREE: bool = true;

    fn positional(&self) -> bool {
        self.positions
    }

    fn init(&self) -> Candidates {
        Candidates { kept: Vec::new(), worst: (u64::MAX, u64::MAX) }
    }

    #[inline(always)]
    fn update<S: Simd>(&self, _: S, state: &mut Candidates, block: Items<'_, T>) {
        /// Elements that are tested together.
        const ROW: usize = 64;

        let mut position = block.start;
        for row in block.chunks(ROW) {
            let bar = state.worst.0;
            if row.iter().fold(false, |any, &item| any | (self.rank(item) <= bar)) {
                for (place, &item) in (position..).zip(row) {
                    let candidate = (self.rank(item), place);
                    if candidate < state.worst && !(self.omits && item.is_missing()) {
                        memory::push(&mut state.kept, candidate);
                        if state.kept.len() >= self.room() {
                            self.select(state);
                        }
                    }
                }
            }
            position += row.len() as u64;
        }
    }

    fn combine(&self, state: &mut Candidates, next: Candidates) {
        memory::extend(&mut state.kept, next.kept);
        self.select(state);
    }

    fn unify(&self, other: &Self) -> Option<Self> {
        let same = self.largest == other.largest && self.omits == other.omits;
        same.then(|| Best { k: self.k.max(other.k), positions: self.positions || other.positions, ..*self })
    }
}

impl<T: Ordered> Seals for Best<T> {
    /// The best candidates, in order.
    type Sealed = Vec<Candidate>;

    fn seal(&self, mut state: Candidates, _: Option<usize>, _: &Team<'_>) -> Vec<Candidate> {
        self.select(&mut state);
        state.kept.sort_unstable();
        state.kept
    }
}

fn best(arguments: &Arguments, input: &Input, largest: bool, positions: bool) -> Result<Request, Error> {
    let k = usize::try_from(arguments.int("k")).unwrap_or(usize::MAX);
    let (dtype, omits) = (input.dtype, input.omits());
    Ok(with_ordered!(input.dtype, T => {
        let best = Best::<T> { k, largest, positions, omits, item: PhantomData };
        Request::sealed(input.elements(), best, Vec::new(), move |found: &Vec<Candidate>| {
            let kept = found.iter().take(k);
            Ok(Answer::Value(if positions {
                let positions = memory::collected(kept.map(|(_, position)| position.cast_signed()));
                Value::Array { items: Buffer::Int64(positions), dtype: DType::Int64 }
            } else {
                let values = kept.map(|(rank, _)| T::of_key((if largest { !rank } else { *rank }) & T::KEYS));
                let values = memory::collected(values);
                Value::Array { items: <T as Sealed>::buffer(values), dtype }
            }))
        })
    }, else return Err(input.unsupported(Takes::Ordered))))
}

const K: &[Parameter] = &[Parameter {
    name: "k",
    accepts: Accepts::IntFrom(1),
    default: DefaultValue::Int(10),
    doc: "The number of elements. If the array has fewer, the result has all of them.",
}];

pub(super) static TOPK: Entry = Entry {
    name: "topk",
    doc: "The ``k`` largest elements, in descending order.\n\n\
          NaN counts as larger than every number, as in a sorted array.",
    parameters: K,
    numpy: "np.sort(x, axis=None)[::-1][:k]",
    takes: Takes::Ordered,
    answers: Shape::Items,
    examples: &["k=1", "k=100"],
    resolve: |arguments, input| best(arguments, input, true, false),
    ..Entry::USUAL
};

pub(super) static BOTTOMK: Entry = Entry {
    name: "bottomk",
    doc: "The ``k`` smallest elements, in ascending order.\n\n\
          NaN counts as larger than every number, as in a sorted array.",
    parameters: K,
    numpy: "np.sort(x, axis=None)[:k]",
    takes: Takes::Ordered,
    answers: Shape::Items,
    examples: &["k=1", "k=100"],
    resolve: |arguments, input| best(arguments, input, false, false),
    ..Entry::USUAL
};

pub(super) static ARGTOPK: Entry = Entry {
    name: "argtopk",
    doc: "The positions of the ``k`` largest elements in the flattened array, in descending order.\n\n\
          Of equal elements, the first position comes first. NaN counts as larger than every number, as in a sorted \
          array.",
    parameters: K,
    numpy: "np.argsort(-np.unique(x, return_inverse=True)[1].ravel(), kind='stable')[:k]",
    takes: Takes::Ordered,
    answers: Shape::Positions,
    examples: &["k=1", "k=100"],
    resolve: |arguments, input| best(arguments, input, true, true),
    ..Entry::USUAL
};

pub(super) static ARGBOTTOMK: Entry = Entry {
    name: "argbottomk",
    doc: "The positions of the ``k`` smallest elements in the flattened array, in ascending order.\n\n\
          Of equal elements, the first position comes first. NaN counts as larger than every number, as in a sorted \
          array.",
    parameters: K,
    numpy: "np.argsort(x, axis=None, kind='stable')[:k]",
    takes: Takes::Ordered,
    answers: Shape::Positions,
    examples: &["k=1", "k=100"],
    resolve: |arguments, input| best(arguments, input, false, true),
    ..Entry::USUAL
};

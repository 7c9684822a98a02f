//! The distinct values of an expression, in order, and their counts.
//!
//! A sample decides how they are found: with one counter per key if the keys are close together, with a table if there
//! are few values, and otherwise by sorting. +0 and −0 count as one value. All NaN count as one value, which comes
//! last.

use std::sync::Arc;

use crate::dtype::Ordered;
use crate::error::Error;
use crate::expr::Expression;
use crate::kernel::{Answer, Request};
use crate::selection::buckets::{Sort, Sorted};
use crate::selection::count::{Count, Counts};
use crate::selection::map::Map;
use crate::selection::sample::{Sample, Sampled};
use crate::selection::value_table::{CountValues, ROOM, ValueTable};
use crate::value::Value;

/// A function that is called with each value and its count, in order.
type Told<'a, T> = &'a mut dyn FnMut(T, u64);

/// The distinct values.
pub(crate) struct Distinct<'a, T> {
    each: &'a dyn Fn(Told<'_, T>),
}

impl<T> Distinct<'_, T> {
    /// Calls the function with each value and its count, in order.
    pub(crate) fn each(&self, mut told: impl FnMut(T, u64)) {
        (self.each)(&mut told);
    }
}

type Finish<T> = dyn Fn(&Distinct<'_, T>) -> Result<Value, Error> + Send + Sync;

/// The function that finishes the distinct values.
#[derive(Clone)]
struct Wanted<T> {
    expression: Expression,
    finish: Arc<Finish<T>>,
}

/// Requests the distinct values, and passes them to `finish`.
pub(crate) fn distinct<T: Ordered>(
    expression: Expression,
    finish: impl Fn(&Distinct<'_, T>) -> Result<Value, Error> + Send + Sync + 'static,
) -> Request {
    let wanted = Wanted { expression, finish: Arc::new(finish) };
    match Map::of_every_key() {
        Some(map) => wanted.counted(Arc::new(map), None),
        None => wanted.sampled(),
    }
}

impl<T: Ordered> Wanted<T> {
    fn sampled(self) -> Request {
        let then = vec!["counts of values, or an order"];
        Request::sealed(self.expression.clone(), Sample::near(Vec::new()), then, move |sample: &Arc<Sampled<T>>| {
            let Some(map) = sample.map() else {
                let keys = sample.keys_in_order();
                return self.finish(&keys.iter().map(|&key| (T::of_key(key).canonical().key(), 1)));
            };
            let wanted = self.clone();
            Ok(Answer::Next(if map.has_single_keys() {
                wanted.counted(Arc::clone(&map), Some(map))
            } else if sample.values() <= ROOM / 2 {
                wanted.tallied(map)
            } else {
                wanted.sorted(map)
            }))
        })
    }

    /// Uses one counter per key. Elements outside of the map's range share bins; if there are any, all elements are
    /// sorted instead.
    fn counted(self, map: Arc<Map<T>>, fitted: Option<Arc<Map<T>>>) -> Request {
        let count = Count::new(Arc::clone(&map));
        Request::chain(self.expression.clone(), count, Vec::new(), move |counts: &Counts| {
            let totals = counts.totals();
            let outside = [totals.first(), totals.last()].into_iter().flatten().any(|&count| count > 0);
            if let (true, Some(map)) = (outside, &fitted) {
                return Ok(Answer::Next(self.clone().sorted(Arc::clone(map))));
            }
            let bins = totals.iter().enumerate().filter(|(_, count)| **count > 0);
            self.finish(&bins.filter_map(|(bin, &count)| Some((map.single_key(bin)?, count))))
        })
    }

    fn tallied(self, map: Arc<Map<T>>) -> Request {
        Request::chain(self.expression.clone(), CountValues::<T>::default(), Vec::new(), move |table: &ValueTable| {
            if table.is_over() {
                return Ok(Answer::Next(self.clone().sorted(Arc::clone(&map))));
            }
            self.finish(&table.in_order().iter().copied())
        })
    }

    fn sorted(self, map: Arc<Map<T>>) -> Request {
        let sort = Sort::<T, u64>::new(map, false);
        Request::sealed(self.expression.clone(), sort, Vec::new(), move |sorted: &Sorted<u64>| {
            self.finish(&sorted.in_order().map(|key| (key, 1)))
        })
    }

    /// Finishes keys in order with their counts; a key may occur several times in a row.
    fn finish(&self, keys: &(impl Iterator<Item = (u64, u64)> + Clone)) -> Result<Answer, Error> {
        let each = |told: Told<'_, T>| {
            let mut last: Option<(u64, u64)> = None;
            for (key, count) in keys.clone() {
                match &mut last {
                    Some((known, total)) if *known == key => *total += count,
                    _ => {
                        if let Some((known, total)) = last.replace((key, count)) {
                            told(T::of_key(known), total);
                        }
                    }
                }
            }
            if let Some((known, total)) = last {
                told(T::of_key(known), total);
            }
        };
        (self.finish)(&Distinct { each: &each }).map(Answer::Value)
    }
}

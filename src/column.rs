//! The answers of many rows to one function, put together: what NumPy calls the result along an axis.

use crate::dtype::{Buffer, DType, Number};
use crate::memory;
use crate::value::Value;

/// Values of one function, in the order of the rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Column {
    /// There are none.
    #[default]
    Empty,
    /// Numbers of one dtype.
    Numbers {
        /// The numbers.
        items: Buffer,
        /// Their dtype.
        dtype: DType,
    },
    /// Arrays of one dtype and length.
    Arrays {
        /// The items of all arrays, one after the other.
        items: Buffer,
        /// Their dtype.
        dtype: DType,
        /// How many items each array has.
        width: usize,
        /// How many arrays there are: their items do not tell if they have none.
        count: usize,
    },
    /// Named tuples: a column for each field.
    Record(&'static str, Vec<Column>),
    /// Values that differ in dtype or length.
    Mixed(Vec<Value>),
}

impl Column {
    /// Adds a row's value, which is a number.
    #[inline]
    pub fn push_number(&mut self, number: Number, dtype: DType) {
        match self {
            Column::Numbers { items, dtype: known } if *known == dtype => put(items, number, dtype),
            _ => self.push(Value::Scalar(number, dtype)),
        }
    }

    /// Adds a row's value.
    pub fn push(&mut self, value: Value) {
        match (&mut *self, value) {
            (Column::Numbers { items, dtype }, Value::Scalar(number, kind)) if *dtype == kind => {
                put(items, number, kind);
            }
            (Column::Arrays { items, dtype, width, count }, Value::Array { items: more, dtype: kind })
                if *dtype == kind && *width == more.len() =>
            {
                items.append(more);
                *count += 1;
            }
            (Column::Record(_, columns), Value::Record(_, fields)) => {
                columns.iter_mut().zip(fields).for_each(|(column, field)| column.push(field));
            }
            (Column::Mixed(values), value) => memory::push(values, value),
            (Column::Empty, value) => *self = Column::of(value),
            (_, value) => {
                let mut values = std::mem::take(self).into_values();
                memory::push(&mut values, value);
                *self = Column::Mixed(values);
            }
        }
    }

    /// Adds the values of the rows that follow.
    pub fn append(&mut self, next: Column) {
        match (&mut *self, next) {
            (_, Column::Empty) => {}
            (Column::Empty, next) => *self = next,
            (Column::Numbers { items, dtype }, Column::Numbers { items: more, dtype: kind }) if *dtype == kind => {
                items.append(more);
            }
            (
                Column::Arrays { items, dtype, width, count },
                Column::Arrays { items: more, dtype: kind, width: wide, count: others },
            ) if *dtype == kind && *width == wide => {
                items.append(more);
                *count += others;
            }
            (Column::Record(_, columns), Column::Record(_, more)) => {
                columns.iter_mut().zip(more).for_each(|(column, more)| column.append(more));
            }
            (_, next) => {
                let mut values = std::mem::take(self).into_values();
                memory::extend(&mut values, next.into_values());
                *self = Column::Mixed(values);
            }
        }
    }

    /// The column of no rows, whose values would be like these, arrays of a length that `width` makes of that of these.
    #[must_use]
    pub fn emptied(self, width: &impl Fn(usize) -> usize) -> Column {
        match self {
            Column::Numbers { items, dtype } => Column::Numbers { items: Buffer::new(items.item(), 0), dtype },
            Column::Arrays { items, dtype, width: known, .. } => {
                Column::Arrays { items: Buffer::new(items.item(), 0), dtype, width: width(known), count: 0 }
            }
            Column::Record(name, columns) => {
                Column::Record(name, columns.into_iter().map(|column| column.emptied(width)).collect())
            }
            Column::Empty | Column::Mixed(_) => Column::Mixed(Vec::new()),
        }
    }

    /// The column of one value.
    fn of(value: Value) -> Column {
        match value {
            Value::Scalar(number, dtype) => {
                let mut items = Buffer::new(dtype.item(), 0);
                put(&mut items, number, dtype);
                Column::Numbers { items, dtype }
            }
            Value::Array { items, dtype } => Column::Arrays { width: items.len(), items, dtype, count: 1 },
            Value::Record(name, fields) => Column::Record(name, fields.into_iter().map(Column::of).collect()),
            other => Column::Mixed(vec![other]),
        }
    }

    /// The values one by one.
    fn into_values(self) -> Vec<Value> {
        match self {
            Column::Empty => Vec::new(),
            Column::Mixed(values) => values,
            Column::Numbers { items, dtype } => {
                memory::collected(items.numbers().into_iter().map(|number| Value::Scalar(number, dtype)))
            }
            Column::Arrays { items, dtype, width, count } => {
                let mut numbers = items.numbers().into_iter();
                let next = || {
                    let mut part = Buffer::new(items.item(), 0);
                    numbers.by_ref().take(width).for_each(|number| part.push(number));
                    Value::Array { items: part, dtype }
                };
                memory::collected(std::iter::repeat_with(next).take(count))
            }
            Column::Record(name, columns) => {
                let mut columns: Vec<_> = columns.into_iter().map(|column| column.into_values().into_iter()).collect();
                let next = || {
                    let fields: Vec<Value> = columns.iter_mut().filter_map(Iterator::next).collect();
                    (!fields.is_empty()).then_some(Value::Record(name, fields))
                };
                memory::collected(std::iter::from_fn(next))
            }
        }
    }
}

/// Adds a number, rounded to its dtype.
fn put(items: &mut Buffer, number: Number, dtype: DType) {
    let number = if let Number::Float(value) = number { Number::Float(dtype.round(value)) } else { number };
    items.push(number);
}

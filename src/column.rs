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
    /// Numbers of one dtype; arrays of one length lie one after the other.
    Items {
        /// All items.
        items: Buffer,
        /// Their dtype.
        dtype: DType,
        /// How many each value has; `None` if each is a number.
        width: Option<usize>,
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
            Column::Items { items, dtype: known, width: None } if *known == dtype => put(items, number, dtype),
            _ => self.push(Value::Scalar(number, dtype)),
        }
    }

    /// Adds a row's value.
    pub fn push(&mut self, value: Value) {
        match (&mut *self, value) {
            (Column::Items { items, dtype, width: None }, Value::Scalar(number, kind)) if *dtype == kind => {
                put(items, number, kind);
            }
            (Column::Items { items, dtype, width: Some(width) }, Value::Array { items: more, dtype: kind })
                if *dtype == kind && *width == more.len() =>
            {
                items.append(more);
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
            (Column::Items { items, dtype, width }, Column::Items { items: more, dtype: kind, width: wide })
                if *dtype == kind && *width == wide =>
            {
                items.append(more);
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

    /// The column of no rows, whose values would be like these.
    #[must_use]
    pub fn emptied(self) -> Column {
        match self {
            Column::Items { items, dtype, width } => {
                Column::Items { items: Buffer::new(items.item(), 0), dtype, width }
            }
            Column::Record(name, columns) => Column::Record(name, columns.into_iter().map(Column::emptied).collect()),
            Column::Empty | Column::Mixed(_) => Column::Mixed(Vec::new()),
        }
    }

    /// The column of one value.
    fn of(value: Value) -> Column {
        match value {
            Value::Scalar(number, dtype) => {
                let mut items = Buffer::new(dtype.item(), 0);
                put(&mut items, number, dtype);
                Column::Items { items, dtype, width: None }
            }
            Value::Array { items, dtype } => Column::Items { width: Some(items.len()), items, dtype },
            Value::Record(name, fields) => Column::Record(name, fields.into_iter().map(Column::of).collect()),
            other => Column::Mixed(vec![other]),
        }
    }

    /// The values one by one.
    fn into_values(self) -> Vec<Value> {
        match self {
            Column::Empty => Vec::new(),
            Column::Mixed(values) => values,
            Column::Items { items, dtype, width: None } => {
                memory::collected(items.numbers().into_iter().map(|number| Value::Scalar(number, dtype)))
            }
            Column::Items { items, dtype, width: Some(width) } => {
                let part = |numbers: &[Number]| {
                    let mut part = Buffer::new(items.item(), 0);
                    for &number in numbers {
                        part.push(number);
                    }
                    Value::Array { items: part, dtype }
                };
                memory::collected(items.numbers().chunks(width.max(1)).map(part))
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

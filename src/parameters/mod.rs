//! The parameters of kernels: what a kernel declares ([`Parameter`]), and the checked arguments of one use
//! ([`Arguments`]).
//!
//! `argument` has the values that can be given, and `accepts` checks them. Neither depends on kernels or arrays.

mod accepts;
mod argument;

use crate::dtype::DType;
use crate::error::Error;
use accepts::Refusal;

pub use accepts::Accepts;
pub(crate) use accepts::{EXACT, MAX_BINS};
#[cfg(test)]
pub(crate) use accepts::{METHODS, RULES};
pub use argument::Argument;

/// A parameter of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// NumPy's or SciPy's name for it.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// The value if it is not given.
    pub default: DefaultValue,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

/// A parameter's default, in a form that a constant can hold.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum DefaultValue {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
    Pair(f64, f64),
}

impl DefaultValue {
    /// The default as an argument.
    pub fn argument(self) -> Argument {
        match self {
            DefaultValue::None => Argument::None,
            DefaultValue::Bool(value) => Argument::Bool(value),
            DefaultValue::Int(value) => Argument::Int(value),
            DefaultValue::Float(value) => Argument::Float(value),
            DefaultValue::Text(value) => Argument::Text(value.to_owned()),
            DefaultValue::Pair(low, high) => Argument::Pair([low, high], DType::Float64),
        }
    }
}

/// The checked parameters of one use of a kernel, in the order in which the kernel declares them.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Arguments(Vec<(&'static str, Argument)>);

impl Arguments {
    /// Checks the given arguments against the kernel's declaration. For messages, `shown` returns the value of a
    /// parameter as the caller wrote it.
    pub fn check(
        kernel: &'static str,
        declared: &'static [Parameter],
        given: &[(String, Argument)],
        shown: impl Fn(&str) -> String,
    ) -> Result<Arguments, Error> {
        if let Some((name, _)) = given.iter().find(|(name, _)| declared.iter().all(|p| p.name != name)) {
            return Err(Error::UnknownParameter {
                kernel,
                parameter: name.clone(),
                accepted: declared.iter().map(|parameter| parameter.name).collect(),
            });
        }
        let checked = declared.iter().map(|&Parameter { name, accepts, default, .. }| {
            let given = given.iter().find(|(given, _)| given == name);
            let argument = given.map_or_else(|| default.argument(), |(_, argument)| argument.clone());
            accepts.take(&argument).map(|argument| (name, argument)).map_err(|refusal| {
                let (parameter, value) = (name, shown(name));
                match refusal {
                    Refusal::Type => Error::ParameterType { kernel, parameter, value, expected: accepts.describe() },
                    Refusal::Value(expected) => {
                        Error::ParameterValue { kernel, parameter, value, expected: expected.to_owned() }
                    }
                }
            })
        });
        checked.collect::<Result<_, _>>().map(Arguments)
    }

    /// The value of a declared parameter.
    pub fn get(&self, name: &str) -> &Argument {
        self.0.iter().find(|(known, _)| *known == name).map_or(&Argument::None, |(_, argument)| argument)
    }

    /// The value of a parameter that is a number.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Argument::Int(value) => *value as f64,
            Argument::Float(value) => *value,
            _ => f64::NAN,
        }
    }

    /// The value of a parameter that is an integer.
    pub fn int(&self, name: &str) -> i64 {
        if let Argument::Int(value) = self.get(name) { *value } else { 0 }
    }

    /// The value of a parameter that is a string.
    pub fn text(&self, name: &str) -> &str {
        if let Argument::Text(value) = self.get(name) { value } else { "" }
    }

    /// The value of a parameter that is a bool.
    pub fn bool(&self, name: &str) -> bool {
        self.get(name) == &Argument::Bool(true)
    }

    /// All arguments with the names of their parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Argument)> {
        self.0.iter().map(|(name, argument)| (*name, argument))
    }
}

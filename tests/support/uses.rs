//! Every use of every kernel that the catalogue shows: with the defaults, and with each of its examples.

use std::sync::Arc;

use fanfold::dtype::DType;
use fanfold::kernel::{Entry, NanPolicy};
use fanfold::kernels::CATALOGUE;
use fanfold::parameters::{Argument, Arguments};
use fanfold::plan::{Call, Plan};

/// All uses, in the order of the catalogue.
pub(crate) fn uses() -> Vec<Call> {
    let uses = CATALOGUE.iter().flat_map(|&entry| {
        let given = [""].iter().chain(entry.examples).map(|example| keywords(example));
        given.map(move |given| Call { entry, arguments: checked(entry, &given) })
    });
    uses.collect()
}

/// All uses in one plan.
pub(crate) fn fused(nan_policy: NanPolicy) -> Plan {
    Plan::new(uses(), nan_policy)
}

fn checked(entry: &'static Entry, given: &[(String, Argument)]) -> Arguments {
    Arguments::check(entry.name, entry.parameters, given, |name| format!("the example's {name}")).unwrap()
}

/// The use, for messages.
pub(crate) fn name(call: &Call) -> String {
    let arguments: Vec<String> = call.arguments.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}({})", call.entry.name, arguments.join(", "))
}

/// Keyword arguments in Python's notation: `bins=7, range=(-3.0, 3.0)`.
fn keywords(text: &str) -> Vec<(String, Argument)> {
    let mut given = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        // A value ends at the comma before the next keyword.
        let end = value.find('=').map_or(value.len(), |next| value[..next].rfind(',').unwrap());
        given.push((name.trim_start_matches([',', ' ']).to_owned(), literal(&value[..end])));
        rest = &value[end..];
    }
    given
}

fn literal(text: &str) -> Argument {
    let inner = text.trim_matches(['[', ']', '(', ')']);
    if inner != text {
        let dtype = if inner.contains('.') { DType::Float64 } else { DType::Int64 };
        let numbers = inner.split(',').map(|number| number.trim().parse().unwrap());
        return Argument::Floats(Arc::new(numbers.collect()), dtype);
    }
    match text {
        "True" => Argument::Bool(true),
        "False" => Argument::Bool(false),
        quoted if quoted.starts_with('\'') => Argument::Text(quoted.trim_matches('\'').to_owned()),
        number => number.parse().map_or_else(|_| Argument::Float(number.parse().unwrap()), Argument::Int),
    }
}

//! The input of a kernel: what the kernel may know about the array when it resolves. It may not know the elements.
//!
//! The expressions that most kernels accumulate ([`Input::values`], [`Input::floats`]) are made here, so that the
//! policy for NaN means the same everywhere.

use super::entry::Takes;
use crate::dtype::DType;
use crate::error::Error;
use crate::expr::{Expression, NodeId};

/// How NaN and NaT are treated. Each policy means the same for every kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NanPolicy {
    /// They take part, and make most results NaN.
    Propagate,
    /// The answer is that of the array without them; positions are those of the whole array.
    Omit,
    /// They are an error.
    Raise,
}

impl NanPolicy {
    /// The policy of this name.
    pub fn named(name: &str) -> Option<NanPolicy> {
        match name {
            "propagate" => Some(NanPolicy::Propagate),
            "omit" => Some(NanPolicy::Omit),
            "raise" => Some(NanPolicy::Raise),
            _ => None,
        }
    }
}

/// What a kernel goes over: the elements of a node, which may have weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The node; 0 is the array itself.
    pub node: NodeId,
    /// The element type.
    pub dtype: DType,
    /// The weights of the elements, if they have any.
    pub weights: Option<Weights>,
    /// How many arrays stand side by side in its blocks, each array's items one after the other; 1 for most kernels.
    pub columns: usize,
    /// For pairs that float64 would round: where they are exact.
    pub exact: Option<Exact>,
}

/// Pairs of elements of which some are integers of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    /// The node of the exact pairs, see [`crate::expr::Operation::Keys`].
    pub pairs: NodeId,
    /// Whether the first and the second array have such integers; their parts of the pairs are then keys.
    pub is_key: [bool; 2],
}

/// The weights of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// The node of pairs: elements as real parts, weights as imaginary ones.
    pub pairs: NodeId,
    /// The dtype that the weights came in.
    pub dtype: DType,
}

impl Subject {
    /// The elements of a node, as they are for most kernels.
    pub fn of(node: NodeId, dtype: DType) -> Subject {
        Subject { node, dtype, weights: None, columns: 1, exact: None }
    }
}

/// What a kernel may know of the array when it resolves: everything but its elements.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// The kernel's name, for messages.
    pub kernel: &'static str,
    /// The element type.
    pub dtype: DType,
    /// How NaN is treated.
    pub nan_policy: NanPolicy,
    /// The node whose elements these are; 0 is the array itself.
    pub node: NodeId,
    /// See [`Subject::weights`].
    pub weights: Option<Weights>,
    /// See [`Subject::columns`].
    pub columns: usize,
    /// See [`Subject::exact`].
    pub exact: Option<Exact>,
}

impl Input {
    /// What the kernel of this name may know of these elements.
    pub fn new(kernel: &'static str, subject: Subject, nan_policy: NanPolicy) -> Input {
        let Subject { node, dtype, weights, columns, exact } = subject;
        Input { kernel, dtype, nan_policy, node, weights, columns, exact }
    }

    /// Whether NaN values are to be left out (and there can be any).
    pub fn omits(&self) -> bool {
        self.nan_policy == NanPolicy::Omit && self.dtype.has_missing()
    }

    /// The error that the kernel has no meaning for the dtype; it has one for those of `accepted`.
    pub fn unsupported(&self, accepted: Takes) -> Error {
        Error::UnsupportedDtype { kernel: self.kernel, dtype: self.dtype, accepted: accepted.describe() }
    }

    /// The array as it is, NaN values included.
    pub fn elements(&self) -> Expression {
        Expression::of(self.node, self.dtype)
    }

    /// The elements that count: without NaN values under [`NanPolicy::Omit`].
    pub fn values(&self) -> Expression {
        if self.omits() { self.elements().valid() } else { self.elements() }
    }

    /// [`Input::values`] as float64.
    pub fn floats(&self) -> Expression {
        self.values().float64()
    }

    /// The dtype of a mean: that of the elements, or of the weights if it takes more to hold them.
    pub fn mean_type(&self) -> DType {
        let own = self.dtype.mean_type();
        let weights = self.weights.map(|weights| weights.dtype.least_float());
        weights.filter(|weights| weights.size() > own.size()).unwrap_or(own)
    }

    /// The values that count and their weights, as pairs, if they have weights.
    pub fn weighted(&self) -> Option<Expression> {
        let pairs = Expression::of(self.weights?.pairs, DType::Complex128);
        Some(if self.omits() { pairs.valid() } else { pairs })
    }
}

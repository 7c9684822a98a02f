//! Formulas as plain data, and the graph that shares their common steps.

use std::fmt;

use crate::dtype::{DType, ItemType};
use crate::expr::Step;

/// A formula: the array's elements, and the steps that follow, first to last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    dtype: DType,
    steps: Vec<Step>,
}

impl Expression {
    /// The elements of an array.
    pub fn input(dtype: DType) -> Expression {
        Expression { dtype, steps: Vec::new() }
    }

    /// Only those that are not NaN (or NaT), in order.
    #[must_use]
    pub fn valid(self) -> Expression {
        self.then(Step::Valid)
    }

    /// As float64.
    #[must_use]
    pub fn float64(self) -> Expression {
        if self.item() == ItemType::Float64 { self } else { self.then(Step::Float64) }
    }

    /// One more step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Expression {
        self.steps.push(step);
        self
    }

    /// What its blocks hold.
    pub fn item(&self) -> ItemType {
        self.steps.iter().fold(self.dtype.item(), |item, step| step.item(item))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.iter().fold("x".to_owned(), |inner, step| format!("{}({inner})", step.name())))
    }
}

/// A node's place in its graph. Node 0 is the array itself; a node comes after the one it is computed from.
pub type NodeId = usize;

/// A step applied to an earlier node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) of: NodeId,
    pub(super) step: Step,
    pub(super) item: ItemType,
}

/// All the expressions of a pass. A step that several of them share is one node, computed once per block.
#[derive(Debug, Clone)]
pub struct Graph {
    dtype: DType,
    nodes: Vec<Node>,
}

impl Graph {
    /// The graph of the array alone.
    pub fn new(dtype: DType) -> Graph {
        Graph { dtype, nodes: Vec::new() }
    }

    /// The array's dtype.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The steps, in an order in which each can be computed from earlier ones; node `i + 1` is `nodes()[i]`.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of an expression, made if it is new.
    pub fn add(&mut self, expression: &Expression) -> NodeId {
        debug_assert_eq!(expression.dtype, self.dtype);
        expression.steps.iter().fold(0, |of, &step| {
            let known = self.nodes.iter().position(|node| node.of == of && node.step == step);
            let index = known.unwrap_or_else(|| {
                let item = step.item(self.item(of));
                self.nodes.push(Node { of, step, item });
                self.nodes.len() - 1
            });
            index + 1
        })
    }

    /// What the blocks of a node hold.
    pub(super) fn item(&self, id: NodeId) -> ItemType {
        match id.checked_sub(1).and_then(|index| self.nodes.get(index)) {
            Some(node) => node.item,
            None => self.dtype.item(),
        }
    }
}

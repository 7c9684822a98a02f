//! Formulas as plain data, and the graph that shares their common nodes.

use std::collections::HashMap;
use std::fmt;

use crate::dtype::{Constant, DType, ItemType};
use crate::expr::{Operation, Step};
use crate::memory;

/// A formula as kernels request it: a node of the graph, and the steps that follow, first to last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    base: NodeId,
    dtype: DType,
    steps: Vec<Step>,
}

impl Expression {
    /// The elements of a node, which are of this dtype. Node 0 is the array itself.
    pub fn of(base: NodeId, dtype: DType) -> Expression {
        Expression { base, dtype, steps: Vec::new() }
    }

    /// Keeps only the elements that are not NaN (or NaT), in order.
    #[must_use]
    pub fn valid(self) -> Expression {
        self.then(Step::Valid)
    }

    /// Converts the elements to float64.
    #[must_use]
    pub fn float64(self) -> Expression {
        if self.item() == ItemType::Float64 { self } else { self.then(Step::Cast(ItemType::Float64)) }
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Expression {
        self.steps.push(step);
        self
    }

    /// The same steps over another node.
    #[must_use]
    pub fn over(self, base: NodeId) -> Expression {
        Expression { base, ..self }
    }

    /// The node that the steps follow.
    pub fn base(&self) -> NodeId {
        self.base
    }

    /// The item type of the formula's blocks.
    pub fn item(&self) -> ItemType {
        self.steps.iter().fold(self.dtype.item(), |item, step| step.item(item))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = if self.base == 0 { "x".to_owned() } else { format!("node {}", self.base) };
        f.write_str(&self.steps.iter().fold(base, |inner, step| format!("{}({inner})", step.name())))
    }
}

/// A node's index in its graph. A node comes after the nodes that it is computed from.
pub type NodeId = usize;

/// The kind of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The elements of the array with this number.
    Source(usize),
    /// The same number for every element.
    Constant(Constant),
    /// The same number for every element of a row: the first item of the array with this number.
    Number(usize),
    /// An operation on nodes.
    Apply(Operation, Vec<NodeId>),
}

impl Node {
    /// The nodes that it is computed from.
    pub(super) fn of(&self) -> &[NodeId] {
        match self {
            Node::Source(_) | Node::Constant(_) | Node::Number(_) => &[],
            Node::Apply(_, of) => of,
        }
    }
}

/// A node, and the known properties of its elements.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) node: Node,
    pub(super) item: ItemType,
    /// The number of elements. A node that leaves some out has the number that it is computed from. `None` for a
    /// number.
    pub(super) len: Option<usize>,
}

/// The formulas of a run. A node that several formulas share exists once, and is computed once per block.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Known>,
    places: HashMap<Node, NodeId>,
}

impl Graph {
    /// The graph of a single array, which is source 0 and node 0. Its length is that of the array used later.
    pub fn new(dtype: DType) -> Graph {
        Graph::with_len(dtype, usize::MAX)
    }

    /// The graph of one array of this length.
    pub fn with_len(dtype: DType, len: usize) -> Graph {
        let mut graph = Graph { nodes: Vec::new(), places: HashMap::new() };
        graph.source(0, dtype, len);
        graph
    }

    /// The node of an array of this dtype and length; the sweep gets the array under this number.
    pub fn source(&mut self, number: usize, dtype: DType, len: usize) -> NodeId {
        self.put(Node::Source(number), dtype.item(), Some(len))
    }

    /// The node of a number.
    pub fn constant(&mut self, constant: Constant) -> NodeId {
        let item = constant.item();
        self.put(Node::Constant(constant), item, None)
    }

    /// The node of a number that is read from an array: its only element, which is of this dtype. In a run over rows,
    /// each row has its own.
    pub fn number(&mut self, number: usize, dtype: DType) -> NodeId {
        self.put(Node::Number(number), dtype.item(), None)
    }

    /// The node of an operation. Its operands, except constants, have the same length; the shortest one counts.
    pub fn apply(&mut self, operation: Operation, of: Vec<NodeId>) -> NodeId {
        let item = operation.item(of.iter().map(|&id| self.item(id)));
        let len = of.iter().filter_map(|&id| self.nodes.get(id)?.len).min();
        self.put(Node::Apply(operation, of), item, len)
    }

    /// The node of an expression. It is created if it is new.
    pub fn add(&mut self, expression: &Expression) -> NodeId {
        expression.steps.iter().fold(expression.base, |of, &step| self.step(step, of))
    }

    /// The node of a step.
    pub fn step(&mut self, step: Step, of: NodeId) -> NodeId {
        self.apply(Operation::Step(step), vec![of])
    }

    /// The item type of a node's blocks.
    pub fn item(&self, id: NodeId) -> ItemType {
        self.nodes.get(id).map_or(ItemType::Float64, |known| known.item)
    }

    /// The largest possible number of a node's elements; `None` for a constant.
    pub fn len(&self, id: NodeId) -> Option<usize> {
        self.nodes.get(id).and_then(|known| known.len)
    }

    /// The number of the array whose elements a node has; `None` for other nodes.
    pub fn array_of(&self, id: NodeId) -> Option<usize> {
        match self.nodes.get(id)?.node {
            Node::Source(number) => Some(number),
            _ => None,
        }
    }

    /// All nodes, each after the nodes that it is computed from.
    pub(super) fn nodes(&self) -> &[Known] {
        &self.nodes
    }

    fn put(&mut self, node: Node, item: ItemType, len: Option<usize>) -> NodeId {
        if let Some(known) = self.places.get(&node) {
            return *known;
        }
        let id = self.nodes.len();
        memory::push(&mut self.nodes, Known { node: node.clone(), item, len });
        memory::insert(&mut self.places, node, id);
        id
    }
}

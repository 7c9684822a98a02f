//! The program of a pass: the nodes that its sinks need, in order, and the registers for their items.
//!
//! A register is reused for another node when its items are no longer read. So a long formula needs scratch memory only
//! for the few nodes in use at a time, and this memory stays in cache.

use crate::dtype::{Buffer, ItemType};
use crate::expr::Operation;
use crate::expr::graph::{Graph, Node, NodeId};

/// One node of a program.
#[derive(Debug, Clone)]
pub(super) struct Instruction {
    pub(super) action: Action,
    /// The instructions whose items it reads.
    pub(super) of: Vec<usize>,
    /// The total number of the node's elements.
    pub(super) len: usize,
}

/// How the items of a node are computed.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Loaded from the view with this number.
    Load { source: usize, item: ItemType },
    /// One item, for every element.
    Constant(Buffer),
    /// One item, for every element, loaded from the view with this number.
    Number { source: usize, item: ItemType },
    /// Computed into a register.
    Apply { operation: Operation, register: usize },
}

/// The nodes that a pass computes, each after the nodes that it reads.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// The item type of each register, and its number of items per element.
    pub(super) registers: Vec<(ItemType, usize)>,
    /// The instruction of each requested node, in the order of the requests, and the node of each instruction.
    wanted: Vec<usize>,
    nodes: Vec<NodeId>,
}

impl Program {
    /// Creates the program that computes these nodes.
    pub fn new(graph: &Graph, wanted: &[NodeId]) -> Program {
        let nodes = needed(graph, wanted);
        let place = |id: &NodeId| nodes.binary_search(id).unwrap_or_default();
        // The last instruction that reads each node; a requested node is read as soon as it is computed.
        let mut last: Vec<usize> = (0..nodes.len()).collect();
        for (index, &id) in nodes.iter().enumerate().rev() {
            let node = graph.nodes().get(id).map(|known| &known.node);
            for of in node.into_iter().flat_map(Node::of).map(place) {
                // An operation that has nothing to do passes its operand's items on.
                let passes = matches!(node, Some(Node::Apply(operation, _)) if operation.can_pass());
                let until = if passes { last[index] } else { index };
                last[of] = last[of].max(until);
            }
        }
        let mut program = Program {
            instructions: Vec::with_capacity(nodes.len()),
            registers: Vec::new(),
            wanted: wanted.iter().map(place).collect(),
            nodes: nodes.clone(),
        };
        let mut free: Vec<usize> = Vec::new();
        let mut held: Vec<(usize, usize)> = Vec::new();
        for (index, &id) in nodes.iter().enumerate() {
            let Some(known) = graph.nodes().get(id) else { continue };
            held.retain(|&(until, register)| {
                let keep = until >= index;
                if !keep {
                    free.push(register);
                }
                keep
            });
            let mut register = || {
                let width = if let Node::Apply(operation, _) = &known.node { operation.width() } else { 1 };
                let fits = free.iter().position(|&register| program.registers[register] == (known.item, width));
                let register = if let Some(at) = fits {
                    free.swap_remove(at)
                } else {
                    program.registers.push((known.item, width));
                    program.registers.len() - 1
                };
                held.push((last[index], register));
                register
            };
            let action = match &known.node {
                Node::Source(source) => Action::Load { source: *source, item: known.item },
                Node::Constant(constant) => Action::Constant(constant.buffer().clone()),
                Node::Number(source) => Action::Number { source: *source, item: known.item },
                Node::Apply(operation, _) => Action::Apply { operation: operation.clone(), register: register() },
            };
            let of = known.node.of().iter().map(place).collect();
            program.instructions.push(Instruction { action, of, len: known.len.unwrap_or(0) });
        }
        program
    }

    /// The instruction that computes each requested node, in the order of the requests.
    pub fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Whether every node has an item for each element, so that no node leaves elements out.
    pub fn keeps_all(&self) -> bool {
        self.instructions.iter().all(|instruction| match &instruction.action {
            Action::Apply { operation, .. } => operation.keeps_all(),
            Action::Load { .. } | Action::Constant(_) | Action::Number { .. } => true,
        })
    }

    /// The number of instructions.
    pub fn size(&self) -> usize {
        self.instructions.len()
    }

    /// The total number of elements of an instruction's node.
    pub fn len(&self, instruction: usize) -> usize {
        self.instructions.get(instruction).map_or(0, |known| known.len)
    }

    /// The node of an instruction.
    pub fn node(&self, instruction: usize) -> NodeId {
        self.nodes.get(instruction).copied().unwrap_or_default()
    }

    /// The number of the view that an instruction loads, if it loads one.
    pub fn loads(&self, instruction: usize) -> Option<usize> {
        match self.instructions.get(instruction)?.action {
            Action::Load { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The numbers of the views from which one number is read.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.instructions.iter().filter_map(|instruction| match instruction.action {
            Action::Number { source, .. } => Some(source),
            _ => None,
        })
    }

    /// The numbers of the views that are read.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.instructions.iter().filter_map(|instruction| match instruction.action {
            Action::Load { source, .. } => Some(source),
            _ => None,
        })
    }
}

/// The requested nodes and all nodes that they are computed from, each after the nodes that it reads.
fn needed(graph: &Graph, wanted: &[NodeId]) -> Vec<NodeId> {
    let mut needed = vec![false; graph.nodes().len()];
    let mut open = wanted.to_vec();
    while let Some(id) = open.pop() {
        if let Some(seen) = needed.get_mut(id).filter(|seen| !**seen) {
            *seen = true;
            open.extend(graph.nodes()[id].node.of());
        }
    }
    (0..needed.len()).filter(|&id| needed[id]).collect()
}

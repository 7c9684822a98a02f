//! One worker's evaluation of a graph, block by block, in scratch memory that stays in cache.

use crate::dtype::{Block, Buffer};
use crate::expr::{Graph, NodeId};
use crate::simd::Level;
use crate::view::{BLOCK, View};

/// Where a node's block of the moment is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Computed: this many items in the node's own buffer.
    Own(usize),
    /// The step had nothing to do: the block of this earlier node serves.
    Same(NodeId),
}

/// The scratch memory of one worker for one pass: a block-sized buffer per step, and one for gathered input.
#[derive(Debug)]
pub struct Evaluator<'a> {
    view: &'a View<'a>,
    graph: &'a Graph,
    level: Level,
    input: Buffer,
    buffers: Vec<Buffer>,
    places: Vec<Place>,
}

impl<'a> Evaluator<'a> {
    /// Scratch for this graph over this array.
    pub fn new(view: &'a View<'a>, graph: &'a Graph, level: Level) -> Evaluator<'a> {
        debug_assert_eq!(view.dtype(), graph.dtype());
        let gathered = if view.is_borrowed() { 0 } else { view.len().min(BLOCK) };
        let computed = view.len().min(BLOCK);
        Evaluator {
            view,
            graph,
            level,
            input: Buffer::new(graph.item(0), gathered),
            buffers: graph.nodes().iter().map(|node| Buffer::new(node.item, computed)).collect(),
            places: Vec::with_capacity(graph.nodes().len()),
        }
    }

    /// Computes every node for the `len` elements from number `start` on, and hands them out.
    pub fn evaluate(&mut self, start: usize, len: usize) -> Blocks<'_> {
        let loaded = self.view.load(self.level, start, len, &mut self.input);
        self.places.clear();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let (earlier, rest) = self.buffers.split_at_mut(index);
            let Some(own) = rest.first_mut() else { unreachable!("there is a buffer for each node") };
            let input = find(loaded, earlier, &self.places, node.of);
            let place = node.step.apply(self.level, input, own).map_or(Place::Same(node.of), Place::Own);
            self.places.push(place);
        }
        Blocks { loaded, buffers: &self.buffers, places: &self.places }
    }
}

/// The blocks of all nodes, of the same elements.
#[derive(Debug)]
pub struct Blocks<'a> {
    loaded: Block<'a>,
    buffers: &'a [Buffer],
    places: &'a [Place],
}

impl Blocks<'_> {
    /// The block of one node.
    pub fn get(&self, id: NodeId) -> Block<'_> {
        find(self.loaded, self.buffers, self.places, id)
    }
}

fn find<'b>(loaded: Block<'b>, buffers: &'b [Buffer], places: &[Place], mut id: NodeId) -> Block<'b> {
    loop {
        let Some(index) = id.checked_sub(1) else { return loaded };
        match (places.get(index), buffers.get(index)) {
            (Some(Place::Own(len)), Some(buffer)) => return buffer.block(*len),
            (Some(Place::Same(earlier)), _) => id = *earlier,
            _ => unreachable!("a node is computed before it is read"),
        }
    }
}

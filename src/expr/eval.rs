//! One worker's evaluation of a program, block by block, in scratch memory that stays in cache.

use crate::dtype::{Block, Buffer};
use crate::expr::flags::Flags;
use crate::expr::operation::{Computed, Operand};
use crate::expr::program::{Action, Program};
use crate::grid::BLOCK;
use crate::memory;
use crate::simd::Level;
use crate::source::View;

/// The location of a node's current items.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// No items: the node has no element in this block.
    Nowhere,
    /// In the loaded block with this number.
    Loaded(usize),
    /// This number of items, in this register.
    Own(usize, usize),
    /// The operation changed nothing: the items of this earlier instruction are used.
    Same(usize),
    /// One item, in the program.
    Constant,
    /// One item, in the loaded block with this number.
    Number(usize),
}

/// The scratch memory of one worker for one pass: a block for each register, and one for each view that is gathered.
#[derive(Debug)]
pub struct Evaluator<'a> {
    program: &'a Program,
    level: Level,
    gathered: Vec<Buffer>,
    registers: Vec<Buffer>,
    places: Vec<Place>,
    flags: Vec<Flags>,
}

impl<'a> Evaluator<'a> {
    /// Scratch for this program over arrays like these.
    pub fn new(views: &[View<'_>], program: &'a Program, level: Level) -> Evaluator<'a> {
        let longest = views.iter().map(View::len).max().unwrap_or(0).min(BLOCK);
        let gathered = program.instructions.iter().filter_map(|instruction| match instruction.action {
            Action::Load { source, item } => {
                let view = views.get(source)?;
                Some(Buffer::new(item, if view.is_borrowed() { 0 } else { view.len().min(BLOCK) }))
            }
            Action::Number { item, .. } => Some(Buffer::new(item, 1)),
            _ => None,
        });
        Evaluator {
            program,
            level,
            gathered: memory::collected(gathered),
            registers: memory::collected(
                program.registers.iter().map(|&(item, width)| Buffer::new(item, width * longest)),
            ),
            places: memory::with_room(program.instructions.len()),
            flags: memory::filled(Flags::default(), program.instructions.len()),
        }
    }

    /// Computes every node for at most one block of elements, from number `start` on and below `end`. Calls `sink` with
    /// the number of each instruction and its items, as soon as they are computed. The arrays must be those that the
    /// scratch was made for, or have the same layout.
    pub fn evaluate(&mut self, views: &[View<'_>], start: usize, end: usize, mut sink: impl FnMut(usize, Block<'_>)) {
        let Evaluator { program, level, gathered, registers, places, flags } = self;
        let mut loaded: Vec<Block<'_>> = memory::with_room(gathered.len());
        let mut scratch = gathered.iter_mut();
        places.clear();
        for (index, instruction) in program.instructions.iter().enumerate() {
            let len = instruction.len.min(end).saturating_sub(start).min(BLOCK);
            let place = match &instruction.action {
                Action::Constant(_) => Place::Constant,
                Action::Load { source, .. } => match (views.get(*source), scratch.next()) {
                    (Some(view), Some(scratch)) if len > 0 => {
                        loaded.push(view.load(*level, start, len, scratch));
                        Place::Loaded(loaded.len() - 1)
                    }
                    _ => Place::Nowhere,
                },
                Action::Number { source, .. } => match (views.get(*source), scratch.next()) {
                    (Some(view), Some(scratch)) => {
                        loaded.push(view.load(*level, 0, 1, scratch));
                        Place::Number(loaded.len() - 1)
                    }
                    _ => Place::Nowhere,
                },
                _ if len == 0 => Place::Nowhere,
                Action::Apply { operation, register } => {
                    let mut own = std::mem::take(&mut registers[*register]);
                    let operand = |&of: &usize| find(&loaded, registers, places, program, of);
                    let computed = operation.apply(*level, &instruction.of, operand, &mut own, &mut flags[index]);
                    registers[*register] = own;
                    match computed {
                        Computed::Items(len) => Place::Own(*register, len),
                        Computed::Same(operand) => Place::Same(instruction.of[operand]),
                    }
                }
            };
            places.push(place);
            if !matches!(place, Place::Nowhere | Place::Constant | Place::Number(_)) {
                sink(index, find(&loaded, registers, places, program, index).block);
            }
        }
    }

    /// The floating-point exceptions that each instruction has raised so far.
    pub fn flags(&self) -> &[Flags] {
        &self.flags
    }
}

/// The items of an instruction.
fn find<'b>(
    loaded: &[Block<'b>],
    registers: &'b [Buffer],
    places: &[Place],
    program: &'b Program,
    mut instruction: usize,
) -> Operand<'b> {
    loop {
        match places.get(instruction) {
            Some(Place::Loaded(number)) => return Operand { block: loaded[*number], constant: false },
            Some(Place::Number(number)) => return Operand { block: loaded[*number], constant: true },
            Some(Place::Own(register, len)) => {
                return Operand { block: registers[*register].block(*len), constant: false };
            }
            Some(Place::Same(earlier)) => instruction = *earlier,
            Some(Place::Constant) => {
                let Some(Action::Constant(buffer)) = program.instructions.get(instruction).map(|known| &known.action)
                else {
                    unreachable!("a constant's place is a constant's")
                };
                return Operand { block: buffer.block(1), constant: true };
            }
            Some(Place::Nowhere) | None => unreachable!("a node is computed before it is read"),
        }
    }
}

//! The grid: in what portions elements are taken. These sizes are part of a result's identity: with others, sums and
//! what follows from them would have other last bits.

/// Floats that a vector loop takes side by side, on every instruction set.
pub(crate) const LANES: usize = 32;

/// Elements in a block: what every expression and sink of a pass visits while it is in cache. A float64 block is 32
/// KiB: it stays in the first-level cache of current processors, or just outside. Measured for eleven statistics of 20
/// M float64 on two cores: 6.5 ms with blocks of 2048, 5.3 ms with 4096.
pub const BLOCK: usize = 4096;

/// Elements in a chunk: what a worker takes at a time, and a leaf of the combine tree.
pub const CHUNK: usize = 16 * BLOCK;

/// Elements in the smallest sample. Enough for a map of the data (`selection/map.rs`) whose bins hold what it expects
/// of them within a few per cent of the whole; 16,384 cache lines come from memory in a quarter of a millisecond.
pub const SAMPLE: usize = 16_384;

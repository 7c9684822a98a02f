//! The floating-point exceptions that NumPy warns of.

/// The floating-point exceptions that a loop raised, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// An operation without a defined result, for example 0/0.
    pub const INVALID: Flags = Flags(1);
    /// A finite number divided by zero, or an equivalent operation such as log(0).
    pub const DIVIDE: Flags = Flags(2);
    /// A result beyond the largest number.
    pub const OVERFLOW: Flags = Flags(4);
    /// A result below the smallest number.
    pub const UNDERFLOW: Flags = Flags(8);
    /// The loop itself reports a failure.
    pub const FAILED: Flags = Flags(16);

    /// Adds further exceptions.
    pub fn add(&mut self, more: Flags) {
        self.0 |= more.0;
    }
}

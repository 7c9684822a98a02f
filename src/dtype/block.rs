//! Blocks and buffers. A block borrows items of one type, and a buffer owns them. Both are enums with a variant for
//! each item type.
//!
//! Nothing here computes with items or knows where they come from. Memory is allocated through `memory`, which turns a
//! failed allocation into an error.

use std::hash::{Hash, Hasher};

use super::item::{Item, ItemType, Number, for_each_item};

macro_rules! define_blocks {
    ($($variant:ident: $item:ty,)*) => {
        /// A block: contiguous, native, aligned items that stay in cache while every sink visits them.
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs)]
        pub enum Block<'a> { $($variant(&'a [$item]),)* }

        /// The owner of a block that is not borrowed from the array.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Buffer { $($variant(Vec<$item>),)* }

        impl Block<'_> {
            /// The number of items.
            pub fn len(&self) -> usize {
                match self { $(Block::$variant(items) => items.len(),)* }
            }

            /// Whether there are no items.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The type of its items.
            pub fn item(&self) -> ItemType {
                match self { $(Block::$variant(_) => ItemType::$variant,)* }
            }

            /// A copy of the items.
            pub fn to_buffer(&self) -> Buffer {
                match self { $(Block::$variant(items) => Buffer::$variant($crate::memory::copied(items)),)* }
            }

            /// The address of the first item.
            pub fn as_ptr(&self) -> *const u8 {
                match self { $(Block::$variant(items) => items.as_ptr().cast(),)* }
            }
        }

        impl Default for Buffer {
            fn default() -> Buffer {
                Buffer::new(ItemType::Bool, 0)
            }
        }

        impl Buffer {
            /// A buffer of `len` zeros.
            pub fn new(item: ItemType, len: usize) -> Buffer {
                match item { $(ItemType::$variant => Buffer::$variant($crate::memory::filled(<$item as Default>::default(), len)),)* }
            }

            /// The number of items.
            pub fn len(&self) -> usize {
                match self { $(Buffer::$variant(items) => items.len(),)* }
            }

            /// Whether there are no items.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The type of its items.
            pub fn item(&self) -> ItemType {
                match self { $(Buffer::$variant(_) => ItemType::$variant,)* }
            }

            /// Appends the item that is nearest to a number.
            pub fn push(&mut self, number: Number) {
                match self { $(Buffer::$variant(items) => $crate::memory::push(items, <$item as Item>::of_number(number)),)* }
            }

            /// Appends the items of another buffer of the same type; a buffer of another type adds nothing.
            pub fn append(&mut self, next: Buffer) {
                match (self, next) {
                    $((Buffer::$variant(items), Buffer::$variant(next)) => $crate::memory::extend(items, next),)*
                    _ => {}
                }
            }

            /// The items as numbers.
            pub fn numbers(&self) -> Vec<Number> {
                match self { $(Buffer::$variant(items) => $crate::memory::collected(items.iter().map(|item| Item::number(*item))),)* }
            }

            /// The address of the first item.
            pub fn as_mut_ptr(&mut self) -> *mut u8 {
                match self { $(Buffer::$variant(items) => items.as_mut_ptr().cast(),)* }
            }

            /// Writes a block's items over those from index `at` on. A block of another type, or one that does not fit,
            /// changes nothing.
            pub fn put(&mut self, at: usize, block: Block<'_>) {
                match (self, block) {
                    $((Buffer::$variant(items), Block::$variant(new)) => {
                        if let Some(place) = items.get_mut(at..at.saturating_add(new.len())) {
                            place.copy_from_slice(new);
                        }
                    })*
                    _ => {}
                }
            }

            /// The first `len` items as a block.
            pub fn block(&self, len: usize) -> Block<'_> {
                match self { $(Buffer::$variant(items) => Block::$variant(items.get(..len).unwrap_or(items)),)* }
            }
        }
    };
}

for_each_item!(define_blocks);

/// One item, equal to another if all bits are.
#[derive(Debug, Clone)]
pub struct Constant {
    buffer: Buffer,
    bits: u128,
}

impl Constant {
    /// The first item of a buffer that is not empty.
    pub fn new(buffer: Buffer) -> Option<Constant> {
        let pair = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let bits = match &buffer {
            Buffer::Bool(items) => u128::from(items.first()?.0),
            Buffer::Int8(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int16(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int32(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::Int64(items) => u128::from(items.first()?.cast_unsigned()),
            Buffer::UInt8(items) => u128::from(*items.first()?),
            Buffer::UInt16(items) => u128::from(*items.first()?),
            Buffer::UInt32(items) => u128::from(*items.first()?),
            Buffer::UInt64(items) => u128::from(*items.first()?),
            Buffer::Float32(items) => u128::from(items.first()?.to_bits()),
            Buffer::Float64(items) => u128::from(items.first()?.to_bits()),
            Buffer::Complex64(items) => {
                let item = items.first()?;
                pair(item.re.to_bits().into(), item.im.to_bits().into())
            }
            Buffer::Complex128(items) => {
                let item = items.first()?;
                pair(item.re.to_bits(), item.im.to_bits())
            }
            Buffer::Time(items) => u128::from(items.first()?.0.cast_unsigned()),
        };
        Some(Constant { buffer, bits })
    }

    /// The item's type.
    pub fn item(&self) -> ItemType {
        self.buffer.item()
    }

    /// A buffer that holds the item.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        self.bits == other.bits && self.item() == other.item()
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.bits, self.item()).hash(state);
    }
}

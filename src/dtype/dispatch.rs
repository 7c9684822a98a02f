//! The macros that run code for the item type of a dtype. The code is compiled once for each type.
//!
//! The macros only choose a type. The caller decides what the code does with it, and what happens to other dtypes.

/// Runs `$body` with `$T` standing for the item of an ordered dtype; complex dtypes, which have no order, take `$else`.
macro_rules! with_ordered {
    ($dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype.item() {
            $crate::dtype::ItemType::Bool => {
                type $T = $crate::dtype::Bool8;
                $body
            }
            $crate::dtype::ItemType::Int8 => {
                type $T = i8;
                $body
            }
            $crate::dtype::ItemType::Int16 => {
                type $T = i16;
                $body
            }
            $crate::dtype::ItemType::Int32 => {
                type $T = i32;
                $body
            }
            $crate::dtype::ItemType::Int64 => {
                type $T = i64;
                $body
            }
            $crate::dtype::ItemType::UInt8 => {
                type $T = u8;
                $body
            }
            $crate::dtype::ItemType::UInt16 => {
                type $T = u16;
                $body
            }
            $crate::dtype::ItemType::UInt32 => {
                type $T = u32;
                $body
            }
            $crate::dtype::ItemType::UInt64 => {
                type $T = u64;
                $body
            }
            $crate::dtype::ItemType::Float32 => {
                type $T = f32;
                $body
            }
            $crate::dtype::ItemType::Float64 => {
                type $T = f64;
                $body
            }
            $crate::dtype::ItemType::Time => {
                type $T = $crate::dtype::Time;
                $body
            }
            $crate::dtype::ItemType::Complex64 | $crate::dtype::ItemType::Complex128 => $else,
        }
    };
}

pub(crate) use with_ordered;

/// Runs `$body` with `$T` standing for the item of any dtype.
macro_rules! with_item {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::dtype::DType::Complex64 => { type $T = num_complex::Complex<f32>; $body }
            $crate::dtype::DType::Complex128 => { type $T = num_complex::Complex<f64>; $body }
            ordered => $crate::dtype::with_ordered!(ordered, $T => $body, else unreachable!("complex is matched above")),
        }
    };
}

pub(crate) use with_item;

/// Runs `$body` with `$T` standing for the item of an integer or bool dtype; every other dtype takes `$else`.
macro_rules! with_integer {
    ($dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype.item() {
            $crate::dtype::ItemType::Bool => {
                type $T = $crate::dtype::Bool8;
                $body
            }
            $crate::dtype::ItemType::Int8 => {
                type $T = i8;
                $body
            }
            $crate::dtype::ItemType::Int16 => {
                type $T = i16;
                $body
            }
            $crate::dtype::ItemType::Int32 => {
                type $T = i32;
                $body
            }
            $crate::dtype::ItemType::Int64 => {
                type $T = i64;
                $body
            }
            $crate::dtype::ItemType::UInt8 => {
                type $T = u8;
                $body
            }
            $crate::dtype::ItemType::UInt16 => {
                type $T = u16;
                $body
            }
            $crate::dtype::ItemType::UInt32 => {
                type $T = u32;
                $body
            }
            $crate::dtype::ItemType::UInt64 => {
                type $T = u64;
                $body
            }
            _ => $else,
        }
    };
}

pub(crate) use with_integer;

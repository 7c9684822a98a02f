//! Arrays of any content, dtype and layout, made from nothing but their description.

use fanfold::dtype::DType;
use fanfold::source::View;
use half::f16;

/// What an array holds. An element depends on its number alone, so that arrays of all lengths begin alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Content {
    /// Bell-shaped, around 0, spread 1.
    Normal,
    /// Whole numbers from -2 to 2: equal neighbours, zeros, and extrema all over the place.
    Few,
    /// From 0.5 to 1.5, so that products and geometric means stay in sight.
    Positive,
    /// Each element above the one before, until the dtype ends.
    Rising,
    /// [`Content::Normal`], but one element in eight is NaN.
    Holes,
    /// The odd ones: NaN, infinities, both zeros, subnormals, the largest and smallest.
    Special,
    /// Nothing but NaN.
    Missing,
}

impl Content {
    /// All of them.
    pub(crate) const ALL: [Content; 7] = [
        Content::Normal,
        Content::Few,
        Content::Positive,
        Content::Rising,
        Content::Holes,
        Content::Special,
        Content::Missing,
    ];

    /// The element of this number, before it is fitted into a dtype. NaN becomes NaT, and 0 where there is neither.
    #[allow(clippy::cast_possible_truncation)]
    fn real(self, number: u64) -> f64 {
        const SPECIAL: [f64; 12] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            5e-324,
            -1e-310,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            1.0,
            -1.0,
        ];
        let random = scramble(number);
        let uniform = |shift: u32| f64::from((random >> shift) as u16) / 65_536.0;
        let normal = || 2.0 * (uniform(0) + uniform(16) + uniform(32) - 1.5);
        match self {
            Content::Normal => normal(),
            Content::Few => f64::from((random % 5) as u8) - 2.0,
            Content::Positive => 0.5 + uniform(0),
            Content::Rising => number as f64 / 16.0,
            Content::Holes => {
                if random >> 61 == 0 {
                    f64::NAN
                } else {
                    normal()
                }
            }
            Content::Special => SPECIAL[(random % SPECIAL.len() as u64) as usize],
            Content::Missing => f64::NAN,
        }
    }

    /// The bytes of the element of this number, in native order; the first `dtype.size()` count.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn bytes(self, dtype: DType, number: u64) -> [u8; 16] {
        let real = self.real(number);
        let whole = real * 16.0;
        let mut bytes = [0; 16];
        let mut put = |part: &[u8]| bytes[..part.len()].copy_from_slice(part);
        match dtype {
            // Any byte but zero is true.
            DType::Bool => put(&[if real > 0.0 { 1 + number as u8 % 3 } else { 0 }]),
            DType::Int8 => put(&(whole as i8).to_ne_bytes()),
            DType::Int16 => put(&(whole as i16).to_ne_bytes()),
            DType::Int32 => put(&(whole as i32).to_ne_bytes()),
            DType::Int64 => put(&(whole as i64).to_ne_bytes()),
            DType::UInt8 => put(&(whole as u8).to_ne_bytes()),
            DType::UInt16 => put(&(whole as u16).to_ne_bytes()),
            DType::UInt32 => put(&(whole as u32).to_ne_bytes()),
            DType::UInt64 => put(&(whole as u64).to_ne_bytes()),
            DType::Float16 => put(&f16::from_f64(real).to_ne_bytes()),
            DType::Float32 => put(&(real as f32).to_ne_bytes()),
            DType::Float64 => put(&real.to_ne_bytes()),
            DType::Complex64 => {
                let imaginary = self.real(number ^ 1) as f32;
                put(&[(real as f32).to_ne_bytes(), imaginary.to_ne_bytes()].concat());
            }
            DType::Complex128 => put(&[real.to_ne_bytes(), self.real(number ^ 1).to_ne_bytes()].concat()),
            DType::Datetime64 | DType::Timedelta64 => {
                put(&(if real.is_nan() { i64::MIN } else { whole as i64 }).to_ne_bytes());
            }
        }
        bytes
    }
}

/// `SplitMix64`'s scrambling of a counter.
fn scramble(number: u64) -> u64 {
    let mut word = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// How the elements lie in memory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The elements from one step along an axis to the next.
    pub steps: Vec<isize>,
    /// In the other byte order.
    pub swapped: bool,
    /// Bytes by which every element is off its natural alignment.
    pub shift: usize,
}

impl Layout {
    /// One after the other.
    pub(crate) fn contiguous(len: usize) -> Layout {
        Layout::stepping(len, 1)
    }

    /// One every so many elements.
    pub(crate) fn stepping(len: usize, step: isize) -> Layout {
        Layout { shape: vec![len], steps: vec![step], swapped: false, shift: 0 }
    }

    /// How many elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The element of this number, counted from the start of memory in elements: the last axis runs fastest.
    fn place(&self, mut number: usize) -> isize {
        let axes = self.shape.iter().zip(&self.steps).rev();
        axes.map(|(&len, &step)| {
            let index = number % len;
            number /= len;
            index.cast_signed() * step
        })
        .sum()
    }

    /// The first and the last place.
    fn ends(&self) -> (isize, isize) {
        let axes = self.shape.iter().zip(&self.steps);
        let far = axes.map(|(&len, &step)| len.saturating_sub(1).cast_signed() * step);
        far.fold((0, 0), |(low, high), far| (low + far.min(0), high + far.max(0)))
    }
}

/// An array in memory of its own.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    memory: Vec<u8>,
    /// Where the element with all indices 0 is.
    origin: usize,
    dtype: DType,
    layout: Layout,
}

impl Array {
    /// Contiguous and native.
    pub(crate) fn new(content: Content, dtype: DType, len: usize) -> Array {
        Array::laid_out(content, dtype, Layout::contiguous(len))
    }

    /// Laid out in some way. Where elements share a place, the last one keeps it.
    pub(crate) fn laid_out(content: Content, dtype: DType, layout: Layout) -> Array {
        let elements = (0..layout.len()).map(|number| content.bytes(dtype, number as u64));
        Array::of(elements, dtype, layout)
    }

    fn of(elements: impl Iterator<Item = [u8; 16]>, dtype: DType, layout: Layout) -> Array {
        let size = dtype.size();
        let (low, high) = layout.ends();
        let memory = vec![0; ((high - low).unsigned_abs() + 3) * size + layout.shift];
        // The allocation may start anywhere, and the array starts at a multiple of its size: or off by `shift`.
        let aligned = memory.as_ptr().align_offset(size);
        let origin = aligned + layout.shift + low.unsigned_abs() * size;
        let mut array = Array { memory, origin, dtype, layout };
        for (number, mut bytes) in elements.enumerate() {
            array.swap(&mut bytes);
            let at = array.address(number);
            array.memory[at..at + size].copy_from_slice(&bytes[..size]);
        }
        array
    }

    /// The same elements, contiguous and native: gathered one by one, as a reader would on paper.
    pub(crate) fn gathered(&self) -> Array {
        let elements = (0..self.layout.len()).map(|number| {
            let at = self.address(number);
            let mut bytes = [0; 16];
            bytes[..self.dtype.size()].copy_from_slice(&self.memory[at..at + self.dtype.size()]);
            self.swap(&mut bytes);
            bytes
        });
        Array::of(elements, self.dtype, Layout::contiguous(self.layout.len()))
    }

    /// Only the elements that are not NaN or NaT.
    pub(crate) fn without_missing(content: Content, dtype: DType, len: usize) -> Array {
        let is_missing = |number: &u64| {
            let imaginary = dtype.is_complex() && content.real(number ^ 1).is_nan();
            dtype.has_missing() && (content.real(*number).is_nan() || imaginary || is_nat(content, dtype, *number))
        };
        let kept: Vec<[u8; 16]> =
            (0..len as u64).filter(|number| !is_missing(number)).map(|number| content.bytes(dtype, number)).collect();
        let layout = Layout::contiguous(kept.len());
        Array::of(kept.into_iter(), dtype, layout)
    }

    /// What the core gets to see.
    pub(crate) fn view(&self) -> View<'_> {
        let size = self.dtype.size().cast_signed();
        let strides: Vec<isize> = self.layout.steps.iter().map(|step| step * size).collect();
        let origin = self.memory[self.origin..].as_ptr();
        // SAFETY: `of` made memory for every place between the layout's ends.
        unsafe { View::new(origin, self.dtype, self.layout.swapped, &self.layout.shape, &strides) }
    }

    /// The bytes in memory, to see that nobody writes to them.
    pub(crate) fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn address(&self, number: usize) -> usize {
        (self.origin.cast_signed() + self.layout.place(number) * self.dtype.size().cast_signed()).cast_unsigned()
    }

    /// Turns native order into the array's, and back.
    fn swap(&self, bytes: &mut [u8; 16]) {
        if self.layout.swapped {
            let part = if self.dtype.is_complex() { self.dtype.size() / 2 } else { self.dtype.size() };
            bytes[..self.dtype.size()].chunks_mut(part).for_each(<[u8]>::reverse);
        }
    }
}

/// -inf is the smallest integer, and so NaT.
fn is_nat(content: Content, dtype: DType, number: u64) -> bool {
    dtype.is_time() && content.bytes(dtype, number)[..8] == i64::MIN.to_ne_bytes()
}

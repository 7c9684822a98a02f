//! Run-time choice of the instruction set.
//!
//! Kernels are loops over fixed numbers of lanes: plain ones where the compiler finds the vectors by itself, and over
//! `fearless_simd`'s vectors in the few hottest, where it was measured to miss them (`lanes.rs`). [`Level::run`]
//! compiles such a loop once per instruction set and runs the best one this processor has. The number of lanes is the
//! same everywhere and nothing contracts a multiplication and an addition into one rounding, so every level gives the
//! same bits.
//!
//! Whatever runs inside [`Level::run`] must be `#[inline(always)]` down to its loops: a function that is called, not
//! inlined, is compiled for the baseline and silently slow.
//!
//! `fearless_simd`'s tokens prove that the processor has the features, without unsafe code; that is for [`prefetch`]
//! only.

use std::sync::OnceLock;

pub use fearless_simd::Simd;

/// The environment variable that forces a level: `baseline`, `avx2` or `avx512`.
pub const VARIABLE: &str = "FANFOLD_SIMD";

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy)]
pub struct Level(fearless_simd::Level);

impl Level {
    /// The level of this process: the best one, or what [`VARIABLE`] forces.
    ///
    /// Read once, at first use; a name that is unknown or that this processor lacks is ignored here and reported by
    /// [`Level::forced`].
    pub fn current() -> Level {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| Level::forced().ok().flatten().unwrap_or_else(Level::best))
    }

    /// The best level of this processor.
    pub fn best() -> Level {
        Level::available().last().unwrap_or(Level(fearless_simd::Level::baseline()))
    }

    /// What [`VARIABLE`] asks for: `Ok(None)` if it is unset or empty.
    pub fn forced() -> Result<Option<Level>, String> {
        match std::env::var(VARIABLE) {
            Ok(name) if !name.is_empty() => match Level::named(&name) {
                Some(level) => Ok(Some(level)),
                None => Err(format!(
                    "{VARIABLE}={name:?} is not a level of this processor: use one of {}",
                    Level::available().map(Level::name).collect::<Vec<_>>().join(", ")
                )),
            },
            _ => Ok(None),
        }
    }

    /// The level of this name, if this processor has it.
    pub fn named(name: &str) -> Option<Level> {
        Level::available().find(|level| level.name() == name)
    }

    /// The levels of this processor, from the plainest to the best.
    pub fn available() -> impl Iterator<Item = Level> {
        let best = fearless_simd::Level::new();
        let mut levels = vec![Level(fearless_simd::Level::baseline())];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        {
            levels.extend(best.as_avx2().map(|token| Level(fearless_simd::Level::Avx2(token))));
            levels.extend(best.as_avx512().map(|token| Level(fearless_simd::Level::Avx512(token))));
        }
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        let _ = best;
        levels.into_iter()
    }

    /// `"baseline"`, `"avx2"` or `"avx512"`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx512(_) => "avx512",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx2(_) => "avx2",
            _ => "baseline",
        }
    }

    /// Runs `work`, compiled for this level, and gives it the token that explicit vectors need.
    #[inline(always)]
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx512(token) => with(token, work),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx2(token) => with(token, work),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Sse2(token) => with(token, work),
            // SSE4.2, which `available` leaves out: it gains these loops little and would cost a fourth copy of each.
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            _ => unreachable!("not among the available levels"),
            #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
            other => fearless_simd::dispatch!(other, token => with(token, work)),
        }
    }
}

/// Asks for the cache line of an address, into the second-level cache. It is no access: any address will do. Does
/// nothing where Rust offers no way.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction (it is part of SSE), and it faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::without_provenance(address)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Something to be compiled once per instruction set. It and all it calls must be `#[inline(always)]`.
pub trait Work {
    /// What it gives.
    type Output;
    /// Does it.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A closure that leaves the vectors to the compiler.
impl<R, F: FnOnce() -> R> Work for F {
    type Output = R;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> R {
        self()
    }
}

#[inline(always)]
fn with<S: Simd, W: Work>(token: S, work: W) -> W::Output {
    token.vectorize(
        #[inline(always)]
        || work.run(token),
    )
}

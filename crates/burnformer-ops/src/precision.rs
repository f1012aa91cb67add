//! In which numbers the products of linear maps are made.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the factors of a product are rounded to. Sums are `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Not rounded.
    #[default]
    F32,
    /// To bfloat16, to nearest with ties to even. Subnormal numbers count as zero.
    Bf16,
}

static BF16: AtomicBool = AtomicBool::new(false);

/// Why products cannot be made in the precision asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrecisionError {
    /// The processor has no instructions for it.
    #[error("this processor has no bf16 products (AVX512_BF16), use `dtype = \"f32\"`")]
    Processor,
    /// The device has only single precision.
    #[error("bf16 products are made on `ndarray` and `flex` only, choose one of them or `dtype = \"f32\"`")]
    Device,
}

/// Sets how [`linear`](crate::linear) and [`qkv`](crate::qkv) multiply from now on, in the whole program;
/// [`Precision::F32`] before it is called.
///
/// Weights, outputs, moments, norms, softmax and losses stay `f32`.
///
/// # Errors
/// If `device` or the processor cannot; the precision stays what it was.
pub fn set_matmul_precision(precision: Precision, device: &Device) -> Result<(), PrecisionError> {
    if precision == Precision::Bf16 {
        if !crate::is_on_host(device) {
            return Err(PrecisionError::Device);
        }
        if !crate::cpu::matmul::bf16_is_supported() {
            return Err(PrecisionError::Processor);
        }
    }
    BF16.store(precision == Precision::Bf16, Ordering::Relaxed);
    Ok(())
}

/// How [`linear`](crate::linear) multiplies on the CPU.
#[must_use]
pub fn matmul_precision() -> Precision {
    if BF16.load(Ordering::Relaxed) { Precision::Bf16 } else { Precision::F32 }
}

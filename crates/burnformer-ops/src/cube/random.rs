//! The random numbers of [`burnformer_core::random`], drawn on the device.

use cubecl::prelude::*;

/// [`philox4x32_10`](burnformer_core::random::philox4x32_10).
#[cube]
pub(super) fn philox4x32_10(counter: (u32, u32, u32, u32), key: (u32, u32)) -> Vector<u32, Const<4>> {
    let (mut c0, mut c1, mut c2, mut c3) = counter;
    let (mut k0, mut k1) = key;
    #[unroll]
    for _ in 0..10 {
        let high_0 = u32::mul_hi(0xD251_1F53, c0);
        let high_2 = u32::mul_hi(0xCD9E_8D57, c2);
        let low_0 = 0xD251_1F53 * c0;
        let low_2 = 0xCD9E_8D57 * c2;
        c0 = high_2 ^ c1 ^ k0;
        c1 = low_2;
        c2 = high_0 ^ c3 ^ k1;
        c3 = low_0;
        k0 += 0x9E37_79B9;
        k1 += 0xBB67_AE85;
    }
    let mut numbers = Vector::<u32, Const<4>>::empty();
    numbers.insert(0usize, c0);
    numbers.insert(1usize, c1);
    numbers.insert(2usize, c2);
    numbers.insert(3usize, c3);
    numbers
}

//! Seeded randomness. One stream per concern, so that drawing more in one place changes nothing in
//! another.

/// A xoshiro256** generator (Blackman and Vigna, "Scrambled linear pseudorandom number generators").
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// Returns the generator of `seed` for the concern named by `stream`.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut x = seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(core::array::from_fn(|_| splitmix64(&mut x)))
    }

    /// Draws 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = b << 17;
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ t, d.rotate_left(45)];
        result
    }

    /// Draws a number in `0..bound`; 0 when `bound` is 0. The bias is below 2^-32 for bounds that fit
    /// 32 bits.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Draws true once in `n` times; never when `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }

    /// Fills `out` with base-62 digits, as NATS' generated names use them.
    pub fn fill_base62(&mut self, out: &mut [u8]) {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for b in out {
            let i = usize::try_from(self.below(62)).unwrap_or(0);
            *b = DIGITS.get(i).copied().unwrap_or(b'0');
        }
    }
}

fn splitmix64(x: &mut u64) -> u64 {
    *x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *x;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

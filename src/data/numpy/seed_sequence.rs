//! NumPy's `SeedSequence`: integers of any kind are hashed into a pool of four words, from which a generator's
//! state is read.

/// Words of the entropy pool (`DEFAULT_POOL_SIZE`).
const POOL: usize = 4;
const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;

/// `SeedSequence(seed).generate_state(N, numpy.uint64)` for a list of non-negative integers.
///
/// A list of one integer gives the state of that integer alone, as in NumPy.
///
/// ```
/// use ihead::data::numpy::seed_sequence::generate_state;
/// assert_eq!(generate_state::<1>(&[0]), [15_793_235_383_387_715_774]);
/// ```
pub fn generate_state<const N: usize>(seed: &[u64]) -> [u64; N] {
    let pool = mix_entropy(&words(seed));
    let mut constant = INIT_B;
    let mut index = 0;
    let mut word = || {
        let value = hash(pool[index % POOL], &mut constant, MULT_B);
        index += 1;
        u64::from(value)
    };
    std::array::from_fn(|_| {
        let low = word();
        low | word() << 32
    })
}

/// Each integer as 32-bit words, low word first, without leading zeros; zero is one word
/// (`_coerce_to_uint32_array`).
fn words(seed: &[u64]) -> Vec<u32> {
    let mut words = Vec::with_capacity(2 * seed.len());
    for &integer in seed {
        words.push(integer as u32);
        if integer >> 32 != 0 {
            words.push((integer >> 32) as u32);
        }
    }
    words
}

/// `SeedSequence.mix_entropy`: every word of entropy reaches every word of the pool.
fn mix_entropy(entropy: &[u32]) -> [u32; POOL] {
    let mut constant = INIT_A;
    let mut hashmix = |value| hash(value, &mut constant, MULT_A);
    let mut pool: [u32; POOL] = std::array::from_fn(|i| hashmix(entropy.get(i).copied().unwrap_or(0)));
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            pool[target] = mix(pool[target], hashmix(pool[source]));
        }
    }
    for &word in entropy.iter().skip(POOL) {
        for target in &mut pool {
            *target = mix(*target, hashmix(word));
        }
    }
    pool
}

/// One round of hashing; `constant` moves on by `multiplier`.
fn hash(value: u32, constant: &mut u32, multiplier: u32) -> u32 {
    let value = value ^ *constant;
    *constant = constant.wrapping_mul(multiplier);
    let value = value.wrapping_mul(*constant);
    value ^ value >> 16
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = MIX_LEFT.wrapping_mul(x).wrapping_sub(MIX_RIGHT.wrapping_mul(y));
    mixed ^ mixed >> 16
}

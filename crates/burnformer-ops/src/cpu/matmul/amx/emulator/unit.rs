//! The matrix unit as its manual describes it: eight tiles, what they are configured as, and what instructions do to them.
//!
//! Source: Intel SDM, volume 2, "Operation" and "Exceptions" of each instruction; volume 1, chapter "Programming with Intel
//! AMX", for palette 1.

use super::decode::{Factors, Instruction, Memory};

const TILES: usize = 8;
const ROWS: usize = 16;
/// 32-bit words of a row.
const WORDS: usize = 16;

/// Rows of words.
type Tile = [[u32; WORDS]; ROWS];

/// Why a processor would refuse an instruction.
pub(super) type Refusal = &'static str;

/// What a tile is configured as.
#[derive(Clone, Copy)]
struct Shape {
    rows: usize,
    row_bytes: usize,
}

impl Shape {
    const NONE: Self = Self { rows: 0, row_bytes: 0 };

    fn words(self) -> usize {
        self.row_bytes / 4
    }
}

/// Tiles and their configuration.
pub(super) struct Unit {
    is_configured: bool,
    start_row: usize,
    shapes: [Shape; TILES],
    tiles: [Tile; TILES],
}

impl Unit {
    /// Without a configuration.
    pub(super) const fn new() -> Self {
        Self { is_configured: false, start_row: 0, shapes: [Shape::NONE; TILES], tiles: [[[0; WORDS]; ROWS]; TILES] }
    }

    pub(super) fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// What an instruction does; `place` gives `base + displacement` and `index * 2^scale` of its memory. For tiles the latter is
    /// how many bytes their rows are apart.
    ///
    /// # Safety
    /// What the instruction reads and writes is memory that it may read and write.
    pub(super) unsafe fn run(
        &mut self,
        instruction: &Instruction,
        place: impl Fn(Memory) -> (usize, usize),
    ) -> Result<(), Refusal> {
        match *instruction {
            Instruction::LoadConfiguration(memory) => {
                let (start, index) = place(memory);
                // SAFETY: By the caller.
                self.configure(unsafe { (start.wrapping_add(index) as *const [u8; 64]).read_unaligned() })
            }
            Instruction::Release => {
                *self = Self::new();
                Ok(())
            }
            Instruction::Zero(tile) => {
                self.shape(tile)?;
                self.tiles[usize::from(tile)] = [[0; WORDS]; ROWS];
                self.start_row = 0;
                Ok(())
            }
            Instruction::Load(tile, memory) => {
                let (shape, (start, stride)) = (self.shape_in_memory(tile)?, place(memory));
                let rows = &mut self.tiles[usize::from(tile)];
                for row in rows.iter_mut().skip(self.start_row) {
                    *row = [0; WORDS];
                }
                for (number, row) in rows.iter_mut().enumerate().take(shape.rows).skip(self.start_row) {
                    let from = start.wrapping_add(number.wrapping_mul(stride)) as *const u8;
                    // SAFETY: By the caller; a row has room for the bytes.
                    unsafe { from.copy_to_nonoverlapping(row.as_mut_ptr().cast(), shape.row_bytes) };
                }
                self.start_row = 0;
                Ok(())
            }
            Instruction::Store(tile, memory) => {
                let (shape, (start, stride)) = (self.shape_in_memory(tile)?, place(memory));
                let rows = &self.tiles[usize::from(tile)];
                for (number, row) in rows.iter().enumerate().take(shape.rows).skip(self.start_row) {
                    let to = start.wrapping_add(number.wrapping_mul(stride)) as *mut u8;
                    // SAFETY: By the caller; a row has these bytes.
                    unsafe { to.copy_from_nonoverlapping(row.as_ptr().cast(), shape.row_bytes) };
                }
                self.start_row = 0;
                Ok(())
            }
            Instruction::Dot { factors, sum, a, b } => self.dot(factors, sum, a, b),
        }
    }

    fn configure(&mut self, bytes: [u8; 64]) -> Result<(), Refusal> {
        match bytes[0] {
            0 => {
                *self = Self::new();
                return Ok(());
            }
            1 => {}
            _ => return Err("#GP: a palette that does not exist"),
        }
        // Palette 1 has 8 tiles; the fields of 8 more are reserved.
        if bytes[2..16].iter().chain(&bytes[32..48]).chain(&bytes[56..]).any(|&byte| byte != 0) {
            return Err("#GP: a reserved byte of the configuration is not zero");
        }
        let mut shapes = [Shape::NONE; TILES];
        for (tile, shape) in shapes.iter_mut().enumerate() {
            let row_bytes = u16::from_le_bytes([bytes[16 + 2 * tile], bytes[17 + 2 * tile]]);
            *shape = Shape { rows: bytes[48 + tile].into(), row_bytes: row_bytes.into() };
            if shape.rows > ROWS || shape.row_bytes > 4 * WORDS {
                return Err("#GP: a tile of more than 16 rows or 64 bytes");
            }
            if (shape.rows == 0) != (shape.row_bytes == 0) {
                return Err("#GP: a tile with rows and without columns, or the other way round");
            }
        }
        *self = Self { is_configured: true, start_row: bytes[1].into(), shapes, ..Self::new() };
        Ok(())
    }

    fn shape(&self, tile: u8) -> Result<Shape, Refusal> {
        if !self.is_configured {
            return Err("#UD: the tiles are not configured");
        }
        match self.shapes.get(usize::from(tile)) {
            None => Err("#UD: a tile that the palette does not have"),
            Some(Shape { rows: 0, .. }) => Err("#UD: a tile that is not configured"),
            Some(shape) if shape.row_bytes % 4 != 0 => Err("#UD: rows that are not whole words"),
            Some(shape) => Ok(*shape),
        }
    }

    fn shape_in_memory(&self, tile: u8) -> Result<Shape, Refusal> {
        let shape = self.shape(tile)?;
        if self.start_row >= shape.rows { Err("#UD: the first row is behind the last") } else { Ok(shape) }
    }

    fn dot(&mut self, factors: Factors, sum: u8, a: u8, b: u8) -> Result<(), Refusal> {
        if sum == a || sum == b || a == b {
            return Err("#UD: one tile twice");
        }
        let [of_sum, of_a, of_b] = [self.shape(sum)?, self.shape(a)?, self.shape(b)?];
        if of_sum.rows != of_a.rows || of_sum.row_bytes != of_b.row_bytes || of_a.words() != of_b.rows {
            return Err("#UD: shapes that do not fit");
        }
        let [a, b] = [a, b].map(|tile| self.tiles[usize::from(tile)]);
        let sums = &mut self.tiles[usize::from(sum)];
        let (rows, columns) = (of_sum.rows, of_sum.words());
        for (sums, a) in sums.iter_mut().zip(&a[..rows]) {
            // Of each column, the words of `b` that meet those of a row of `a`.
            for (column, sum) in sums.iter_mut().enumerate().take(columns) {
                let pairs = a.iter().zip(&b[..of_b.rows]).map(|(&a, b)| (a, b[column]));
                *sum = match factors {
                    Factors::Bf16 => bf16(*sum, pairs),
                    Factors::Int8 { a_is_signed, b_is_signed } => int8(*sum, pairs, a_is_signed, b_is_signed),
                };
            }
            sums[columns..].fill(0);
        }
        sums[rows..].fill([0; WORDS]);
        self.start_row = 0;
        Ok(())
    }
}

/// The products of the lower halves and those of the upper halves are summed by themselves, by fused multiply-adds, then
/// together, then with what was there: all to nearest with ties to even. Subnormal numbers are zeros, on the way in and out.
fn bf16(sum: u32, pairs: impl Iterator<Item = (u32, u32)>) -> u32 {
    let [mut lower, mut upper] = [0.0_f32; 2];
    for (a, b) in pairs {
        let half = |word: u32, shift: u32| normal(f32::from_bits(word << shift & 0xffff_0000));
        lower = normal(half(a, 16).mul_add(half(b, 16), lower));
        upper = normal(half(a, 0).mul_add(half(b, 0), upper));
    }
    normal(normal(f32::from_bits(sum)) + normal(lower + upper)).to_bits()
}

/// Zero of the same sign for a subnormal number.
fn normal(number: f32) -> f32 {
    if number.is_subnormal() { 0.0_f32.copysign(number) } else { number }
}

/// The sum wraps; four products alone cannot.
fn int8(sum: u32, pairs: impl Iterator<Item = (u32, u32)>, a_is_signed: bool, b_is_signed: bool) -> u32 {
    let extend = |byte: u8, is_signed: bool| if is_signed { i32::from(byte as i8) } else { i32::from(byte) };
    pairs.fold(sum, |sum, (a, b)| {
        let products = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
        let dot: i32 = products.map(|(a, b)| extend(a, a_is_signed) * extend(b, b_is_signed)).sum();
        sum.wrapping_add_signed(dot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight tiles: whole ones, but for tile 1 of 3 rows and 8 bytes, 2 of 2 rows and 8 bytes, 3 of 3 rows, and 7, which is
    /// none.
    fn configuration() -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        for (tile, (rows, row_bytes)) in
            [(16, 64), (3, 8), (2, 8), (3, 8), (16, 64), (16, 64), (16, 6), (0, 0)].into_iter().enumerate()
        {
            bytes[16 + 2 * tile] = row_bytes;
            bytes[48 + tile] = rows;
        }
        bytes
    }

    fn unit() -> Unit {
        let mut unit = Unit::new();
        unit.configure(configuration()).unwrap();
        unit
    }

    /// What the unit answers to an instruction whose memory is `bytes`, rows 8 bytes apart.
    fn run(unit: &mut Unit, instruction: Instruction, bytes: &mut [u8]) -> Result<(), Refusal> {
        let start = bytes.as_mut_ptr() as usize;
        // SAFETY: The tests give as much memory as there is in the tile.
        unsafe { unit.run(&instruction, |_| (start, 8)) }
    }

    const MEMORY: Memory = Memory { base: 0, index: Some(1), scale: 0, displacement: 0 };

    fn dot(sum: u8, a: u8, b: u8) -> Instruction {
        Instruction::Dot { factors: Factors::Bf16, sum, a, b }
    }

    #[test]
    fn a_configuration_that_a_processor_refuses_is_refused() {
        for (place, byte) in [(0, 2), (5, 1), (32, 1), (56, 1), (48, 17), (16, 68), (17, 1), (48, 0), (16, 0), (63, 1)]
        {
            let mut bytes = configuration();
            bytes[place] = byte;
            assert!(Unit::new().configure(bytes).is_err(), "byte {place} is {byte}");
        }
        let mut unit = unit();
        unit.configure([0; 64]).unwrap();
        assert!(!unit.is_configured());
    }

    #[test]
    fn instructions_that_a_processor_refuses_are_refused() {
        let refused = [
            (dot(0, 4, 4), "#UD: one tile twice"),
            (dot(4, 4, 0), "#UD: one tile twice"),
            (dot(0, 4, 7), "#UD: a tile that is not configured"),
            (dot(0, 4, 8), "#UD: a tile that the palette does not have"),
            (dot(0, 4, 1), "#UD: shapes that do not fit"),
            (dot(2, 1, 3), "#UD: shapes that do not fit"),
            (dot(0, 4, 6), "#UD: rows that are not whole words"),
            (Instruction::Zero(7), "#UD: a tile that is not configured"),
            (Instruction::Load(6, MEMORY), "#UD: rows that are not whole words"),
            (Instruction::Store(8, MEMORY), "#UD: a tile that the palette does not have"),
        ];
        for (instruction, refusal) in refused {
            assert_eq!(run(&mut unit(), instruction, &mut []), Err(refusal), "{instruction:?}");
            if !matches!(instruction, Instruction::Dot { sum, a, b, .. } if sum == a || a == b) {
                let error = run(&mut Unit::new(), instruction, &mut []);
                assert_eq!(error, Err("#UD: the tiles are not configured"), "{instruction:?}");
            }
        }
        let mut late = configuration();
        late[1] = 3;
        let mut unit = Unit::new();
        unit.configure(late).unwrap();
        assert_eq!(
            run(&mut unit, Instruction::Load(1, MEMORY), &mut [0; 24]),
            Err("#UD: the first row is behind the last")
        );
    }

    #[test]
    fn tiles_keep_what_is_loaded_and_zeros_beside_it() {
        let mut unit = unit();
        unit.tiles[1] = [[7; WORDS]; ROWS];
        let mut bytes: [u8; 24] = std::array::from_fn(|i| i as u8);
        run(&mut unit, Instruction::Load(1, MEMORY), &mut bytes).unwrap();
        assert_eq!(unit.tiles[1][2][..3], [0x1312_1110, 0x1716_1514, 0]);
        assert_eq!(unit.tiles[1][3], [0; WORDS]);
        let mut copy = [0; 24];
        run(&mut unit, Instruction::Store(1, MEMORY), &mut copy).unwrap();
        assert_eq!(copy, bytes);
        run(&mut unit, Instruction::Zero(1), &mut []).unwrap();
        assert_eq!(unit.tiles[1][2], [0; WORDS]);
        run(&mut unit, Instruction::Release, &mut []).unwrap();
        assert!(!unit.is_configured());
    }

    fn pair(lower: f32, upper: f32) -> u32 {
        lower.to_bits() >> 16 | upper.to_bits() & 0xffff_0000
    }

    #[test]
    fn products_of_bf16_are_those_of_their_definition() {
        let mut unit = unit();
        // [3, 2 pairs] by [2 pairs, 2].
        unit.tiles[1][..3].copy_from_slice(
            &[[1.0, 2.0], [3.0, 4.0], [-5.0, 6.0]]
                .map(|[x, y]| std::array::from_fn(|word| if word < 2 { pair(x + 10.0 * word as f32, y) } else { 9 })),
        );
        unit.tiles[2][0][..2].copy_from_slice(&[pair(1.0, -1.0), pair(0.5, 2.0)]);
        unit.tiles[2][1][..2].copy_from_slice(&[pair(3.0, 7.0), pair(-2.0, 1.0)]);
        unit.tiles[3] = [[1.0_f32.to_bits(); WORDS]; ROWS];
        run(&mut unit, dot(3, 1, 2), &mut []).unwrap();
        let row = |row: usize| unit.tiles[3][row].map(f32::from_bits);
        // 1 + 1·1 + 2·(-1) + 11·3 + 2·7, and so on.
        assert_eq!(row(0)[..3], [47.0, 1.0 + 0.5 + 4.0 - 22.0 + 2.0, 0.0]);
        assert_eq!(row(1)[..2], [1.0 + 3.0 - 4.0 + 39.0 + 28.0, 1.0 + 1.5 + 8.0 - 26.0 + 4.0]);
        assert_eq!(row(2)[..2], [1.0 - 5.0 - 6.0 + 15.0 + 42.0, 1.0 - 2.5 + 12.0 - 10.0 + 6.0]);
        assert_eq!(row(3), [0.0; WORDS]);
    }

    #[test]
    fn halves_are_summed_apart_and_what_is_subnormal_is_zero() {
        let sum = |sum: f32, pairs: &[(u32, u32)]| f32::from_bits(bf16(sum.to_bits(), pairs.iter().copied()));
        // 2^24 and 1 would meet in one sum of `f32`, and 1 be lost twice; here the ones meet first.
        let (big, one) = ((1_u32 << 24) as f32, 1.0);
        assert_eq!(sum(0.0, &[(pair(big, one), pair(1.0, 1.0)), (pair(0.0, one), pair(1.0, 1.0))]), big + 2.0);
        let (tiny, least) = (f32::from_bits(0x0001_0000), f32::MIN_POSITIVE);
        assert_eq!(sum(0.0, &[(pair(tiny, 0.0), pair(2.0_f32.powi(100), 0.0))]), 0.0);
        assert_eq!(sum(0.0, &[(pair(least, 0.0), pair(0.5, 0.0))]), 0.0);
        assert_eq!(sum(least, &[(pair(0.0, 0.0), pair(0.0, 0.0))]), least);
        assert_eq!(sum(least / 2.0, &[(pair(0.0, 0.0), pair(0.0, 0.0))]), 0.0);
        assert!(sum(0.0, &[(pair(f32::INFINITY, 0.0), pair(0.0, 0.0))]).is_nan());
    }

    #[test]
    fn products_of_bytes_have_the_signs_that_the_instruction_says() {
        let (a, b) = (u32::from_le_bytes([255, 1, 2, 3]), u32::from_le_bytes([128, 10, 20, 30]));
        let sum = |a_is_signed, b_is_signed| int8(5, [(a, b)].into_iter(), a_is_signed, b_is_signed) as i32;
        let rest = 5 + 10 + 40 + 90;
        assert_eq!(sum(true, true), rest + 128);
        assert_eq!(sum(true, false), rest - 128);
        assert_eq!(sum(false, true), rest - 255 * 128);
        assert_eq!(sum(false, false), rest + 255 * 128);
    }
}

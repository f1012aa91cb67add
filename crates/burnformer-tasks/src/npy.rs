//! Vectors as a `.npy` file.

use std::io::{self, Write};

/// Writes rows of `columns` numbers in the npy format, version 1.0.
///
/// # Errors
/// If the system refuses.
pub fn write_npy(rows: &[Vec<f32>], columns: usize, mut out: impl Write) -> io::Result<()> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {columns}), }}", rows.len());
    // What comes before the numbers ends with a line break at a multiple of 64 bytes.
    let before = MAGIC.len() + 2 + header.len() + 1;
    header.push_str(&" ".repeat(before.next_multiple_of(64) - before));
    header.push('\n');
    out.write_all(MAGIC)?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    rows.iter().flatten().try_for_each(|x| out.write_all(&x.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are those of `numpy.save(f, numpy.array([[1, 2, 3], [-1, 0, 0.5]], dtype="<f4"))`, numpy 2.4.6.
    #[test]
    fn numpy_writes_the_same_bytes() {
        let mut found = Vec::new();
        write_npy(&[vec![1.0, 2.0, 3.0], vec![-1.0, 0.0, 0.5]], 3, &mut found).unwrap();
        let mut expected =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        for word in [0x3f80_0000_u32, 0x4000_0000, 0x4040_0000, 0xbf80_0000, 0, 0x3f00_0000] {
            expected.extend(word.to_le_bytes());
        }
        assert_eq!(found, expected);
    }
}

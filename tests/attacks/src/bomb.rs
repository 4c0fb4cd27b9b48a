//! A small gzip stream that unpacks to a large one.

use flate2::{Compress, Compression, FlushCompress};

const MEBIBYTE: usize = 1024 * 1024;
/// The most bytes of one packed mebibyte of zeros.
const BLOCK_BYTES_MAX: usize = 16 * 1024;
/// A header without a name or time, for any system (RFC 1952).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Returns a gzip stream of this many mebibytes of zeros, about a thousandth of that in size. Its
/// checksum is wrong, since nobody should read that far.
#[must_use]
pub fn gzip_bomb(mebibytes: usize) -> Vec<u8> {
    let mut packer = Compress::new(Compression::best(), false);
    let mut block = Vec::with_capacity(BLOCK_BYTES_MAX);
    // A block that refers to nothing before it may be repeated.
    packer
        .compress_vec(&vec![0; MEBIBYTE], &mut block, FlushCompress::Full)
        .unwrap();
    let mut bomb = GZIP_HEAD.to_vec();
    bomb.extend(block.repeat(mebibytes));
    // The stream ends with an empty last block and no checksum.
    bomb.extend([3, 0]);
    bomb.extend([0; 8]);
    bomb
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_bomb_unpacks_to_what_it_says() {
        let bomb = gzip_bomb(3);
        assert!(bomb.len() < BLOCK_BYTES_MAX);
        let mut unpacked = vec![1; 3 * MEBIBYTE];
        let mut reader = flate2::read::GzDecoder::new(bomb.as_slice());
        reader.read_exact(&mut unpacked).unwrap();
        assert!(unpacked.iter().all(|byte| *byte == 0));
    }
}

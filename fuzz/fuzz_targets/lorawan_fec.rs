//! Forward error correction: honest fragments in any order, with any losses, give the block or ask
//! for more; forged ones do no harm beyond a wrong block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorawan_frame::package::Version;
use lorawan_frame::package::fragmentation::{Decoder, Parity, Progress};

fuzz_target!(|data: &[u8]| {
    let Some((&[mode, nb_frag, frag_size, max_lost], rest)) = data.split_first_chunk() else {
        return;
    };
    let version = if mode & 1 == 0 { Version::V1 } else { Version::V2 };
    let honest = mode & 2 == 0;
    let (nb_frag, frag_size) = (u16::from(nb_frag % 100) + 1, frag_size % 16 + 1);
    let max_lost = u16::from(max_lost % 100);
    let parity = Parity::new(version, nb_frag, frag_size).expect("in range");
    let block: Vec<u8> =
        rest.iter().copied().chain((0..=255).cycle()).take(parity.block_len()).collect();

    let mut received = vec![0; parity.block_len()];
    let mut scratch = vec![0; Decoder::scratch_len(nb_frag, frag_size, max_lost)];
    let mut decoder =
        Decoder::new(parity, max_lost, &mut received, &mut scratch).expect("room enough");
    let mut fragment = vec![0; usize::from(frag_size)];
    for pair in rest.chunks_exact(2) {
        // Numbers near the block: that is where fragments matter.
        let n = u16::from_le_bytes([pair[0], pair[1]]) % (3 * nb_frag + 20);
        if !parity.fragment(&block, n, &mut fragment) {
            assert_eq!(n, 0);
        }
        if !honest {
            fragment.fill(pair[0]);
        }
        let before = decoder.missing();
        let Ok(progress) = decoder.receive(n, &fragment) else { continue };
        match progress {
            Progress::Complete => break,
            Progress::Missing(now) => assert!(now > 0 && now <= before),
            Progress::TooManyLost(now) => assert!(now > max_lost && now == before),
        }
    }
    if let (true, Some(complete)) = (honest, decoder.block()) {
        assert_eq!(complete, block);
    }
});

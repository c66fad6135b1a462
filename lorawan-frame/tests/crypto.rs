//! Our CMAC and key stream against the `cmac` crate and against the definitions, and the default
//! methods of the key-handle trait against the software keys.

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use cmac::{Cmac, KeyInit, Mac};
use lorawan_frame::{
    AppSKey, BatchFrame, Block, Context, Data, DataFrame, DevAddr, Direction, Error, ErrorKind,
    ExpandedKey, FNwkSIntKey, Key, KeyHandle, NetworkKeys, NwkSEncKey, NwkSKey, SNwkSIntKey,
    ServerKeyHandle, SessionKeys, verify_batch,
};
use proptest::prelude::*;

/// A key store that can only encrypt: everything else is the trait's.
struct Device(ExpandedKey);

impl KeyHandle for Device {
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        self.0.encrypt(blocks)
    }
}

/// A key store that has lost its key.
struct Broken;

impl KeyHandle for Broken {
    fn encrypt(&self, _: &mut [Block]) -> Result<(), Error> {
        Err(Error::key_fault(7))
    }
}

proptest! {
    #[test]
    fn cmac_is_that_of_rfc_4493_for_every_length(
        key: [u8; 16],
        head: Option<[u8; 16]>,
        message in proptest::collection::vec(any::<u8>(), 0..=255),
    ) {
        let mut reference = <Cmac<Aes128> as KeyInit>::new(&key.into());
        reference.update(&head.map(Vec::from).unwrap_or_default());
        reference.update(&message);
        let expected: Block = reference.finalize().into_bytes().into();

        let key = Key::new(key);
        for tag in [
            key.cmac(head.as_ref(), &message),
            key.expand().cmac(head.as_ref(), &message),
            key.expand_server().cmac(head.as_ref(), &message),
            Device(key.expand()).cmac(head.as_ref(), &message),
        ] {
            prop_assert_eq!(tag, Ok(expected));
        }
    }

    #[test]
    fn cmac_of_a_short_message_is_that_of_its_bytes(
        key: [u8; 16],
        head: Option<[u8; 16]>,
        last: [u8; 16],
        len in 0..=16usize,
    ) {
        let key = Key::new(key);
        let expected = key.cmac(head.as_ref(), &last[..len]);
        let (expanded, server) = (key.expand(), key.expand_server());
        let device = Device(key.expand());
        let forms: [&dyn KeyHandle; 5] = [&key, &expanded, &server, &device, &&expanded];
        for form in forms {
            prop_assert_eq!(form.cmac_short(head.as_ref(), &last, len), expected);
        }
    }

    #[test]
    fn the_key_stream_counts_in_the_last_byte_for_every_length(
        key: [u8; 16],
        first: [u8; 16],
        message in proptest::collection::vec(any::<u8>(), 0..=255),
    ) {
        let key = Key::new(key);
        let mut expected = message.clone();
        for (i, chunk) in (0u8..).zip(expected.chunks_mut(16)) {
            let mut block = first;
            block[15] = block[15].wrapping_add(i);
            key.encrypt(core::slice::from_mut(&mut block)).unwrap();
            chunk.iter_mut().zip(block).for_each(|(byte, stream)| *byte ^= stream);
        }
        let device = Device(key.expand());
        let (expanded, server) = (key.expand(), key.expand_server());
        let forms: [&dyn KeyHandle; 4] = [&key, &expanded, &server, &device];
        for form in forms {
            let mut output = vec![0; message.len()];
            form.xor_key_stream(&first, &message, &mut output).unwrap();
            prop_assert_eq!(&output, &expected);
        }
    }

    #[test]
    fn decryption_undoes_encryption(
        key: [u8; 16],
        blocks in proptest::collection::vec(any::<[u8; 16]>(), 0..=9),
    ) {
        let key = Key::new(key);
        let mut changed = blocks.clone();
        key.encrypt(&mut changed).unwrap();
        let mut reference = blocks.clone();
        for block in &mut reference {
            Aes128::new(&(*key.expose()).into()).encrypt_block(block.into());
        }
        prop_assert_eq!(&changed, &reference);
        key.expand_server().decrypt(&mut changed).unwrap();
        prop_assert_eq!(&changed, &blocks);
        key.expand_server().encrypt(&mut changed).unwrap();
        prop_assert_eq!(&changed, &reference);
        key.decrypt(&mut changed).unwrap();
        prop_assert_eq!(&changed, &blocks);
    }
}

#[test]
fn a_failing_key_store_is_reported_and_not_taken_for_a_wrong_mic() {
    let keys = SessionKeys::v1_0(NwkSKey::new([1; 16]), AppSKey::new([2; 16]));
    let data = Data { fport: Some(1), frm_payload: b"x", ..Data::up(DevAddr::new(1), 1) };
    let mut buf = [0; 32];
    let built = data.build_into(&keys, &mut buf).unwrap();
    let broken =
        SessionKeys { network: NetworkKeys::V1_0(NwkSKey(Broken)), app_s_key: AppSKey(Broken) };
    let mut clear = [0; 32];
    let error = DataFrame::parse(built).unwrap().open(&broken, 1, &mut clear).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyFault(7));
}

proptest! {
    #[test]
    fn a_batch_gives_the_verdict_of_each_frame(
        frames in proptest::collection::vec(
            (any::<[u8; 16]>(), any::<bool>(), any::<bool>(), prop_oneof![0..230usize, 120..230usize], any::<u32>(), 0..8u8),
            0..14,
        ),
    ) {
        let context = Context { conf_fcnt: 5, tx_dr: 3, tx_ch: 2, ..Context::default() };
        let mut built = Vec::new();
        for (key, v1_1, up, len, fcnt, damage) in frames {
            let network = if v1_1 {
                NetworkKeys::V1_1 {
                    f_nwk_s_int_key: FNwkSIntKey::new(key),
                    s_nwk_s_int_key: SNwkSIntKey::new([key[0]; 16]),
                    nwk_s_enc_key: NwkSEncKey::new([9; 16]),
                }
            } else {
                NetworkKeys::V1_0(NwkSKey::new(key))
            };
            let keys = SessionKeys { network, app_s_key: AppSKey::new([2; 16]) };
            let payload = vec![0x5a; len];
            let data = Data { fport: Some(1), frm_payload: &payload, ..Data::up(DevAddr::new(1), fcnt) };
            let direction = if up { Direction::Up } else { Direction::Down };
            let data = Data { direction, ..data };
            let mut buf = [0; 255];
            let bytes = data.build_with(&keys, &context, &mut buf).unwrap();
            // A damaged byte, or another counter.
            if damage == 0 {
                bytes[9] ^= 1;
            }
            let fcnt = if damage == 1 { fcnt ^ 1 } else { fcnt };
            built.push((bytes.to_vec(), keys.network.expand(), fcnt));
        }
        let frames: Vec<_> = built
            .iter()
            .map(|(bytes, keys, fcnt)| BatchFrame {
                frame: DataFrame::parse(bytes).unwrap(),
                keys,
                fcnt: *fcnt,
                context,
            })
            .collect();
        let mut verdicts = Vec::new();
        verify_batch(&frames, |i, verdict| {
            assert_eq!(i, verdicts.len(), "in order");
            verdicts.push(verdict);
        });
        let one_by_one: Vec<_> =
            frames.iter().map(|f| f.frame.verify(f.keys, f.fcnt, &f.context)).collect();
        prop_assert_eq!(verdicts, one_by_one);
    }
}

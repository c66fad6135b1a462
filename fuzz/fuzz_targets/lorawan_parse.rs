//! PHYPayloads: any bytes are a frame or refused; a data frame re-signed and opened builds to the
//! bytes it came from, but for reserved bits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorawan_frame::{
    AppSKey, Context, DataFrame, ErrorKind, FNwkSIntKey, NetworkKeys, NwkSEncKey, NwkSKey,
    PhyPayload, SNwkSIntKey, SessionKeys, open_in_place,
};

fn keys(v1_1: bool) -> SessionKeys {
    let network = if v1_1 {
        NetworkKeys::V1_1 {
            f_nwk_s_int_key: FNwkSIntKey::new([1; 16]),
            s_nwk_s_int_key: SNwkSIntKey::new([2; 16]),
            nwk_s_enc_key: NwkSEncKey::new([3; 16]),
        }
    } else {
        NetworkKeys::V1_0(NwkSKey::new([1; 16]))
    };
    SessionKeys { network, app_s_key: AppSKey::new([4; 16]) }
}

fuzz_target!(|data: &[u8]| {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let Ok(PhyPayload::Data(frame)) = PhyPayload::parse(bytes) else { return };
    assert!((12..=255).contains(&bytes.len()));
    let (keys, context) = (keys(selector & 1 != 0), Context::default());
    let fcnt = u32::from(selector) << 16 | u32::from(frame.fcnt);
    let mic = frame.compute_mic(&keys.network, fcnt, &context).expect("counter fits");

    let mut signed = bytes.to_vec();
    let end = signed.len() - 4;
    signed[end..].copy_from_slice(&mic);
    let frame = DataFrame::parse(&signed).expect("same shape");
    let mut clear = [0; 255];
    let opened = frame.open_with(&keys, fcnt, &context, &mut clear).expect("right MIC");
    let mut in_place = signed.clone();
    assert_eq!(open_in_place(&mut in_place, &keys, fcnt, &context), Ok(opened));

    let mut built = [0; 255];
    let built = opened.build_with(&keys, &context, &mut built).expect("was read");
    assert_eq!(built.len(), signed.len());
    // Reserved: bits 4 to 2 of the MHDR, bit 6 of a downlink's FCtrl.
    let reserved = signed[0] & 0x1c != 0 || built[5] != signed[5];
    assert!(reserved || built == signed);

    signed[end] ^= 1;
    let altered = DataFrame::parse(&signed).expect("same shape");
    let error = altered.open_with(&keys, fcnt, &context, &mut clear).expect_err("wrong MIC");
    assert_eq!(error.kind(), ErrorKind::Mic);
});

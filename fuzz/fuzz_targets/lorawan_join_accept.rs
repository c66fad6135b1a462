//! Join-accepts: any bytes are one or refused; any decrypted body that parses builds, and opens
//! again to the same with both forms of the MIC.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorawan_frame::{
    AppKey, EncryptedJoinAccept, JoinAccept, JoinContext, JoinReqType, JsIntKey, NwkKey,
};

fuzz_target!(|data: &[u8]| {
    let (app_key, nwk_key) = (AppKey::new([1; 16]), NwkKey::new([2; 16]));
    if let Ok(received) = EncryptedJoinAccept::parse(data) {
        let decrypted = received.decrypt(&app_key).expect("software keys do not fail");
        assert_eq!(decrypted.bytes().len(), data.len());
        decrypted.unverified().expect("the length was checked");
        assert_eq!(received.open(&app_key).is_ok(), decrypted.verify(&app_key).is_ok());
    }
    let Ok(mut accept) = JoinAccept::parse_body(data) else { return };
    let mut buf = [0; 33];
    accept.dl_settings.opt_neg = false;
    let built = accept.build_into(&app_key, &mut buf).expect("was read");
    let received = EncryptedJoinAccept::parse(built).expect("own frame");
    assert_eq!(received.open(&app_key), Ok(accept));

    accept.dl_settings.opt_neg = true;
    let int_key = JsIntKey::new([3; 16]);
    let context = JoinContext { request: JoinReqType::Join, join_eui: 5.into(), nonce: 6 };
    let built = accept.build_v1_1(&int_key, &nwk_key, &context, &mut buf).expect("was read");
    let received = EncryptedJoinAccept::parse(built).expect("own frame");
    assert!(received.open(&nwk_key).is_err(), "the MIC of 1.0 does not fit");
    let decrypted = received.decrypt(&nwk_key).expect("software keys do not fail");
    assert_eq!(decrypted.verify_v1_1(&int_key, &context), Ok(accept));
});

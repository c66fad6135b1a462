//! Semtech UDP: any datagram is refused or understood, and what was understood survives writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorawan_frame::gwmp::{Body, Datagram};

fuzz_target!(|data: &[u8]| {
    let Ok(datagram) = Datagram::parse(data) else { return };
    if let Body::PushData { content, .. } = &datagram.body {
        for packet in &content.rxpk {
            let _ = (packet.frequency_hz(), packet.data_rate(), packet.best_signal());
        }
    }
    // Version 1 has no TX_ACK to write; everything else that was read can be.
    match datagram.to_bytes() {
        Ok(bytes) => assert_eq!(Datagram::parse(&bytes).expect("own bytes"), datagram),
        Err(_) => assert_eq!(datagram.version, 1),
    }
});

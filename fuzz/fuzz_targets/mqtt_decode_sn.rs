//! MQTT-SN 1.2: any datagram is refused or understood, and what was understood survives writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_codec::{Sender, sn};

fuzz_target!(|data: &[u8]| {
    for sender in [Sender::Client, Sender::Server, Sender::Either] {
        let rules = sn::Rules::new(sender);
        let tree = rules.tree(data);
        let mut shown = 0;
        tree.fields(|field| shown += usize::from(field.mask == 0xFF) * field.bytes.len());
        assert_eq!(shown, data.len(), "each octet is in one field");
        match rules.decode(data) {
            Ok(datagram) => {
                let mut octets = Vec::new();
                let len = rules
                    .encode_to_vec(&datagram, &mut octets)
                    .expect("what is read can be written");
                assert!(len <= data.len());
                assert_eq!(rules.decode(&octets), Ok(datagram));
            }
            Err(error) => assert!(usize::from(error.offset) <= data.len()),
        }
    }
});

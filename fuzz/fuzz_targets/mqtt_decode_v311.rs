//! MQTT 3.1.1: any bytes are refused, waited for or understood; what was understood survives writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_codec::Version;

fuzz_target!(|data: &[u8]| motewire_fuzz::mqtt::decode_all(Version::V311, data));

//! Packets written by other rules than they were read by: another version, side, policy or limit.
//! What is written is read by those rules, and written again as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use motewire_fuzz::mqtt::rules;
use mqtt_codec::{Rules, Sender, Version};

fuzz_target!(|data: &[u8]| {
    let Some((choices, data)) = data.split_first_chunk::<4>() else { return };
    let versions = [Version::V311, Version::V5, Version::V31, Version::V5];
    let from = Rules::new(versions[usize::from(choices[0] & 3)], Sender::Either);
    let to = rules(versions[usize::from(choices[1] & 3)], [choices[2], choices[3]]);
    let Ok(Some(packet)) = from.decode(&mut &*data) else { return };
    let mut first = Vec::new();
    if to.encode_to_vec(&packet, &mut first).is_err() {
        assert!(first.is_empty());
        return;
    }
    assert!(first.len() <= to.max_packet_size as usize);
    let read = to.decode(&mut &first[..]).expect("what is written is good").expect("and whole");
    let mut again = Vec::new();
    to.encode_to_vec(&read, &mut again).expect("what is read can be written");
    assert_eq!(first, again);
});

//! Application packages: any payload is a list of commands up to the first that is refused, and
//! every command that was read is written to a form that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorawan_frame::package::{
    self, Message, Version, clock_sync, firmware, fragmentation, multicast,
};

fn check<'a, M: Message<'a> + PartialEq + core::fmt::Debug>(
    payload: &'a [u8],
    version: Version,
    buf: &'a mut [u8],
) {
    let mut room = buf;
    for command in package::commands::<M>(payload, version) {
        let Ok(command) = command else { return };
        let len = command.encoded_len().expect("was read");
        assert!(len <= payload.len());
        let Some((own, rest)) = core::mem::take(&mut room).split_at_mut_checked(len) else {
            return;
        };
        room = rest;
        let built = command.build_into(own).expect("measured");
        let (again, after) = M::parse(built, version).expect("own bytes");
        assert_eq!(again, command);
        assert!(after.is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&selector, payload)) = data.split_first() else { return };
    let version = if selector & 1 == 0 { Version::V1 } else { Version::V2 };
    let mut buf = vec![0; payload.len()];
    match selector >> 1 & 7 {
        0 => check::<clock_sync::Uplink>(payload, version, &mut buf),
        1 => check::<clock_sync::Downlink>(payload, version, &mut buf),
        2 => check::<firmware::Uplink>(payload, version, &mut buf),
        3 => check::<firmware::Downlink>(payload, version, &mut buf),
        4 => check::<multicast::Uplink>(payload, version, &mut buf),
        5 => check::<multicast::Downlink>(payload, version, &mut buf),
        6 => check::<fragmentation::Uplink>(payload, version, &mut buf),
        _ => check::<fragmentation::Downlink<'_>>(payload, version, &mut buf),
    }
});

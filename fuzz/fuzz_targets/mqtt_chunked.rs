//! A stream in pieces of any size gives the same packets and the same verdict as all at once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use motewire_fuzz::mqtt::{at_once, in_pieces, rules};
use mqtt_codec::Version;

fuzz_target!(|data: &[u8]| {
    let Some(([version, choice, size, step], data)) = data.split_first_chunk::<4>() else { return };
    let version = if version & 1 == 0 { Version::V311 } else { Version::V5 };
    let rules = rules(version, [*choice, *size]);
    let expected = at_once(rules, data);
    // Pieces of one size, and of sizes that the data itself gives.
    let found = in_pieces(rules, data.chunks(usize::from(*step).max(1)));
    agree(&found, &expected);
    let mut rest = data;
    let uneven = core::iter::from_fn(move || {
        let len = usize::from(*rest.first()? % 7 + 1).min(rest.len());
        let (piece, behind) = rest.split_at(len);
        rest = behind;
        Some(piece)
    });
    agree(&in_pieces(rules, uneven), &expected);
});

/// In pieces a bad packet may be refused before it is all there: then all of it is never waited for.
fn agree(found: &motewire_fuzz::mqtt::Outcome, expected: &motewire_fuzz::mqtt::Outcome) {
    assert_eq!(found.0, expected.0);
    if expected.1.is_some() {
        assert_eq!(found.1, expected.1);
    }
}

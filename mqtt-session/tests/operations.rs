//! Any sequence of operations and bytes, on both roles: see `operations/mod.rs` for what must hold.

#[path = "operations/mod.rs"]
mod operations;

use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_operation_breaks_a_session(data in vec(any::<u8>(), 0..400)) {
        operations::run(&data);
    }

    #[test]
    fn connected_sessions_bear_whatever_comes(
        flags in any::<u8>(),
        connect in vec(any::<u8>(), 2),
        steps in vec((0_u8..14, any::<u8>(), any::<u8>()), 0..150),
    ) {
        let mut data = vec![flags, 9];
        data.extend(connect);
        data.extend(steps.into_iter().flat_map(|(step, one, two)| [step, one, two]));
        operations::run(&data);
    }
}

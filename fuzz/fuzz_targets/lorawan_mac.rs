//! MAC commands: any list is read up to the first command that is refused, and what was read is
//! written to a form that reads the same; and whatever can be built reads back as it was.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use lorawan_frame::{Dialect, Direction, ErrorKind, MacCommand, MacCommands};

fuzz_target!(|data: &[u8]| {
    let Some((&selector, list)) = data.split_first() else { return };
    let direction = if selector & 1 == 0 { Direction::Up } else { Direction::Down };
    let mut dialect = Dialect::default();
    dialect.force_rejoin_big_endian = selector & 2 != 0;
    dialect.ping_slot_info_v1_0_2 = selector & 4 != 0;
    let mut commands = MacCommands::with_dialect(direction, list, dialect);
    let mut written = Vec::new();
    let mut read = Vec::new();
    for command in commands.by_ref() {
        match command {
            Ok(command) => {
                let mut buf = vec![0; command.wire_len()];
                written.extend_from_slice(command.build_with(dialect, &mut buf).expect("was read"));
                read.push(command);
            }
            Err(error) => assert!(error.offset() < list.len()),
        }
    }
    assert!(commands.next().is_none());
    assert_eq!(written.len() + commands.rest().len(), list.len());
    let again: Vec<_> =
        MacCommands::with_dialect(direction, &written, dialect).map(Result::unwrap).collect();
    assert_eq!(again, read);

    let Ok(command) = MacCommand::arbitrary(&mut Unstructured::new(list)) else { return };
    let mut buf = vec![0; command.wire_len()];
    // Its bytes do not say that they are of 1.0.2.
    let old = matches!(command, MacCommand::PingSlotInfoReqV1_0_2 { .. });
    dialect.ping_slot_info_v1_0_2 = old;
    match command.build_with(dialect, &mut buf) {
        Ok(bytes) => {
            let direction = command.direction().unwrap_or(direction);
            let read = MacCommands::with_dialect(direction, bytes, dialect).next();
            assert_eq!(read, Some(Ok(command)));
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::OutOfRange { .. } | ErrorKind::UnknownCid(_)))
        }
    }
});

//! MAC commands: any list is read up to the first command that is refused, and what was read is
//! written to a form that reads the same; and whatever can be built reads back as it was.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use lorawan_frame::{Direction, ErrorKind, MacCommand, MacCommands};

fuzz_target!(|data: &[u8]| {
    let Some((&selector, list)) = data.split_first() else { return };
    let direction = if selector & 1 == 0 { Direction::Up } else { Direction::Down };
    let mut commands = MacCommands::new(direction, list);
    let mut written = Vec::new();
    let mut read = Vec::new();
    for command in commands.by_ref() {
        match command {
            Ok(command) => {
                let mut buf = vec![0; command.wire_len()];
                written.extend_from_slice(command.build_into(&mut buf).expect("was read"));
                read.push(command);
            }
            Err(error) => assert!(error.offset() < list.len()),
        }
    }
    assert!(commands.next().is_none());
    assert_eq!(written.len() + commands.rest().len(), list.len());
    let again: Vec<_> = MacCommands::new(direction, &written).map(Result::unwrap).collect();
    assert_eq!(again, read);

    let Ok(command) = MacCommand::arbitrary(&mut Unstructured::new(list)) else { return };
    let mut buf = vec![0; command.wire_len()];
    match command.build_into(&mut buf) {
        Ok(bytes) => {
            let direction = command.direction().unwrap_or(direction);
            assert_eq!(MacCommands::new(direction, bytes).next(), Some(Ok(command)));
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::OutOfRange { .. } | ErrorKind::UnknownCid(_)))
        }
    }
});

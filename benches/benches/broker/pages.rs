//! Bytes in pages of the kernel that many sockets refer to, so that none of them needs a copy.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice, tee,
};

/// The bytes that go to many, and a way to each of them.
pub(crate) struct Pages {
    bytes: (OwnedFd, OwnedFd),
    way: (OwnedFd, OwnedFd),
    nowhere: File,
    size: usize,
}

impl Pages {
    /// `None` where the system has no such thing.
    pub(crate) fn new() -> Option<Self> {
        let pipe = || {
            let (rx, tx) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            let _ = fcntl_setpipe_size(&tx, 1024 * 1024);
            Some((rx, tx))
        };
        let (bytes, way) = (pipe()?, pipe()?);
        let nowhere = File::options().write(true).open("/dev/null").ok()?;
        let size = fcntl_getpipe_size(&way.1).ok()?;
        Some(Self { bytes, way, nowhere, size })
    }

    /// Takes these bytes, if there is room for them.
    pub(crate) fn take(&self, bytes: &[u8]) -> bool {
        bytes.len() <= self.size
            && rustix::io::write(&self.bytes.1, bytes).is_ok_and(|len| len == bytes.len())
    }

    /// Sends so many bytes, all there are; how many the socket has taken.
    pub(crate) fn send(&self, socket: &impl AsFd, len: usize) -> usize {
        if tee(&self.bytes.0, &self.way.1, len, SpliceFlags::NONBLOCK).ok() != Some(len) {
            return 0;
        }
        let taken = pass(&self.way.0, socket, len);
        pass(&self.way.0, &self.nowhere, len - taken);
        taken
    }

    /// All have had them.
    pub(crate) fn clear(&self, len: usize) {
        pass(&self.bytes.0, &self.nowhere, len);
    }
}

fn pass(from: &OwnedFd, to: &impl AsFd, len: usize) -> usize {
    let mut passed = 0;
    while passed < len {
        match splice(from, None, to, None, len - passed, SpliceFlags::NONBLOCK) {
            Ok(count) if count > 0 => passed += count,
            _ => break,
        }
    }
    passed
}

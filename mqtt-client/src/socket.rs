//! What the sockets of the standard library have in common.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A socket of the standard library.
pub(crate) trait Socket: Read + Write + Send + Sync + Sized + 'static {
    fn duplicate(&self) -> io::Result<Self>;
    fn close(&self, how: Shutdown) -> io::Result<()>;
    /// How long a write may wait for room; `None`: for ever.
    fn set_write_patience(&self, patience: Option<Duration>) -> io::Result<()>;
}

macro_rules! socket {
    ($type:ty) => {
        impl Socket for $type {
            fn duplicate(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn close(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }

            fn set_write_patience(&self, patience: Option<Duration>) -> io::Result<()> {
                self.set_write_timeout(patience)
            }
        }
    };
}

socket!(TcpStream);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream);

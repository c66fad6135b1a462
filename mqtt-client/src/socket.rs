//! What the sockets of the standard library have in common.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A socket of the standard library.
pub(crate) trait Socket: Read + Write + Send + Sync + Sized + 'static {
    fn duplicate(&self) -> io::Result<Self>;
    fn close(&self, how: Shutdown) -> io::Result<()>;
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
        }
    };
}

socket!(TcpStream);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream);

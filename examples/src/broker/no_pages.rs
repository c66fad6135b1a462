//! What `pages` is where the system knows no `splice`: nothing.

use alloc::sync::Arc;
use std::io;

use super::transport::Socket;

#[derive(Clone, Debug, Default)]
pub(super) struct Pages;

impl Pages {
    pub(super) const fn send(
        &self,
        _: &Socket,
        _: &[u8],
        _: &Arc<[u8]>,
        _: usize,
    ) -> Option<io::Result<usize>> {
        None
    }

    pub(super) const fn clear(&self) {}
}

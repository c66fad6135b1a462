//! A store on disk, in a file of redb.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use futures::channel::oneshot;
use futures::future::BoxFuture;
use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};

use crate::{Changes, Store};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("motewire-mqtt-client");

/// A [`Store`] in one file, by the embedded database `redb`: a crash of the process or of the machine
/// leaves what was stored last. Each commit is flushed to the disk by a thread of its own, so that no
/// runtime waits for it. The file is another's to open once this is dropped, which waits for the last
/// commit; a client has dropped it when [`Client::disconnect`](crate::Client::disconnect) is done.
///
/// ```
/// use std::sync::Arc;
/// use mqtt_client::{DiskStore, Options};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sensor-7.redb");
/// let mut options = Options::from_url("mqtt://localhost?client_id=sensor-7&clean_start=false")?;
/// options.session_expiry = core::time::Duration::MAX;
/// options.store = Some(Arc::new(DiskStore::open(path)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DiskStore {
    database: Option<Arc<Database>>,
    commits: Option<mpsc::Sender<Commit>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Commit {
    changes: Changes,
    done: oneshot::Sender<io::Result<()>>,
}

fn io_error(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is neither empty nor a database of redb: it is left as it is",
        ),
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// Opens the file, which is locked from then on, or makes it a database. Who was killed while doing so has
/// left a file in which nothing was ever stored, and which redb would take for somebody else's.
fn database(path: &Path) -> io::Result<Database> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let backend = FileBackend::new(file).map_err(io_error)?;
    let is_new = backend.len()? == 0 || is_begun(&backend)?;
    if is_new {
        backend.set_len(0)?;
    }
    let database = Database::builder().create_with_backend(backend).map_err(io_error)?;
    // That there is a new file must survive too. Only Unix opens folders.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) && is_new {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(database)
}

/// Whether this is a database in the making: all zeros, or with redb's header but for the mark that is
/// written last of all, and nothing that was ever committed.
fn is_begun(backend: &FileBackend) -> io::Result<bool> {
    /// What is where the mark will be.
    const NO_MARK: [u8; 9] = [0; 9];
    /// Behind a byte of flags and two of nothing: the size of a page.
    const PAGE_SIZE: [u8; 6] = [0, 0, 0, 0x10, 0, 0];
    /// Where the header says for either of two commits which trees there are.
    const TREES: [core::ops::Range<usize>; 2] = [65..68, 193..196];
    /// How long a file can be at most that is only just begun.
    const MAX: u64 = 4 << 20;

    let len = backend.len()?;
    let Some(len) = usize::try_from(len).ok().filter(|_| len <= MAX) else { return Ok(false) };
    let bytes = backend.read(0, len)?;
    let has_header = bytes.starts_with(&NO_MARK)
        && bytes.get(10..16) == Some(&PAGE_SIZE)
        && TREES.iter().all(|trees| bytes.get(trees.clone()) == Some(&[0; 3]));
    Ok(has_header || bytes.iter().all(|byte| *byte == 0))
}

impl DiskStore {
    /// Opens the file, or creates it. One file is one client's.
    ///
    /// # Errors
    /// It cannot be opened, is no such file, or is open in another process.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let database = Arc::new(database(path.as_ref())?);
        let (commits, received) = mpsc::channel::<Commit>();
        let shared = Arc::clone(&database);
        let thread = thread::Builder::new().name("mqtt-store".into()).spawn(move || {
            for Commit { changes, done } in received {
                // Nobody may wait any more, and it is stored all the same.
                let _ = done.send(write(&shared, &changes));
            }
        })?;
        Ok(Self { database: Some(database), commits: Some(commits), thread: Some(thread) })
    }
}

impl Drop for DiskStore {
    /// Waits until all is stored and the file is closed: from then on it can be opened again.
    fn drop(&mut self) {
        drop(self.commits.take());
        drop(self.database.take());
        if let Some(thread) = self.thread.take() {
            // Should it have panicked, it is gone too.
            let _ = thread.join();
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that stores has ended")
}

fn write(database: &Database, changes: &Changes) -> io::Result<()> {
    let transaction = database.begin_write().map_err(io_error)?;
    {
        let mut table = transaction.open_table(TABLE).map_err(io_error)?;
        for (key, value) in changes {
            match value {
                Some(value) => drop(table.insert(key, &value[..]).map_err(io_error)?),
                None => drop(table.remove(key).map_err(io_error)?),
            }
        }
    }
    transaction.commit().map_err(io_error)
}

impl Store for DiskStore {
    fn load(&self) -> io::Result<BTreeMap<u64, Vec<u8>>> {
        let database = self.database.as_ref().ok_or_else(ended)?;
        let transaction = database.begin_read().map_err(io_error)?;
        let table = match transaction.open_table(TABLE) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(io_error(error)),
        };
        let records = table.iter().map_err(io_error)?;
        records
            .map(|record| {
                let (key, value) = record.map_err(io_error)?;
                Ok((key.value(), value.value().to_vec()))
            })
            .collect()
    }

    fn commit(&self, changes: Changes) -> BoxFuture<'static, io::Result<()>> {
        let (done, stored) = oneshot::channel();
        let commit = Commit { changes, done };
        let sent = self.commits.as_ref().is_some_and(|commits| commits.send(commit).is_ok());
        alloc::boxed::Box::pin(async move {
            if !sent {
                return Err(ended());
            }
            stored.await.map_err(|_| ended())?
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::ToString;
    use alloc::sync::Arc;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::{fs, io};

    use redb::backends::InMemoryBackend;
    use redb::{Database, StorageBackend};

    use super::{database, write};

    /// A machine that stops once the disk was waited for.
    #[derive(Clone, Debug, Default)]
    struct Stopping(Arc<(InMemoryBackend, AtomicBool)>);

    impl StorageBackend for Stopping {
        fn len(&self) -> io::Result<u64> {
            self.0.0.len()
        }
        fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
            self.0.0.read(offset, len)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.0.set_len(len)
        }
        fn sync_data(&self, _: bool) -> io::Result<()> {
            self.0.1.store(true, Ordering::Relaxed);
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            match self.0.1.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => self.0.0.write(offset, data),
            }
        }
    }

    #[test]
    fn only_a_file_that_was_never_used_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let stopping = Stopping::default();
        assert!(Database::builder().create_with_backend(stopping.clone()).is_err());
        let len = usize::try_from(stopping.len().unwrap()).unwrap();
        let begun = stopping.read(0, len).unwrap();
        assert!(begun.iter().any(|byte| *byte != 0));
        for begun in [Vec::new(), vec![0; 9], vec![0; len], begun] {
            fs::write(&path, begun).unwrap();
            drop(database(&path).unwrap());
        }
        let store = database(&path).unwrap();
        write(&store, &BTreeMap::from([(1, Some(b"kept".to_vec()))])).unwrap();
        drop(store);
        // One that was used and is damaged, and what is somebody else's.
        let used = fs::read(&path).unwrap();
        let damaged = [&[0; 9], &used[9..]].concat();
        let picture = [&[0; 9], &b"a picture"[..]].concat();
        for kept in [damaged, picture, b"a diary".repeat(1000)] {
            fs::write(&path, &kept).unwrap();
            let error = database(&path).unwrap_err();
            assert!(error.to_string().contains("neither empty nor"), "{error}");
            assert!(fs::read(&path).unwrap() == kept);
        }
    }
}

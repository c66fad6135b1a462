//! A store on disk, in a file of redb.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};

use crate::{Changes, Store};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("motewire-mqtt-client");

/// A [`Store`] in one file, by the embedded database `redb`: a crash of the process or of the machine
/// leaves what was stored last. Each commit is flushed to the disk by a thread of its own, so that no
/// runtime waits for it.
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
    database: Arc<Database>,
    commits: mpsc::Sender<Commit>,
}

#[derive(Debug)]
struct Commit {
    changes: Changes,
    done: oneshot::Sender<io::Result<()>>,
}

fn io_error(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            io::Error::new(io::ErrorKind::InvalidData, "the file is no database of redb")
        }
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// Opens the file, which is locked from then on, or makes it a database. That takes several writes, the last
/// of which is the mark that it is one: who was killed before that has left a file in which nothing was
/// ever stored, and which redb would take for somebody else's.
fn database(path: &Path) -> io::Result<Database> {
    /// How long the mark is, with which the file begins.
    const MARK: usize = 9;
    /// How long a file can be at most that is only just begun.
    const BEGUN: u64 = 4 << 20;

    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let backend = FileBackend::new(file).map_err(io_error)?;
    let len = backend.len()?;
    let is_begun = (MARK as u64..=BEGUN).contains(&len) && backend.read(0, MARK)? == [0; MARK];
    if is_begun {
        backend.set_len(0)?;
    }
    let database = Database::builder().create_with_backend(backend).map_err(io_error)?;
    // That there is a new file must survive too. Only Unix opens folders.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) && (len == 0 || is_begun) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(database)
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
        thread::Builder::new().name("mqtt-store".into()).spawn(move || {
            for Commit { changes, done } in received {
                // Nobody may wait any more, and it is stored all the same.
                let _ = done.send(write(&shared, &changes));
            }
        })?;
        Ok(Self { database, commits })
    }
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
        let transaction = self.database.begin_read().map_err(io_error)?;
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
        let sent = self.commits.send(Commit { changes, done });
        alloc::boxed::Box::pin(async move {
            let ended = || io::Error::other("the thread that stores has ended");
            sent.map_err(|_| ended())?;
            stored.await.map_err(|_| ended())?
        })
    }
}

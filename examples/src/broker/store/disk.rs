//! Records in a file of redb: copy-on-write trees, so that a process that is killed at any moment
//! leaves the last transaction whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};

use super::{Changes, Records};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

/// How much of the file is kept in memory, in bytes.
const CACHE: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    /// `None` after an error: then it is to be opened again.
    database: Option<Database>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut disk = Self { path: path.into(), database: None };
        disk.database()?;
        // That there is such a file must survive too. Only Unix opens folders.
        if let (true, Some(folder)) = (cfg!(unix), path.parent()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(disk)
    }

    fn database(&mut self) -> io::Result<&Database> {
        let database = match self.database.take() {
            Some(database) => database,
            None => create(&self.path)?,
        };
        Ok(self.database.insert(database))
    }

    fn write(&mut self, changes: &Changes) -> io::Result<()> {
        let transaction = self.database()?.begin_write().map_err(other)?;
        {
            let mut records = transaction.open_table(RECORDS).map_err(other)?;
            for (key, value) in changes {
                match value {
                    Some(value) => records.insert(&**key, &**value).map_err(other)?,
                    None => records.remove(&**key).map_err(other)?,
                };
            }
        }
        transaction.commit().map_err(other)
    }
}

/// Opens the file, which is locked from then on, or makes it a database. A broker that was killed while it did
/// so has left a file in which nothing was ever stored, and which redb would take for somebody else's.
fn create(path: &Path) -> io::Result<Database> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let backend = FileBackend::new(file).map_err(other)?;
    if is_begun(&backend)? {
        backend.set_len(0)?;
    }
    let database = Database::builder().set_cache_size(CACHE).create_with_backend(backend);
    database.map_err(|error| match other(error) {
        error if error.kind() == io::ErrorKind::InvalidData => {
            let what = "is neither empty nor the broker's: it is left as it is";
            io::Error::new(error.kind(), format!("{} {what}", path.display()))
        }
        error => error,
    })
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

impl Records for Disk {
    fn load(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        let transaction = self.database()?.begin_read().map_err(other)?;
        let records = match transaction.open_table(RECORDS) {
            Ok(records) => records,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(other(error)),
        };
        for record in records.iter().map_err(other)? {
            let (key, value) = record.map_err(other)?;
            each(key.value(), value.value());
        }
        Ok(())
    }

    fn store(&mut self, changes: &Changes) -> io::Result<()> {
        let written = self.write(changes);
        if written.is_err() {
            // After an error of the system a database takes nothing before it is opened again.
            self.database = None;
        }
        written
    }
}

fn other(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

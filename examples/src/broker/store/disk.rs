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

/// Opens the file, which is locked from then on, or makes it a database. The mark that it is one is written
/// last of all: a broker that was killed before that has left a file in which nothing was ever stored,
/// and which redb would take for somebody else's.
fn create(path: &Path) -> io::Result<Database> {
    /// How long the mark is, with which the file begins.
    const MARK: usize = 9;
    /// How long a file can be at most that is only just begun.
    const BEGUN: u64 = 4 << 20;

    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let backend = FileBackend::new(file).map_err(other)?;
    if (MARK as u64..=BEGUN).contains(&backend.len()?) && backend.read(0, MARK)? == [0; MARK] {
        backend.set_len(0)?;
    }
    Database::builder().set_cache_size(CACHE).create_with_backend(backend).map_err(other)
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

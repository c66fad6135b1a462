//! What the fuzz targets share. Each target is one file in `fuzz_targets/`.

pub mod mqtt;

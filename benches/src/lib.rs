//! What the benchmarks measure and whom they measure beside us. The clocks are elsewhere:
//! `benches/` has criterion, `src/bin/` counts instructions and allocations and writes the tables.

pub mod codec;

//! Times every codec in every row: `cargo bench -p motewire-benches --bench codec`. Then
//! `cargo run --profile bench -p motewire-benches --bin results -- codec` writes `RESULTS.md`.

use core::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use motewire_benches::codec::{self, Buffer, Codec, Row, Visitor};

struct Timer<'c>(&'c mut Criterion);

impl Visitor for Timer<'_> {
    fn decode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        let mut group = self.0.benchmark_group("decode");
        group.throughput(Throughput::Elements(row.packets as u64));
        group.bench_function(BenchmarkId::new(row.name, C::NAME), |bencher| match row.chunk {
            Some(size) => {
                let mut carry = C::Carry::default();
                bencher.iter(|| codec.decode_chunks(&row.stream, size, &mut carry));
            }
            None => {
                bencher.iter_batched_ref(
                    || C::input(&row.stream),
                    |input| codec::decode_all(codec, input),
                    BatchSize::NumIterations(8),
                );
            }
        });
    }

    fn encode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        let mut group = self.0.benchmark_group("encode");
        group.throughput(Throughput::Elements(row.encode_packets as u64));
        group.bench_function(BenchmarkId::new(row.name, C::NAME), |bencher| {
            let packets = codec::packets_to_send(codec, row);
            let mut buffer = C::Buffer::with_capacity(row.stream.len());
            let size = row.chunk.unwrap_or(usize::MAX);
            bencher.iter(|| codec::encode_all(codec, &packets, size, &mut buffer));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(40)
        .configure_from_args();
    codec::visit(&mut Timer(&mut criterion));
    criterion.final_summary();
}

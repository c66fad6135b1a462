//! LoRaWAN frames beside `lorawan` (lora-rs), `lrwn` (ChirpStack) and limits: nothing but the AES
//! blocks that the frame needs, by the `aes` crate with expanded keys.
//!
//! The blocks under a CMAC are a chain: each waits for the one before. What follows a frame waits
//! for nothing, and rounds of a benchmark overlap in the processor, more so the less else they do.
//! A limit of two blocks and no other instruction overlaps three or four rounds, which nothing that
//! reads a frame can do. So there are three:
//!
//! - `limit, frame after frame`: the first block of a frame waits for the last block of the frame
//!   before, as if one frame were on its way at a time. This is what "at most 1.2 times" is
//!   measured by.
//! - `limit, overlapping`: rounds overlap as much as they can.
//! - `limit, overlapping and grouped`: and one call makes the whole key stream.
//!
//! `cargo bench -p motewire-benches --bench lorawan`, then
//! `cargo run --profile bench -p motewire-benches --bin results -- lorawan`

#![expect(missing_docs, reason = "criterion_group! writes functions without documentation")]

use core::hint::black_box;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Dec, Aes128Enc, Block};
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use lorawan_frame::{
    AppKey, BatchFrame, CfList, Context, Data, DataFrame, DevAddr, DlSettings, Frequency,
    JoinAccept, JoinNonce, JoinRequest, NetId, NwkSKey, PhyPayload, SessionKeys, fcnt,
    verify_batch,
};

const NWK_S_KEY: [u8; 16] = [2; 16];
const APP_S_KEY: [u8; 16] = [1; 16];
const APP_KEY: [u8; 16] = [7; 16];
const FCNT: u32 = 76_543;
const PAYLOADS: [usize; 3] = [12, 51, 222];

fn session() -> SessionKeys {
    SessionKeys::v1_0(NwkSKey::new(NWK_S_KEY), lorawan_frame::AppSKey::new(APP_S_KEY))
}

fn uplink(payload: &[u8]) -> Data<'_> {
    Data { fport: Some(42), frm_payload: payload, ..Data::up(DevAddr::new(0x0102_0304), FCNT) }
}

fn frame(payload: usize) -> Vec<u8> {
    let mut buf = [0; 255];
    uplink(&vec![0xa5; payload]).build_into(&session(), &mut buf).expect("legal frame").to_vec()
}

/// The names of the limits.
const IN_TURN: &str = "limit, frame after frame";
const OVERLAPPING: &str = "limit, overlapping";
const GROUPED: &str = "limit, overlapping and grouped";

/// The AES calls of a frame: a chain of CMAC blocks, and blocks that are independent.
struct Limit {
    mac: Aes128Enc,
    stream: Aes128Enc,
    decrypt: Aes128Dec,
}

/// What a frame needs.
#[derive(Clone, Copy)]
struct Blocks {
    /// Encryptions of which each waits for the one before.
    chain: usize,
    /// Encryptions that wait for nothing.
    free: usize,
    /// A decryption that waits for the chain.
    decryption: bool,
}

impl Blocks {
    /// B0 and MHDR to FRMPayload, without the MIC; the key stream.
    const fn of_data(payload: usize) -> Self {
        let chain = 1 + (9 + payload).div_ceil(16);
        Self { chain, free: payload.div_ceil(16), decryption: false }
    }
}

impl Limit {
    fn new() -> Self {
        let key = |bytes: [u8; 16]| Aes128Enc::new(&bytes.into());
        let decrypt = Aes128Dec::new(&NWK_S_KEY.into());
        Self { mac: key(NWK_S_KEY), stream: key(APP_S_KEY), decrypt }
    }

    fn chain(&self, blocks: Blocks, state: &mut Block) {
        for _ in 0..blocks.chain {
            self.mac.encrypt_block(state);
        }
        if blocks.decryption {
            self.decrypt.decrypt_block(state);
        }
    }

    fn frame(&self, blocks: Blocks, state: &mut Block) {
        let mut stream = [Block::default(); 16];
        for block in black_box(&mut stream[..blocks.free]) {
            self.stream.encrypt_block(block);
        }
        self.chain(blocks, state);
        black_box(stream);
    }

    fn grouped(&self, blocks: Blocks, state: &mut Block) {
        let mut stream = [Block::default(); 16];
        self.stream.encrypt_blocks(black_box(&mut stream[..blocks.free]));
        self.chain(blocks, state);
        black_box(stream);
    }

    fn measure(&self, group: &mut Group<'_>, row: &str, blocks: Blocks) {
        let mut state = Block::default();
        group.bench_function(BenchmarkId::new(IN_TURN, row), |b| {
            b.iter(|| self.frame(black_box(blocks), &mut state));
        });
        let fresh = |run: fn(&Self, Blocks, &mut Block)| {
            let mut state = black_box(Block::default());
            run(self, black_box(blocks), &mut state);
            state
        };
        group.bench_function(BenchmarkId::new(OVERLAPPING, row), |b| {
            b.iter(|| fresh(Self::frame));
        });
        if blocks.free > 1 {
            group.bench_function(BenchmarkId::new(GROUPED, row), |b| {
                b.iter(|| fresh(Self::grouped));
            });
        }
    }
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

mod lora_rs {
    use lorawan::creator::{DataPayloadCreator, JoinAcceptCreator, JoinRequestCreator};
    use lorawan::default_crypto::DefaultFactory;
    use lorawan::keys::{AES128, AppKey, AppSKey, CryptoFactory, NewSKey};
    use lorawan::parser::{
        DataPayload, DecryptedJoinAcceptPayload, EncryptedDataPayload, JoinAcceptPayload,
        JoinRequestPayload, PhyPayload, parse_with_factory,
    };
    use peer_aes::Aes128;
    use peer_aes::cipher::KeyInit;

    /// Hands out copies of expanded keys: the fastest use that the crate's traits allow.
    #[derive(Clone)]
    pub(super) struct Cached(Vec<([u8; 16], Aes128, peer_cmac::Cmac<Aes128>)>);

    impl Default for Cached {
        fn default() -> Self {
            let keys = [super::NWK_S_KEY, super::APP_S_KEY, super::APP_KEY];
            Self(keys.map(|k| (k, Aes128::new(&k.into()), peer_cmac::Cmac::new(&k.into()))).into())
        }
    }

    impl Cached {
        fn find(&self, key: &AES128) -> &([u8; 16], Aes128, peer_cmac::Cmac<Aes128>) {
            self.0.iter().find(|(bytes, ..)| *bytes == key.0).expect("a key of the bench")
        }
    }

    impl CryptoFactory for &Cached {
        type E = Aes128;
        type D = Aes128;
        type M = peer_cmac::Cmac<Aes128>;

        fn new_enc(&self, key: &AES128) -> Aes128 {
            self.find(key).1.clone()
        }

        fn new_dec(&self, key: &AES128) -> Aes128 {
            self.find(key).1.clone()
        }

        fn new_mac(&self, key: &AES128) -> Self::M {
            self.find(key).2.clone()
        }
    }

    pub(super) fn open<F: CryptoFactory>(factory: F, bytes: &[u8], buf: &mut [u8; 255]) -> usize {
        let data = &mut buf[..bytes.len()];
        data.copy_from_slice(bytes);
        let parsed = parse_with_factory(data, factory);
        let Ok(PhyPayload::Data(DataPayload::Encrypted(frame))) = parsed else { panic!("data") };
        opened(frame)
    }

    fn opened<F: CryptoFactory>(frame: EncryptedDataPayload<&mut [u8], F>) -> usize {
        let (nwk, app) = (AES128(super::NWK_S_KEY), AES128(super::APP_S_KEY));
        let Ok(clear) = frame.decrypt_if_mic_ok(&nwk, &app, super::FCNT) else { panic!("MIC") };
        clear.to_inner().len()
    }

    pub(super) fn build(payload: &[u8]) -> [u8; 255] {
        let mut creator =
            DataPayloadCreator::with_options([0; 255], DefaultFactory).expect("buffer");
        creator.set_uplink(true).set_f_port(42).set_dev_addr(&[4, 3, 2, 1]).set_fcnt(super::FCNT);
        let (nwk, app) = (NewSKey::from(super::NWK_S_KEY), AppSKey::from(super::APP_S_KEY));
        let mut out = [0; 255];
        let built = creator.build(payload, &[], &nwk, &app).expect("legal frame");
        out[..built.len()].copy_from_slice(built);
        out
    }

    pub(super) fn verify_join_request<F: CryptoFactory>(factory: F, bytes: &[u8]) -> bool {
        let request = JoinRequestPayload::new_with_factory(bytes, factory).expect("length");
        request.validate_mic(&AES128(super::APP_KEY))
    }

    pub(super) fn build_join_request() -> [u8; 23] {
        let mut creator = JoinRequestCreator::with_options([0; 23], DefaultFactory).expect("size");
        creator.set_app_eui(&[1; 8]).set_dev_eui(&[2; 8]).set_dev_nonce(&[3; 2]);
        let mut out = [0; 23];
        out.copy_from_slice(creator.build(&AppKey::from(super::APP_KEY)));
        out
    }

    pub(super) fn open_join_accept<F: CryptoFactory>(factory: F, bytes: &[u8]) -> u8 {
        let mut data = [0; 17];
        data.copy_from_slice(bytes);
        let key = AppKey::from(super::APP_KEY);
        let Ok(PhyPayload::JoinAccept(JoinAcceptPayload::Encrypted(accept))) =
            parse_with_factory(data, factory)
        else {
            panic!("join-accept")
        };
        let clear: DecryptedJoinAcceptPayload<_, _> = accept.decrypt(&key);
        assert!(clear.validate_mic(&key));
        clear.rx_delay()
    }

    pub(super) fn build_join_accept() -> [u8; 17] {
        let mut creator = JoinAcceptCreator::with_options([0; 17], DefaultFactory).expect("size");
        creator.set_app_nonce(&[1; 3]).set_net_id(&[2; 3]).set_dev_addr(&[4, 3, 2, 1]);
        creator.set_rx_delay(1);
        let mut out = [0; 17];
        out.copy_from_slice(creator.build(&AES128(super::APP_KEY)).expect("size"));
        out
    }
}

mod chirpstack {
    use lrwn::{AES128Key, FRMPayload, MACVersion, Payload, PhyPayload};

    pub(super) fn open(bytes: &[u8]) -> usize {
        let mut phy = PhyPayload::from_slice(bytes).expect("legal frame");
        let Payload::MACPayload(mac) = &mut phy.payload else { panic!("data") };
        mac.fhdr.f_cnt = super::FCNT;
        let nwk = AES128Key::from_bytes(super::NWK_S_KEY);
        let valid =
            phy.validate_uplink_data_mic(MACVersion::LoRaWAN1_0, 0, 0, 0, &nwk, &nwk).expect("mic");
        assert!(valid);
        phy.decrypt_frm_payload(&AES128Key::from_bytes(super::APP_S_KEY)).expect("decrypts");
        let Payload::MACPayload(mac) = phy.payload else { panic!("data") };
        let Some(FRMPayload::Raw(clear)) = mac.frm_payload else { panic!("payload") };
        clear.len()
    }

    /// `template` is a parsed frame with the payload in clear.
    pub(super) fn build(template: &PhyPayload) -> Vec<u8> {
        let mut phy = template.clone();
        phy.encrypt_frm_payload(&AES128Key::from_bytes(super::APP_S_KEY)).expect("encrypts");
        let nwk = AES128Key::from_bytes(super::NWK_S_KEY);
        phy.set_uplink_data_mic(MACVersion::LoRaWAN1_0, 0, 0, 0, &nwk, &nwk).expect("mic");
        phy.to_vec().expect("encodes")
    }

    pub(super) fn template(bytes: &[u8]) -> PhyPayload {
        let mut phy = PhyPayload::from_slice(bytes).expect("legal frame");
        let Payload::MACPayload(mac) = &mut phy.payload else { panic!("data") };
        mac.fhdr.f_cnt = super::FCNT;
        phy.decrypt_frm_payload(&AES128Key::from_bytes(super::APP_S_KEY)).expect("decrypts");
        phy
    }

    pub(super) fn verify_join_request(bytes: &[u8]) -> bool {
        let phy = PhyPayload::from_slice(bytes).expect("legal frame");
        phy.validate_join_request_mic(&AES128Key::from_bytes(super::APP_KEY)).expect("mic")
    }

    pub(super) fn open_join_accept(bytes: &[u8]) -> bool {
        let mut phy = PhyPayload::from_slice(bytes).expect("legal frame");
        let key = AES128Key::from_bytes(super::APP_KEY);
        phy.decrypt_join_accept_payload(&key).expect("decrypts");
        let eui = lrwn::EUI64::from_be_bytes([0; 8]);
        phy.validate_join_accept_mic(lrwn::JoinType::Join, &eui, 0, &key).expect("mic")
    }
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("lorawan frames");
    group.throughput(Throughput::Elements(1));
    let (keys, cached, limit) = (session().expand(), lora_rs::Cached::default(), Limit::new());
    for payload in PAYLOADS {
        let row = format!("data: parse, counter, MIC, decrypt, {payload:3} bytes");
        let bytes = frame(payload);
        let mut buf = [0; 255];
        limit.measure(&mut group, &row, Blocks::of_data(payload));
        group.bench_function(BenchmarkId::new("lorawan_frame", &row), |b| {
            b.iter(|| {
                let Ok(PhyPayload::Data(frame)) = PhyPayload::parse(black_box(&bytes)) else {
                    panic!("data")
                };
                let counter = fcnt::reconstruct_uplink(FCNT, frame.fcnt).expect("counter");
                frame.open(black_box(&keys), counter, &mut buf).expect("MIC").frm_payload.len()
            });
        });
        group.bench_function(BenchmarkId::new("lora-rs, keys cached", &row), |b| {
            b.iter(|| lora_rs::open(&cached, black_box(&bytes), &mut buf));
        });
        let default = || lorawan::default_crypto::DefaultFactory;
        group.bench_function(BenchmarkId::new("lora-rs", &row), |b| {
            b.iter(|| lora_rs::open(default(), black_box(&bytes), &mut buf));
        });
        group.bench_function(BenchmarkId::new("lrwn", &row), |b| {
            b.iter(|| chirpstack::open(black_box(&bytes)));
        });
    }
    group.finish();
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("lorawan frames");
    group.throughput(Throughput::Elements(1));
    let (keys, limit) = (session().expand(), Limit::new());
    for payload in PAYLOADS {
        let row = format!("data: build, {payload:3} bytes");
        let clear = vec![0xa5; payload];
        let mut buf = [0; 255];
        limit.measure(&mut group, &row, Blocks::of_data(payload));
        group.bench_function(BenchmarkId::new("lorawan_frame", &row), |b| {
            b.iter(|| {
                let built = uplink(black_box(&clear)).build_into(black_box(&keys), &mut buf);
                built.expect("legal frame").len()
            });
        });
        group.bench_function(BenchmarkId::new("lora-rs", &row), |b| {
            b.iter(|| lora_rs::build(black_box(&clear)));
        });
        let template = chirpstack::template(&frame(payload));
        group.bench_function(BenchmarkId::new("lrwn", &row), |b| {
            b.iter(|| chirpstack::build(black_box(&template)));
        });
    }
    group.finish();
}

fn join_request(c: &mut Criterion) {
    let key = AppKey::new(APP_KEY).expand();
    let (cached, limit) = (lora_rs::Cached::default(), Limit::new());
    let request = JoinRequest { join_eui: 1.into(), dev_eui: 2.into(), dev_nonce: 3 };
    let mut buf = [0; 23];
    let bytes = request.build_into(&key, &mut buf).expect("size").to_vec();

    let mut group = c.benchmark_group("lorawan frames");
    group.throughput(Throughput::Elements(1));
    // 19 bytes under the CMAC.
    let blocks = Blocks { chain: 2, free: 0, decryption: false };
    let row = "join-request: parse, MIC";
    limit.measure(&mut group, row, blocks);
    group.bench_function(BenchmarkId::new("lorawan_frame", row), |b| {
        b.iter(|| {
            let Ok(PhyPayload::JoinRequest(r)) = PhyPayload::parse(black_box(&bytes)) else {
                panic!("join-request")
            };
            r.verify(black_box(&key)).expect("MIC");
            r.content.dev_nonce
        });
    });
    group.bench_function(BenchmarkId::new("lora-rs, keys cached", row), |b| {
        b.iter(|| lora_rs::verify_join_request(&cached, black_box(&bytes)));
    });
    group.bench_function(BenchmarkId::new("lrwn", row), |b| {
        b.iter(|| chirpstack::verify_join_request(black_box(&bytes)));
    });
    let row = "join-request: build";
    limit.measure(&mut group, row, blocks);
    group.bench_function(BenchmarkId::new("lorawan_frame", row), |b| {
        b.iter(|| black_box(&request).build_into(black_box(&key), &mut buf).expect("size").len());
    });
    group.bench_function(BenchmarkId::new("lora-rs", row), |b| {
        b.iter(lora_rs::build_join_request);
    });
    group.finish();
}

fn join_accept(c: &mut Criterion) {
    let key = AppKey::new(APP_KEY);
    let (device, server) = (key.expand(), key.expand_server());
    let (cached, limit) = (lora_rs::Cached::default(), Limit::new());
    let list = CfList::from_frequencies([Frequency::from_hz(867_100_000).expect("steps"); 5]);

    let mut group = c.benchmark_group("lorawan frames");
    group.throughput(Throughput::Elements(1));
    for (name, cf_list, extra) in [("", None, 0), (" with CFList", Some(list), 1)] {
        let accept = JoinAccept {
            join_nonce: JoinNonce::new(1).expect("24 bits"),
            net_id: NetId::new(2).expect("24 bits"),
            dev_addr: DevAddr::new(3),
            dl_settings: DlSettings::default(),
            rx_delay: 1,
            cf_list,
        };
        let mut buf = [0; 33];
        let bytes = accept.build_into(&key, &mut buf).expect("size").to_vec();
        // Device: the blocks that make the body, and 13 or 29 bytes under the CMAC, which begins
        // with the first of those; all with AES encryption.
        let row = format!("join-accept{name}: parse, decrypt, MIC");
        limit.measure(
            &mut group,
            &row,
            Blocks { chain: 2 + extra, free: extra, decryption: false },
        );
        group.bench_function(BenchmarkId::new("lorawan_frame", &row), |b| {
            b.iter(|| {
                let Ok(PhyPayload::JoinAccept(a)) = PhyPayload::parse(black_box(&bytes)) else {
                    panic!("join-accept")
                };
                a.open(black_box(&device)).expect("MIC").rx_delay
            });
        });
        if cf_list.is_none() {
            group.bench_function(BenchmarkId::new("lora-rs, keys cached", &row), |b| {
                b.iter(|| lora_rs::open_join_accept(&cached, black_box(&bytes)));
            });
        }
        group.bench_function(BenchmarkId::new("lrwn", &row), |b| {
            b.iter(|| chirpstack::open_join_accept(black_box(&bytes)));
        });
        // Server: the CMAC, and the block with the MIC in it decrypted; the block before is free.
        let row = format!("join-accept{name}: build");
        limit.measure(&mut group, &row, Blocks { chain: 1 + extra, free: extra, decryption: true });
        group.bench_function(BenchmarkId::new("lorawan_frame", &row), |b| {
            b.iter(|| {
                black_box(&accept).build_into(black_box(&server), &mut buf).expect("size").len()
            });
        });
        if cf_list.is_none() {
            group.bench_function(BenchmarkId::new("lora-rs", &row), |b| {
                b.iter(lora_rs::build_join_accept);
            });
        }
    }
    group.finish();
}

/// A server checks the MICs of frames of 256 devices; the figures are per frame.
fn batch(c: &mut Criterion) {
    const DEVICES: u32 = 256;
    let mut group = c.benchmark_group("lorawan server");
    group.throughput(Throughput::Elements(DEVICES.into()));
    for payload in PAYLOADS {
        let row = format!("MIC, {payload:3} bytes");
        let clear = vec![0xa5; payload];
        let received: Vec<_> = (0..DEVICES)
            .map(|i| {
                let mut key = NWK_S_KEY;
                key[..4].copy_from_slice(&i.to_le_bytes());
                let keys =
                    SessionKeys::v1_0(NwkSKey::new(key), lorawan_frame::AppSKey::new(APP_S_KEY));
                let mut buf = [0; 255];
                let built = uplink(&clear).build_into(&keys, &mut buf).expect("legal frame");
                (built.to_vec(), keys.network.expand())
            })
            .collect();
        let frames: Vec<_> = received
            .iter()
            .map(|(bytes, keys)| BatchFrame {
                frame: DataFrame::parse(bytes).expect("own frame"),
                keys,
                fcnt: FCNT,
                context: Context::default(),
            })
            .collect();
        group.bench_function(BenchmarkId::new("one by one", &row), |b| {
            b.iter(|| {
                let verify =
                    |f: &&BatchFrame<'_>| f.frame.verify(f.keys, f.fcnt, &f.context).is_ok();
                black_box(&frames).iter().filter(verify).count()
            });
        });
        group.bench_function(BenchmarkId::new("verify_batch", &row), |b| {
            b.iter(|| {
                let mut right = 0;
                verify_batch(black_box(&frames), |_, verdict| right += u32::from(verdict.is_ok()));
                right
            });
        });
    }
    group.finish();
}

criterion_group!(benches, open, build, join_request, join_accept, batch);
criterion_main!(benches);

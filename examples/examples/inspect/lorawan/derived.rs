//! Answers about keys: everything that follows from those on the line.

use lorawan_frame::{
    AppKey, DevAddr, DevEui, GenAppKey, JoinEui, JoinNonce, Kek, Key, McKeKey, McKey, McRootKey,
    NetId, NetworkKeys, NwkKey, NwkSKey, RootWorSKey, SessionKeys,
};
use serde_json::{Map, Value, json};

use super::line::{Line, Problem, hex, missing, unhex};

/// Collects keys under their names.
#[derive(Default)]
struct Keys(Map<String, Value>);

impl Keys {
    fn add(&mut self, name: &str, key: &Key) {
        self.0.insert(name.into(), hex(key.expose()).into());
    }
}

pub(crate) fn key_derivation(line: &Line<'_>) -> Result<Value, Problem> {
    let mut keys = Keys::default();
    session(line, &mut keys)?;
    roots(line, &mut keys)?;
    multicast(line, &mut keys)?;
    relay(line, &mut keys)?;
    if keys.0.is_empty() {
        return Err(Problem::Line("these keys and inputs give no other key".into()));
    }
    Ok(keys.0.into())
}

fn has(line: &Line<'_>, names: &[&str]) -> bool {
    names.iter().all(|name| !line.input(name).is_null())
}

/// A key by its own name, or as `root_key`, which stands for either root.
fn root(line: &Line<'_>, name: &str) -> Result<Option<Key>, Problem> {
    Ok(line.key(name)?.or(line.key("root_key")?))
}

fn join_nonce(line: &Line<'_>) -> Result<JoinNonce, Problem> {
    let nonce = line.number("join_nonce")?;
    JoinNonce::new(nonce).ok_or(Problem::Line("join_nonce has 24 bits".into()))
}

fn session(line: &Line<'_>, keys: &mut Keys) -> Result<(), Problem> {
    let counter = if has(line, &["rjcount"]) { "rjcount" } else { "dev_nonce" };
    if !has(line, &["join_nonce", counter]) {
        return Ok(());
    }
    let (join_nonce, nonce) = (join_nonce(line)?, line.number::<u16>(counter)?);
    let (nwk_key, app_key) = (root(line, "nwk_key")?, root(line, "app_key")?);
    if line.is_v1_1() && line.input("opt_neg") != false {
        if !has(line, &["join_eui"]) {
            return Ok(());
        }
        let join_eui: JoinEui = line.parse("join_eui")?;
        if let Some(nwk_key) = nwk_key {
            let network = NwkKey(nwk_key).network_keys_v1_1(join_nonce, join_eui, nonce)?;
            if let NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } = network {
                keys.add("f_nwk_s_int_key", &f_nwk_s_int_key.0);
                keys.add("s_nwk_s_int_key", &s_nwk_s_int_key.0);
                keys.add("nwk_s_enc_key", &nwk_s_enc_key.0);
            }
        }
        if let Some(app_key) = app_key {
            // The AppSKey does not depend on the other root.
            let (app_key, other) = (AppKey(app_key), NwkKey::new([0; 16]));
            let all = SessionKeys::derive_v1_1(&other, &app_key, join_nonce, join_eui, nonce)?;
            keys.add("app_s_key", &all.app_s_key.0);
        }
    } else if has(line, &["net_id"]) {
        // A 1.1 device on a 1.0 network has the NwkKey in the place of the AppKey.
        let first = if line.is_v1_1() { nwk_key.or(app_key) } else { app_key.or(nwk_key) };
        if let Some(key) = first {
            let net_id: NetId = line.parse("net_id")?;
            let session = AppKey(key).session_v1_0(join_nonce, net_id, nonce)?;
            if let NetworkKeys::V1_0(NwkSKey(key)) = session.network {
                keys.add("nwk_s_key", &key);
            }
            keys.add("app_s_key", &session.app_s_key.0);
        }
    }
    Ok(())
}

fn roots(line: &Line<'_>, keys: &mut Keys) -> Result<(), Problem> {
    if let (Some(key), true) = (root(line, "nwk_key")?, has(line, &["dev_eui"])) {
        let (key, dev_eui) = (NwkKey(key), line.parse::<DevEui>("dev_eui")?);
        keys.add("js_enc_key", &key.js_enc_key(dev_eui)?.0);
        keys.add("js_int_key", &key.js_int_key(dev_eui)?.0);
    }
    if let Some(key) = line.key::<GenAppKey>("gen_app_key")? {
        keys.add("mc_root_key", &key.mc_root_key()?.0);
        keys.add("data_block_int_key", &key.data_block_int_key()?.0);
    } else if let (Some(key), true) = (line.key::<AppKey>("app_key")?, line.is_v1_1()) {
        keys.add("mc_root_key", &key.mc_root_key()?.0);
        keys.add("data_block_int_key", &key.data_block_int_key()?.0);
    }
    Ok(())
}

fn multicast(line: &Line<'_>, keys: &mut Keys) -> Result<(), Problem> {
    if let Some(key) = line.key::<McRootKey>("mc_root_key")? {
        keys.add("mc_ke_key", &key.mc_ke_key()?.0);
    }
    if let Some(key) = line.key::<McKeKey>("mc_ke_key")? {
        let encrypted = match line.input("mc_key_encrypted").as_str() {
            Some(text) => unhex("mc_key_encrypted", text)?,
            None => line.bytes().unwrap_or_default(),
        };
        if let Ok(encrypted) = encrypted.try_into() {
            keys.add("mc_key", &key.open_mc_key(encrypted)?.0);
        }
    }
    if let (Some(key), true) = (line.key::<McKey>("mc_key")?, has(line, &["mc_addr"])) {
        let addr: DevAddr = line.parse("mc_addr")?;
        keys.add("mc_app_s_key", &key.mc_app_s_key(addr)?.0);
        let network = key.mc_net_s_key(addr)?.0;
        // Both names are in use.
        keys.add("mc_net_s_key", &network);
        keys.add("mc_nwk_s_key", &network);
    }
    Ok(())
}

fn relay(line: &Line<'_>, keys: &mut Keys) -> Result<(), Problem> {
    let network = line.key::<NwkSKey>("nwk_s_key")?.or(line.key("nwk_s_enc_key")?.map(NwkSKey));
    if let Some(key) = network {
        keys.add("root_wor_s_key", &NetworkKeys::V1_0(key).root_wor_s_key()?.0);
    }
    let root = line.key::<RootWorSKey>("root_wor_s_key")?;
    if let (Some(key), true) = (root, has(line, &["dev_addr"])) {
        let addr: DevAddr = line.parse("dev_addr")?;
        keys.add("wor_s_int_key", &key.wor_s_int_key(addr)?.0);
        keys.add("wor_s_enc_key", &key.wor_s_enc_key(addr)?.0);
    }
    Ok(())
}

/// Wraps the bytes, and unwraps them when they are a wrapped key.
pub(crate) fn key_wrap(line: &Line<'_>) -> Result<Value, Problem> {
    let kek = line.0["keys"]["kek"].as_str().ok_or(missing("kek"))?;
    let kek = Kek::new(&unhex("kek", kek)?)?;
    let bytes = line.bytes()?;
    let mut buf = [0; 264];
    let mut answer = json!({ "wrapped": hex(kek.wrap(&bytes, &mut buf)?) });
    if let Ok(clear) = kek.unwrap(&bytes, &mut buf) {
        answer["unwrapped"] = hex(clear).into();
    }
    Ok(answer)
}

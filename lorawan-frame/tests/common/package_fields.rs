//! Package commands as JSON, in the field names of the vector file.

use lorawan_frame::package::{
    PackageVersionAns, clock_sync, firmware, fragmentation, fragmentation::FragStatus, multicast,
};
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn version_json(ans: PackageVersionAns) -> Value {
    json!({ "package_identifier": ans.package_identifier, "package_version": ans.package_version })
}

/// The fields of a command in the names of the vector file.
pub(crate) trait Fields {
    fn fields(&self) -> Value;
}

impl Fields for clock_sync::Uplink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionAns(ans) => version_json(ans),
            Self::AppTimeReq(req) => json!({ "device_time": req.device_time,
                "token_req": req.token_req, "ans_required": req.ans_required }),
            Self::DeviceAppTimePeriodicityAns(ans) => {
                json!({ "not_supported": ans.not_supported, "time": ans.time })
            }
            _ => json!({}),
        }
    }
}

impl Fields for clock_sync::Downlink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionReq => json!({}),
            Self::AppTimeAns(ans) => {
                json!({ "time_correction": ans.time_correction, "token_ans": ans.token_ans })
            }
            Self::DeviceAppTimePeriodicityReq(req) => json!({ "period": req.period }),
            Self::ForceDeviceResyncReq(req) => json!({ "nb_transmissions": req.nb_transmissions }),
            _ => json!({}),
        }
    }
}

impl Fields for firmware::Uplink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionAns(ans) => version_json(ans),
            Self::DevVersionAns(ans) => {
                json!({ "fw_version": ans.fw_version, "hw_version": ans.hw_version })
            }
            Self::DevRebootTimeAns(ans) => json!({ "reboot_time": ans.reboot_time }),
            Self::DevRebootCountdownAns(ans) => json!({ "countdown": ans.countdown }),
            Self::DevUpgradeImageAns(ans) => match ans {
                firmware::DevUpgradeImageAns::NoImage => json!({ "status": 0 }),
                firmware::DevUpgradeImageAns::Invalid => json!({ "status": 1 }),
                firmware::DevUpgradeImageAns::WrongHardware => json!({ "status": 2 }),
                firmware::DevUpgradeImageAns::Valid { next_firmware_version } => {
                    json!({ "status": 3, "next_firmware_version": next_firmware_version })
                }
            },
            Self::DevDeleteImageAns(ans) => json!({
                "error_no_valid_image": ans.error_no_valid_image,
                "error_invalid_version": ans.error_invalid_version }),
            _ => json!({}),
        }
    }
}

impl Fields for firmware::Downlink {
    fn fields(&self) -> Value {
        match *self {
            Self::DevRebootTimeReq(req) => json!({ "reboot_time": req.reboot_time }),
            Self::DevRebootCountdownReq(req) => json!({ "countdown": req.countdown }),
            Self::DevDeleteImageReq(req) => {
                json!({ "firmware_to_delete_version": req.firmware_to_delete_version })
            }
            _ => json!({}),
        }
    }
}

impl Fields for multicast::Uplink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionAns(ans) => version_json(ans),
            Self::McGroupStatusAns(ans) => json!({
                "nb_total_groups": ans.nb_total_groups,
                "ans_group_mask": ans.ans_group_mask,
                "items": ans.items.iter().flatten().map(|group| json!({
                    "mc_group_id": group.mc_group_id,
                    "mc_addr": group.mc_addr.to_string() })).collect::<Vec<_>>() }),
            Self::McGroupSetupAns(ans) => {
                json!({ "mc_group_id": ans.mc_group_id, "id_error": ans.id_error })
            }
            Self::McGroupDeleteAns(ans) => json!({
                "mc_group_id": ans.mc_group_id, "mc_group_undefined": ans.mc_group_undefined }),
            Self::McClassCSessionAns(ans) | Self::McClassBSessionAns(ans) => json!({
                "mc_group_id": ans.mc_group_id, "dr_error": ans.dr_error,
                "freq_error": ans.freq_error, "mc_group_undefined": ans.mc_group_undefined,
                "start_missed": ans.start_missed, "time_to_start": ans.time_to_start }),
            _ => json!({}),
        }
    }
}

impl Fields for multicast::Downlink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionReq => json!({}),
            Self::McGroupStatusReq(req) => json!({ "req_group_mask": req.req_group_mask }),
            Self::McGroupSetupReq(req) => json!({
                "mc_group_id": req.mc_group_id, "mc_addr": req.mc_addr.to_string(),
                "mc_key_encrypted": hex(&req.mc_key_encrypted),
                "min_mc_fcnt": req.min_mc_fcnt, "max_mc_fcnt": req.max_mc_fcnt }),
            Self::McGroupDeleteReq(req) => json!({ "mc_group_id": req.mc_group_id }),
            Self::McClassCSessionReq(req) => json!({
                "mc_group_id": req.mc_group_id, "session_time": req.session_time,
                "time_out": req.time_out, "freq_hz": req.dl_frequency.hz(), "dr": req.dr }),
            Self::McClassBSessionReq(req) => json!({
                "mc_group_id": req.mc_group_id, "session_time": req.session_time,
                "time_out": req.time_out, "periodicity": req.periodicity,
                "freq_hz": req.dl_frequency.hz(), "dr": req.dr }),
            _ => json!({}),
        }
    }
}

impl Fields for fragmentation::Uplink {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionAns(ans) => version_json(ans),
            Self::FragSessionStatusAns(ans) => {
                let mut fields = json!({
                    "frag_index": ans.frag_index, "nb_frag_received": ans.nb_frag_received,
                    "missing_frag": ans.missing_frag });
                match ans.status {
                    FragStatus::V1 { not_enough_matrix_memory } => {
                        fields["not_enough_matrix_memory"] = not_enough_matrix_memory.into();
                    }
                    FragStatus::V2 { memory_error, mic_error, session_does_not_exist } => {
                        fields["memory_error"] = memory_error.into();
                        fields["mic_error"] = mic_error.into();
                        fields["session_does_not_exist"] = session_does_not_exist.into();
                    }
                }
                fields
            }
            Self::FragSessionSetupAns(ans) => json!({
                "frag_index": ans.frag_index, "encoding_unsupported": ans.encoding_unsupported,
                "not_enough_memory": ans.not_enough_memory,
                "frag_index_unsupported": ans.frag_index_unsupported,
                "wrong_descriptor": ans.wrong_descriptor,
                "session_cnt_replay": ans.session_cnt_replay }),
            Self::FragSessionDeleteAns(ans) => json!({ "frag_index": ans.frag_index,
                "session_does_not_exist": ans.session_does_not_exist }),
            Self::FragDataBlockReceivedReq(req) => {
                json!({ "frag_index": req.frag_index, "mic_error": req.mic_error })
            }
            _ => json!({}),
        }
    }
}

impl Fields for fragmentation::Downlink<'_> {
    fn fields(&self) -> Value {
        match *self {
            Self::PackageVersionReq => json!({}),
            Self::FragSessionStatusReq(req) => {
                json!({ "frag_index": req.frag_index, "participants": req.participants })
            }
            Self::FragSessionSetupReq(req) => json!({
                "frag_index": req.frag_index, "mc_group_bit_mask": req.mc_group_bit_mask,
                "nb_frag": req.nb_frag, "frag_size": req.frag_size,
                "block_ack_delay": req.block_ack_delay, "frag_algo": req.frag_algo,
                "padding": req.padding, "descriptor": hex(&req.descriptor),
                "session_cnt": req.v2.map(|v2| v2.session_cnt),
                "ack_reception": req.v2.map(|v2| v2.ack_reception),
                "mic": req.v2.map(|v2| hex(&v2.mic)) }),
            Self::FragSessionDeleteReq(req) => json!({ "frag_index": req.frag_index }),
            Self::FragDataBlockReceivedAns(ans) => json!({ "frag_index": ans.frag_index }),
            Self::DataFragment(fragment) => json!({ "frag_index": fragment.frag_index,
                "n": fragment.n, "data": hex(fragment.data) }),
            _ => json!({}),
        }
    }
}

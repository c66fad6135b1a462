// Reads frames as lines of JSON, answers each with what lora-packet makes of it.
"use strict";
const lora = require("lora-packet");
// Not in its index.
const { decryptFOpts } = require("lora-packet/out/lib/crypto");

const bytes = (hex) => Buffer.from(hex, "hex");
const hex = (buffer) => (buffer ? buffer.toString("hex") : "");

function data(question, frame) {
  const high = bytes(question.fcnt_high);
  const answer = {
    mtype: frame.getMType(),
    dev_addr: hex(frame.DevAddr),
    fcnt16: frame.getFCnt(),
    fport: frame.getFPort(),
    adr: frame.getFCtrlADR(),
    ack: frame.getFCtrlACK(),
    fopts: hex(frame.FOpts),
  };
  if (question.version === "1.1") {
    // Its second key is the SNwkSIntKey, and its last argument says that this is 1.1.
    const [forwarding, serving] = [bytes(question.f_nwk_s_int_key), bytes(question.s_nwk_s_int_key)];
    answer.mic_valid = lora.verifyMIC(frame, forwarding, serving, high, bytes(question.conf_fcnt));
    if (answer.fopts) {
      answer.fopts = hex(decryptFOpts(frame, bytes(question.nwk_s_enc_key), high));
    }
  } else {
    answer.mic_valid = lora.verifyMIC(frame, bytes(question.f_nwk_s_int_key), undefined, high);
  }
  const network = question.version === "1.1" ? question.nwk_s_enc_key : question.f_nwk_s_int_key;
  answer.payload = answer.fport === null || !frame.FRMPayload.length
    ? ""
    : hex(lora.decrypt(frame, bytes(question.app_s_key), bytes(network), high));
  return answer;
}

function joinRequest(question, frame) {
  return {
    join_eui: hex(frame.AppEUI),
    dev_eui: hex(frame.DevEUI),
    dev_nonce: hex(frame.DevNonce),
    mic_valid: lora.verifyMIC(frame, undefined, bytes(question.app_key)),
  };
}

function joinAccept(question, phy) {
  const key = bytes(question.app_key);
  const frame = lora.fromWire(lora.decryptJoinAccept(lora.fromWire(phy), key));
  const keys = lora.generateSessionKeys10(key, frame.NetID, frame.AppNonce, bytes(question.dev_nonce));
  return {
    join_nonce: hex(frame.AppNonce),
    net_id: hex(frame.NetID),
    dev_addr: hex(frame.DevAddr),
    mic_valid: lora.verifyMIC(frame, undefined, key),
    nwk_s_key: hex(keys.NwkSKey),
    app_s_key: hex(keys.AppSKey),
  };
}

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const question = JSON.parse(line);
    const phy = bytes(question.phy);
    const frame = lora.fromWire(phy);
    const answer = frame.isDataMessage()
      ? data(question, frame)
      : frame.isJoinAcceptMessage()
        ? joinAccept(question, phy)
        : joinRequest(question, frame);
    console.log(JSON.stringify(answer));
  });

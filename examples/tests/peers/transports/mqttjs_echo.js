// MQTT.js: says a message of each QoS to itself.
//
//     node mqttjs_echo.js URL VERSION CA CERTIFICATE KEY        VERSION: 3, 4 or 5
//
// URL is tcp://, ssl://, ws:// or wss://. Prints "TOPIC QOS PAYLOAD" for each message
// that comes back and ends when all have.

const { readFileSync } = require("fs");
const mqtt = require("mqtt");

const [url, version, ca, cert, key] = process.argv.slice(2);
const client = mqtt.connect(url.replace(/^ssl:/, "mqtts:"), {
    protocolVersion: Number(version),
    protocolId: version === "3" ? "MQIsdp" : "MQTT",
    // With a certificate it would speak TLS whatever the URL says.
    ...(/^(ssl|wss):/.test(url) && { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }),
    reconnectPeriod: 0,
});

const fail = (error) => {
    console.error(error ? error.message : "closed");
    process.exit(1);
};
const publish = (qos) => client.publish(`echo/${qos}`, "hello", { qos }, (error) => error && fail(error));

client.on("error", fail);
client.on("close", fail);
client.on("connect", () =>
    client.subscribe("echo/#", { qos: 2 }, (error) => (error ? fail(error) : publish(0))),
);
client.on("message", (topic, payload, { qos }) => {
    console.log(`${topic} ${qos} ${payload}`);
    if (qos < 2) return publish(qos + 1);
    client.removeListener("close", fail);
    client.end();
});

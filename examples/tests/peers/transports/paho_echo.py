"""Eclipse Paho's Python client: says a message of each QoS to itself.

    python3 paho_echo.py URL VERSION CA CERTIFICATE KEY        VERSION: 3, 4 or 5

URL is tcp://, ssl://, ws://, wss:// or unix://. Prints "TOPIC QOS PAYLOAD" for each message that
comes back and ends with status 0 when all have.
"""

import sys
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt


def main():
    url, version, ca, certificate, key = sys.argv[1:]
    where = urlsplit(url)
    transport = {"ws": "websockets", "wss": "websockets", "unix": "unix"}.get(where.scheme, "tcp")
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=f"paho-{version}",
        protocol=mqtt.MQTTProtocolVersion(int(version)),
        transport=transport,
        reconnect_on_failure=False,
    )
    if where.scheme in ("ssl", "wss"):
        client.tls_set(ca, certificate, key)
    done = threading.Event()

    def say(qos):
        client.publish(f"echo/{qos}", "hello", qos)

    def on_message(_client, _data, message):
        print(message.topic, message.qos, message.payload.decode())
        if message.qos == 2:
            done.set()
        else:
            say(message.qos + 1)

    client.on_connect = lambda *_: client.subscribe("echo/#", 2)
    client.on_subscribe = lambda *_: say(0)
    client.on_message = on_message
    if transport == "unix":
        client.connect(where.path, 1)
    else:
        client.connect(where.hostname, where.port)
    client.loop_start()
    if not done.wait(10):
        sys.exit("nothing came back")
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()

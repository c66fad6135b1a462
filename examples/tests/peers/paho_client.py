"""Eclipse Paho's Python client, driven from outside.

    python3 paho_client.py HOST PORT VERSION CLIENT_ID       VERSION: 4 (MQTT 3.1.1) or 5

Reads one JSON object a line and does what its "do" says; prints one JSON object a line for
everything that happens. Ends, without a DISCONNECT, when its input ends.

    {"do": "connect", "clean": bool, "expiry": seconds, "keep_alive": seconds,
     "properties": {"ReceiveMaximum": ..},
     "will": {"topic", "payload", "qos", "retain", "delay": seconds}}     -> "connected"
    {"do": "reconnect"}            the same client object once more       -> "connected"
    {"do": "subscribe", "filter", "qos"}                                  -> "subscribed"
     in 5.0 also "options": {"noLocal": true, ..}, "identifier": number
    {"do": "unsubscribe", "filter"}                                       -> "unsubscribed"
    {"do": "publish", "topic", "payload", "qos", "retain",
     "properties": {"UserProperty": [[name, value]], "ContentType": ..}}  -> "published"
    {"do": "disconnect"}                                                  -> "disconnected"

Every event has "event"; "connected" also "reason" and "session_present", "subscribed" and
"unsubscribed" a list "reasons", "published" and "disconnected" a "reason". A message that
arrives is {"event": "message", "topic", "payload", "qos", "retain", "dup", "properties"}.
What Paho itself refuses, or cannot connect to, is {"event": "error", "what": ...}.
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

OUTPUT = threading.Lock()


def say(event, **details):
    with OUTPUT:
        print(json.dumps({"event": event, **details}), flush=True)


def property_set(packet_type, values):
    """Paho's property set from names as Paho spells them."""
    result = Properties(packet_type)
    for name, value in values.items():
        if name == "UserProperty":
            value = [tuple(pair) for pair in value]
        elif name == "CorrelationData":
            value = value.encode()
        setattr(result, name, value)
    return result


def as_json(received):
    """The other way round: what arrived, in JSON's types."""
    if received is None:
        return {}
    result = {}
    for name in received.names.keys():
        attribute = name.replace(" ", "")
        if hasattr(received, attribute):
            value = getattr(received, attribute)
            result[attribute] = value.decode() if isinstance(value, bytes) else value
    return result


class Driver:
    def __init__(self, host, port, version, client_id):
        self.host, self.port, self.client_id = host, port, client_id
        self.version = {4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
        self.v5 = version == 5
        self.client = None

    def new_client(self, clean):
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=self.version,
            clean_session=None if self.v5 else clean,
            reconnect_on_failure=False,
        )
        client.on_connect = lambda _c, _u, flags, reason, props: say(
            "connected",
            reason=reason.value,
            session_present=flags.session_present,
            properties=as_json(props),
        )
        client.on_disconnect = lambda _c, _u, flags, reason, _p: say(
            "disconnected", reason=reason.value, by_server=flags.is_disconnect_packet_from_server
        )
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: say(
            "subscribed", reasons=[reason.value for reason in reasons]
        )
        client.on_unsubscribe = lambda _c, _u, _mid, reasons, _p: say(
            "unsubscribed", reasons=[reason.value for reason in reasons]
        )
        client.on_publish = lambda _c, _u, _mid, reason, _p: say("published", reason=reason.value)
        client.on_message = lambda _c, _u, message: say(
            "message",
            topic=message.topic,
            payload=message.payload.decode(),
            qos=message.qos,
            retain=message.retain,
            dup=message.dup,
            properties=as_json(message.properties),
        )
        return client

    def connect(self, clean=True, expiry=0, keep_alive=60, will=None, properties=None):
        self.client = self.new_client(clean)
        if will is not None:
            delay = {"WillDelayInterval": will["delay"]} if "delay" in will else {}
            self.client.will_set(
                will["topic"],
                will["payload"],
                will.get("qos", 0),
                will.get("retain", False),
                property_set(PacketTypes.WILLMESSAGE, delay) if delay else None,
            )
        if self.v5:
            session = property_set(
                PacketTypes.CONNECT, {"SessionExpiryInterval": expiry, **(properties or {})}
            )
            self.client.connect(self.host, self.port, keep_alive, clean_start=clean, properties=session)
        else:
            self.client.connect(self.host, self.port, keep_alive)
        self.client.loop_start()

    def reconnect(self):
        self.client.loop_stop()
        self.client.reconnect()
        self.client.loop_start()

    def subscribe(self, filter, qos=0, options=None, identifier=None):
        if not self.v5:
            self.client.subscribe(filter, qos)
            return
        extra = {"SubscriptionIdentifier": identifier} if identifier else {}
        self.client.subscribe(
            filter,
            options=SubscribeOptions(qos, **(options or {})),
            properties=property_set(PacketTypes.SUBSCRIBE, extra),
        )

    def unsubscribe(self, filter):
        self.client.unsubscribe(filter)

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        extra = {"properties": property_set(PacketTypes.PUBLISH, properties)} if properties else {}
        self.client.publish(topic, payload, qos, retain, **extra)

    def disconnect(self):
        self.client.disconnect()


def main():
    host, port, version, client_id = sys.argv[1:5]
    driver = Driver(host, int(port), int(version), client_id)
    actions = {"connect", "reconnect", "subscribe", "unsubscribe", "publish", "disconnect"}
    for line in sys.stdin:
        command = json.loads(line)
        action = command.pop("do")
        if action not in actions:
            say("error", what=f"no such action: {action}")
            continue
        try:
            getattr(driver, action)(**command)
        except (OSError, ValueError, mqtt.MQTTException) as error:
            say("error", what=f"{action}: {error}")


if __name__ == "__main__":
    main()

/* Eclipse Paho's C library: says a message of each QoS to itself.
 *
 *     paho_echo URL VERSION CA CERTIFICATE KEY        VERSION: 3, 4 or 5
 *
 * URL is tcp://, ssl://, ws:// or wss://. Prints "TOPIC QOS PAYLOAD" for each message that comes back
 * and ends with status 0 when all have. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <MQTTClient.h>

static void check(int code, const char *what) {
    if (code < 0 || (code > 2 && code != MQTTREASONCODE_GRANTED_QOS_2)) {
        fprintf(stderr, "%s: %d\n", what, code);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int version = atoi(argv[2]), is_v5 = version == 5;

    MQTTClient client;
    MQTTClient_createOptions creation = MQTTClient_createOptions_initializer;
    creation.MQTTVersion = version;
    char name[32];
    snprintf(name, sizeof name, "paho-c-%d", version);
    check(MQTTClient_createWithOptions(&client, argv[1], name, MQTTCLIENT_PERSISTENCE_NONE, NULL, &creation),
          "create");

    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    tls.trustStore = argv[3];
    tls.keyStore = argv[4];
    tls.privateKey = argv[5];
    MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions *options = is_v5 ? &v5 : &v3;
    options->MQTTVersion = version;
    options->connectTimeout = 10;
    options->ssl = &tls;

    if (is_v5) {
        check(MQTTClient_connect5(client, options, NULL, NULL).reasonCode, "connect");
        check(MQTTClient_subscribe5(client, "echo/#", 2, NULL, NULL).reasonCode, "subscribe");
    } else {
        check(MQTTClient_connect(client, options), "connect");
        check(MQTTClient_subscribe(client, "echo/#", 2), "subscribe");
    }
    for (int qos = 0; qos <= 2; qos++) {
        char topic[16];
        snprintf(topic, sizeof topic, "echo/%d", qos);
        MQTTClient_deliveryToken token;
        if (is_v5) {
            check(MQTTClient_publish5(client, topic, 5, "hello", qos, 0, NULL, &token).reasonCode, "publish");
        } else {
            check(MQTTClient_publish(client, topic, 5, "hello", qos, 0, &token), "publish");
        }
        char *heard;
        int length;
        MQTTClient_message *message = NULL;
        check(MQTTClient_receive(client, &heard, &length, &message, 10000), "receive");
        if (!message) {
            fprintf(stderr, "nothing came back\n");
            return 1;
        }
        printf("%s %d %.*s\n", heard, message->qos, message->payloadlen, (char *)message->payload);
        MQTTClient_freeMessage(&message);
        MQTTClient_free(heard);
        if (qos > 0) check(MQTTClient_waitForCompletion(client, token, 10000), "completion");
    }
    if (is_v5) {
        check(MQTTClient_disconnect5(client, 1000, 0, NULL), "disconnect");
    } else {
        check(MQTTClient_disconnect(client, 1000), "disconnect");
    }
    MQTTClient_destroy(&client);
    return 0;
}

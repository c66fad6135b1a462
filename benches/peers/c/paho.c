/* The asynchronous client of Eclipse Paho in C, 3.1.1. */
#include <MQTTAsync.h>

/* With as many in flight as it is allowed it waits for a second: it is allowed more than it is given. */
#define AHEAD IN_FLIGHT
#include "common.h"

static void on_ready(void *own, MQTTAsync_successData *answer)
{
    is_ready();
}

static void on_delivered(void *own, MQTTAsync_successData *answer)
{
    add(&acknowledged);
}

static void on_failure(void *own, MQTTAsync_failureData *answer)
{
    exit(1);
}

static int on_message(void *own, char *topic, int len, MQTTAsync_message *message)
{
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    add(&received);
    return 1;
}

static void *connect_to(int port)
{
    static int count;
    char server[64], id[32];
    snprintf(server, sizeof server, "tcp://127.0.0.1:%d", port);
    snprintf(id, sizeof id, "bench%d", ++count);
    MQTTAsync client;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    create.sendWhileDisconnected = 0;
    create.maxBufferedMessages = 2 * AHEAD;
    if (MQTTAsync_createWithOptions(&client, server, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create))
        exit(1);
    MQTTAsync_setCallbacks(client, NULL, NULL, on_message, NULL);
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.maxInflight = 2 * IN_FLIGHT;
    options.onSuccess = on_ready;
    options.onFailure = on_failure;
    if (MQTTAsync_connect(client, &options)) exit(1);
    wait_until_ready(count);
    return client;
}

static void subscribe(void *client, const char *filter, int qos)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_ready;
    options.onFailure = on_failure;
    if (MQTTAsync_subscribe(client, filter, qos, &options)) exit(1);
    wait_until_ready(2);
}

static void publish(void *client, const char *topic, int qos, int size, const char *payload)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_delivered;
    options.onFailure = on_failure;
    /* It has a bound of its own on what waits. */
    while (MQTTAsync_send(client, topic, size, payload, qos, 0, &options)) pause_for(0.0001);
}

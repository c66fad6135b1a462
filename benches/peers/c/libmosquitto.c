/* libmosquitto, 3.1.1, with its own thread. */
#include <mosquitto.h>

#include "common.h"

static void on_connect(struct mosquitto *client, void *own, int result)
{
    if (result) exit(1);
    is_ready();
}

static void on_subscribe(struct mosquitto *client, void *own, int id, int count, const int *qos)
{
    is_ready();
}

static void on_publish(struct mosquitto *client, void *own, int id)
{
    add(&acknowledged);
}

static void on_message(struct mosquitto *client, void *own, const struct mosquitto_message *message)
{
    add(&received);
}

static void *connect_to(int port)
{
    static int count;
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(NULL, true, NULL);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_message_callback_set(client, on_message);
    mosquitto_max_inflight_messages_set(client, IN_FLIGHT);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_loop_start(client);
    if (mosquitto_connect(client, "127.0.0.1", port, 60)) exit(1);
    wait_until_ready(++count);
    return client;
}

static void subscribe(void *client, const char *filter, int qos)
{
    if (mosquitto_subscribe(client, NULL, filter, qos)) exit(1);
    wait_until_ready(2);
}

static void publish(void *client, const char *topic, int qos, int size, const char *payload)
{
    if (mosquitto_publish(client, NULL, topic, size, payload, qos, false)) exit(1);
}

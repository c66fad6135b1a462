/* What the C clients have in common: arguments, figures, and counting. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef AHEAD
#define AHEAD 1000
#endif

enum { IN_FLIGHT = 100, ROUND_TRIPS = 1000, IDLE = 50 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long acknowledged, received;
static int ready;

static void add(long *counter)
{
    pthread_mutex_lock(&lock);
    ++*counter;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void is_ready(void)
{
    pthread_mutex_lock(&lock);
    ++ready;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(long *counter, long count)
{
    pthread_mutex_lock(&lock);
    while (*counter < count) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void wait_until_ready(int count)
{
    pthread_mutex_lock(&lock);
    while (ready < count) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static double seconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void pause_for(double time)
{
    struct timespec left = { (time_t)time, (long)((time - (time_t)time) * 1e9) };
    nanosleep(&left, NULL);
}

static int by_size(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}

static double number_in(const char *file, const char *name)
{
    char line[256];
    double number = 0;
    FILE *status = fopen(file, "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, name, strlen(name))) number = atof(line + strlen(name));
    if (status) fclose(status);
    return number;
}

static double wake_ups(void)
{
    double sum = 0;
    char file[300];
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        snprintf(file, sizeof file, "/proc/self/task/%s/status", task->d_name);
        if (task->d_name[0] != '.') sum += number_in(file, "voluntary_ctxt_switches:");
    }
    if (tasks) closedir(tasks);
    return sum;
}

/* What each client has of its own. */
static void *connect_to(int port);
static void subscribe(void *client, const char *filter, int qos);
static void publish(void *client, const char *topic, int qos, int size, const char *payload);

static void run(int port, const char *way, int qos, int size, long count)
{
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
    int echoes = !strcmp(way, "echo"), receives = echoes || !strcmp(way, "receive");
    char filter[64], *payload = malloc(size);
    memset(payload, 'x', size);
    snprintf(filter, sizeof filter, echoes ? "echo" : "%ld/%d", count, size);
    void *client = connect_to(port);
    if (receives) subscribe(client, filter, qos);
    if (echoes || !receives) {
        const char *topic = echoes ? "echo" : "residence/kitchen/temperature";
        for (long sent = 0; sent < count; sent++) {
            if (sent >= AHEAD) wait_for(&acknowledged, sent - AHEAD);
            publish(client, topic, qos, size, payload);
        }
        wait_for(&acknowledged, count);
    }
    if (receives) wait_for(&received, count);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%g %g\n", cpu / count * 1e6, count / (seconds(CLOCK_MONOTONIC) - start));
}

static void round_trips(int port)
{
    static double times[ROUND_TRIPS];
    void *client = connect_to(port);
    for (int n = 0; n < ROUND_TRIPS; n++) {
        double start = seconds(CLOCK_MONOTONIC);
        publish(client, "a/b", 1, 4, "21.5");
        wait_for(&acknowledged, n + 1);
        times[n] = (seconds(CLOCK_MONOTONIC) - start) * 1e6;
        pause_for(0.001);
    }
    qsort(times, ROUND_TRIPS, sizeof *times, by_size);
    printf("%g %g\n", times[ROUND_TRIPS / 2], times[ROUND_TRIPS * 99 / 100]);
}

static void idle(int port)
{
    double memory = 0;
    for (int n = 0; n <= IDLE; n++) {
        connect_to(port);
        if (n == 0) {
            pause_for(0.2);
            memory = number_in("/proc/self/status", "VmRSS:");
        }
    }
    pause_for(0.5);
    memory = (number_in("/proc/self/status", "VmRSS:") - memory) / IDLE;
    double before = wake_ups();
    pause_for(1);
    printf("%g %g\n", memory, wake_ups() - before);
}

int main(int count, char **words)
{
    int port = count > 3 ? atoi(words[3]) : 0;
    if (count > 7 && !strcmp(words[1], "run"))
        run(port, words[4], atoi(words[5]), atoi(words[6]), atol(words[7]));
    else if (count > 3 && !strcmp(words[1], "round-trip"))
        round_trips(port);
    else if (count > 3 && !strcmp(words[1], "idle"))
        idle(port);
    fflush(stdout);
    /* What is still connected has nothing to lose. */
    _exit(0);
}

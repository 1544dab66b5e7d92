/*
 * A user who wants the helper to itself: floods a socket until it is killed.
 * Usage: flooder SOCKET KIND [CONNECTIONS]
 *
 *   connect    opens 10,000 connections as fast as it can, keeps those that it gets, and says nothing
 *   requests   asks for costly subscriptions, snapshots and replays over and over, and reads what it is answered
 *   filters    makes as many costly subscriptions as it can, and reads what they are told
 *   floodgates makes as many subscriptions to everything as it can, no two alike, and reads what they are told
 *   halves     begins frames of 64 KiB, and never ends them
 *   hoards     asks for all processes that it can be told of, and reads nothing
 *   deaf       subscribes to everything, 64 times on each connection, and reads nothing
 *
 * A connection that ends is opened again. Once a second it prints how many are open, and how many have ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { subscriptions = 64, patterns = 64, pattern_length = 32, frame_limit = 64 * 1024 };

struct kind {
    const char *name;
    int connections, is_deaf, repeats;
    /* Adds what is said for the round-th time. */
    void (*say)(int round);
};

struct connection {
    int fd, round;
    uint8_t *said;
    size_t length, sent;
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int epoll;
static long open_now, ended;
static uint32_t mark;

/* What is being written: frames of msgpack. */
static uint8_t *out;
static size_t at, frame;

static void put(int byte) {
    out[at++] = (uint8_t)byte;
}

static void put_number(uint32_t number) {
    put(0xce);
    for (int shift = 24; shift >= 0; shift -= 8) put((int)(number >> shift));
}

static void put_text(const char *text) {
    size_t length = strlen(text);
    put(0xd9);
    put((int)length);
    memcpy(out + at, text, length);
    at += length;
}

static void begin(int elements, const char *type) {
    frame = at;
    at += 4;
    put(0x90 | elements);
    put_text(type);
}

static void end(void) {
    uint32_t length = (uint32_t)(at - frame - 4);
    for (int i = 0; i < 4; i++) out[frame + (size_t)i] = (uint8_t)(length >> (24 - 8 * i));
}

static void say_hello(void) {
    begin(2, "hello");
    put(0x82);
    put_text("versions");
    put(0x92);
    put(1);
    put(1);
    put_text("software");
    put_text("flooder");
    end();
}

/* As many patterns as are allowed, as long as is allowed, each of which fails only in the end; no two alike. */
static void put_costly_filter(void) {
    put(0x81);
    put_text("args");
    put(0xdc);
    put(0);
    put(patterns);
    for (int i = 0; i < patterns; i++) {
        char pattern[pattern_length + 1];
        memset(pattern, 'a', pattern_length);
        pattern[0] = '*';
        snprintf(pattern + pattern_length - 10, 11, "?%08x*", mark++);
        put_text(pattern);
    }
}

static void subscribe_costly(int request) {
    begin(3, "subscribe");
    put_number((uint32_t)request);
    put_costly_filter();
    end();
}

static void unsubscribe(int request) {
    begin(3, "unsubscribe");
    put_number((uint32_t)(1000 + request));
    put_number((uint32_t)request);
    end();
}

/* Subscribes to everything, with all there is to tell; since the beginning, if so wanted. */
static void subscribe_to_all(int request, const char *option, uint32_t value) {
    begin(4, "subscribe");
    put_number((uint32_t)request);
    put(0x81);
    put_text("include");
    put(0x97);
    const char *all[] = {"exe", "args", "cwd", "cgroup", "container", "user", "ancestors"};
    for (int i = 0; i < 7; i++) put_text(all[i]);
    put(0x81);
    put_text(option);
    put_number(value);
    end();
}

static void say_nothing(int round) {
    (void)round;
}

static void say_requests(int round) {
    if (round == 0) say_hello();
    for (int request = 1; request < subscriptions; request++) {
        subscribe_costly(request);
        unsubscribe(request);
        begin(2, "ping");
        put_number(1);
        end();
        begin(4, "snapshot");
        put_number(1);
        put(0x81);
        put_text("not");
        put_costly_filter();
        put(0xc3);
        end();
    }
    subscribe_to_all(subscriptions, "sinceTime", 0);
    unsubscribe(subscriptions);
}

static void say_filters(int round) {
    if (round == 0) say_hello();
    for (int request = 1; request <= subscriptions; request++) subscribe_costly(request);
}

/* A delay makes a group of its own, and the shortest ones the most messages. */
static void say_floodgates(int round) {
    if (round == 0) say_hello();
    for (int request = 1; request <= subscriptions; request++) subscribe_to_all(request, "maxDelay", mark++);
}

static void say_half(int round) {
    if (round == 0) say_hello();
    out[at++] = 0;
    out[at++] = 0;
    out[at++] = 0xff;
    out[at++] = 0xff;
    memset(out + at, 0xc0, frame_limit / 2);
    at += frame_limit / 2;
}

static void say_all(int round) {
    if (round == 0) say_hello();
    for (int request = 1; request <= subscriptions; request++) subscribe_to_all(request, "maxDelay", 0);
}

static void say_list(int round) {
    if (round == 0) say_hello();
    begin(4, "snapshot");
    put_number(1);
    put(0x80);
    put(0xc3);
    end();
}

static const struct kind kinds[] = {
    {"connect", 10000, 1, 0, say_nothing},
    {"requests", 64, 0, 1, say_requests},
    {"filters", 64, 0, 0, say_filters},
    {"floodgates", 64, 0, 0, say_floodgates},
    {"halves", 1000, 1, 0, say_half},
    {"hoards", 256, 1, 0, say_list},
    {"deaf", 64, 1, 0, say_all},
};
static const struct kind *kind;

static void fail(const char *what) {
    perror(what);
    exit(99);
}

static void speak(struct connection *c) {
    out = c->said;
    at = 0;
    kind->say(c->round++);
    c->length = at;
    c->sent = 0;
}

static void watch(struct connection *c, int operation) {
    int is_talking = c->sent < c->length;
    struct epoll_event event = {.data.ptr = c};
    event.events = (is_talking ? EPOLLOUT : 0) | (kind->is_deaf ? 0 : EPOLLIN);
    if (epoll_ctl(epoll, operation, c->fd, &event) < 0) fail("epoll_ctl");
}

/* Opens a connection, unless there is no room for it at the moment. */
static int try_open(struct connection *c) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) return 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return 0;
    }
    *c = (struct connection){.fd = fd, .said = c->said};
    open_now++;
    speak(c);
    watch(c, EPOLL_CTL_ADD);
    return 1;
}

static void lose(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    open_now--;
    ended++;
}

static void serve(struct connection *c, uint32_t events) {
    static uint8_t heard[256 * 1024];
    if (events & (EPOLLHUP | EPOLLERR)) { lose(c); return; }
    if (events & EPOLLIN && read(c->fd, heard, sizeof heard) == 0) { lose(c); return; }
    if (!(events & EPOLLOUT)) return;
    ssize_t bytes = send(c->fd, c->said + c->sent, c->length - c->sent, MSG_NOSIGNAL);
    if (bytes < 0 && errno != EAGAIN) { lose(c); return; }
    if (bytes > 0) c->sent += (size_t)bytes;
    if (c->sent < c->length) return;
    if (kind->repeats) speak(c);
    else watch(c, EPOLL_CTL_MOD);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) if (!strcmp(argv[2], kinds[i].name)) kind = &kinds[i];
    if (kind == NULL) return 64;
    int count = argc > 3 ? atoi(argv[3]) : kind->connections;
    raise_descriptor_limit();
    epoll = epoll_create1(0);
    struct connection *all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count; i++) {
        all[i].fd = -1;
        /* Pages that nothing is written to cost nothing. */
        if (kind->say != say_nothing) all[i].said = malloc(1024 * 1024);
    }
    static struct epoll_event events[256];
    for (time_t told = 0;;) {
        int has_room = 1;
        for (int i = 0; i < count && has_room; i++) if (all[i].fd < 0) has_room = try_open(&all[i]);
        int ready = epoll_wait(epoll, events, 256, 1);
        for (int i = 0; i < ready; i++) serve(events[i].data.ptr, events[i].events);
        if (time(NULL) == told) continue;
        told = time(NULL);
        printf("open %ld ended %ld\n", open_now, ended);
        fflush(stdout);
    }
}

/*
 * Reads the streams of many subscriptions at little cost, and accounts for each of them.
 * Usage: reader SOCKET CONNECTIONS HEX
 *
 * Sends the bytes HEX on every connection: a hello and one subscription. Says "subscribed" when all of them are. It
 * ends when each connection has been told that a process has taken the name "reader-end", and then prints a line of
 * JSON for each: where it started and ended, what it received, and what it was told that it lost. What came behind
 * the name "reader-begin" is hashed, event by event.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct connection {
    int fd, subscribed, hashing, ended;
    uint64_t start, last, events, lost_kernel, lost_queue, lost_journal, losses, hash, hashed;
    size_t have;
    uint8_t *buffer;
};

static const size_t room = 2 * 1024 * 1024;

static void fail(const char *what) {
    perror(what);
    exit(99);
}

static uint64_t big_endian(const uint8_t *p, int bytes) {
    uint64_t value = 0;
    while (bytes-- > 0) value = value << 8 | *p++;
    return value;
}

/* How many values an array or a map has, which begins at *p; moves behind its head. */
static uint64_t open_list(const uint8_t **p) {
    uint8_t head = *(*p)++;
    if ((head & 0xf0) == 0x90 || (head & 0xf0) == 0x80) return head & 0x0f;
    int bytes = head == 0xdc || head == 0xde ? 2 : 4;
    uint64_t count = big_endian(*p, bytes);
    *p += bytes;
    return count;
}

/* Goes on with a hash; eight bytes at a time, so that readers keep up with a storm. */
static uint64_t hash(uint64_t sum, const uint8_t *bytes, size_t length) {
    uint64_t word;
    for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
    }
    for (; length > 0; bytes++, length--) sum = (sum ^ *bytes) * 0x100000001b3;
    return sum;
}

static int is_map(uint8_t head) {
    return (head & 0xf0) == 0x80 || head == 0xde || head == 0xdf;
}

static int is_array(uint8_t head) {
    return (head & 0xf0) == 0x90 || head == 0xdc || head == 0xdd;
}

/* The number or the string at p; moves behind it. */
static uint64_t number(const uint8_t **p) {
    uint8_t head = *(*p)++;
    if (head < 0x80) return head;
    int bytes = head == 0xcc || head == 0xd0 ? 1 : head == 0xcd || head == 0xd1 ? 2 : head == 0xce || head == 0xd2 ? 4 : 8;
    uint64_t value = big_endian(*p, bytes);
    *p += bytes;
    return value;
}

static size_t text(const uint8_t **p, const char **start) {
    uint8_t head = *(*p)++;
    size_t length = head & 0x1f;
    if (head >= 0xd9) {
        int bytes = head == 0xd9 ? 1 : head == 0xda ? 2 : 4;
        length = big_endian(*p, bytes);
        *p += bytes;
    }
    *start = (const char *)*p;
    *p += length;
    return length;
}

static void skip(const uint8_t **p) {
    uint8_t head = **p;
    const char *unused;
    if (is_array(head) || is_map(head)) {
        uint64_t count = open_list(p) * (is_map(head) ? 2 : 1);
        while (count-- > 0) skip(p);
    } else if ((head & 0xe0) == 0xa0 || (head >= 0xd9 && head <= 0xdb)) {
        text(p, &unused);
    } else if (head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3) {
        (*p)++;
    } else if (head == 0xca || head == 0xcb) {
        *p += head == 0xca ? 5 : 9;
    } else {
        number(p);
    }
}

static void take_event(struct connection *c, const uint8_t **p) {
    const uint8_t *begin = *p, *field = begin;
    const char *type;
    open_list(&field);
    int is_comm = text(&field, &type) == 4 && !memcmp(type, "comm", 4);
    if (c->ended) { skip(p); return; }
    c->last = number(&field);
    c->events++;
    skip(p);
    size_t length = (size_t)(*p - begin);
    if (is_comm && memmem(begin, length, "\xacreader-begin", 13)) { c->hashing = 1; return; }
    if (is_comm && memmem(begin, length, "\xaareader-end", 11)) { c->ended = 1; return; }
    if (!c->hashing) return;
    c->hashed++;
    c->hash = hash(c->hash, begin, length);
}

static void take_result(struct connection *c, const uint8_t *p) {
    const char *key;
    for (uint64_t count = open_list(&p); count > 0; count--) {
        size_t length = text(&p, &key);
        if (length == 3 && !memcmp(key, "seq", 3)) c->start = c->last = number(&p);
        else skip(&p);
    }
    c->subscribed = 1;
}

static void take_loss(struct connection *c, const uint8_t *p) {
    const char *where;
    skip(&p);
    skip(&p);
    size_t length = text(&p, &where);
    uint64_t count = number(&p);
    if (c->ended) return;
    c->losses++;
    if (length == 5) c->lost_queue += count;
    else if (length == 6) c->lost_kernel += count;
    else c->lost_journal += count;
    number(&p);
    c->last = number(&p);
}

static void take_message(struct connection *c, const uint8_t *p) {
    const char *type;
    open_list(&p);
    size_t length = text(&p, &type);
    if (length == 5 && !memcmp(type, "hello", 5)) return;
    if (length != 6 && length != 4) { fprintf(stderr, "%.*s\n", (int)length, type); exit(98); }
    skip(&p); /* the request or the subscription */
    if (!memcmp(type, "result", 6)) take_result(c, p);
    else if (!memcmp(type, "lost", 4)) take_loss(c, p);
    else if (!memcmp(type, "events", 6)) {
        skip(&p);
        skip(&p);
        for (uint64_t count = open_list(&p); count > 0; count--) take_event(c, &p);
    }
}

static void receive(struct connection *c) {
    ssize_t bytes = read(c->fd, c->buffer + c->have, room - c->have);
    if (bytes <= 0) { fprintf(stderr, "a connection has ended\n"); exit(97); }
    c->have += (size_t)bytes;
    size_t at = 0;
    while (c->have - at >= 4) {
        size_t length = big_endian(c->buffer + at, 4);
        if (c->have - at - 4 < length) break;
        take_message(c, c->buffer + at + 4);
        at += 4 + length;
    }
    memmove(c->buffer, c->buffer + at, c->have - at);
    c->have -= at;
}

static void open_connection(struct connection *c, const char *path, const uint8_t *said, size_t length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    c->buffer = malloc(room);
    c->hash = 0xcbf29ce484222325;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    if (write(c->fd, said, length) != (ssize_t)length) fail("write");
}

int main(int argc, char **argv) {
    if (argc != 4) return 64;
    int count = atoi(argv[2]);
    size_t length = strlen(argv[3]) / 2;
    uint8_t *said = malloc(length);
    for (size_t i = 0; i < length; i++) sscanf(argv[3] + 2 * i, "%2hhx", &said[i]);
    struct connection *all = calloc((size_t)count, sizeof *all);
    struct pollfd *waits = calloc((size_t)count, sizeof *waits);
    for (int i = 0; i < count; i++) {
        open_connection(&all[i], argv[1], said, length);
        waits[i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
    }
    for (int told = 0, left = count; left > 0;) {
        if (poll(waits, (nfds_t)count, -1) < 0) continue;
        int subscribed = 0;
        left = 0;
        for (int i = 0; i < count; i++) {
            if (waits[i].revents) receive(&all[i]);
            subscribed += all[i].subscribed;
            left += !all[i].ended;
        }
        if (subscribed == count && !told) {
            told = 1;
            printf("subscribed\n");
            fflush(stdout);
        }
    }
    for (int i = 0; i < count; i++) {
        struct connection *c = &all[i];
        printf("{\"start\":%lu,\"last\":%lu,\"events\":%lu,\"losses\":%lu,\"kernel\":%lu,\"queue\":%lu,\"journal\":%lu,"
               "\"hashed\":%lu,\"hash\":\"%016lx\"}\n",
               c->start, c->last, c->events, c->losses, c->lost_kernel, c->lost_queue, c->lost_journal, c->hashed, c->hash);
    }
    return 0;
}

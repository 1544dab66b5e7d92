/*
 * The textbook listener of the proc connector: a buffer of 64 MiB, and one recv(2) for each event.
 *
 *   reference           counts until SIGTERM, and prints how many there were and how often the kernel dropped some
 *   reference timed     ends with the load, and prints for each event since it began how late it came, in ns
 *   reference deaf      has the kernel drop all of it by a filter: what it takes that somebody listens at all
 */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* See load.c. */
enum { BEGIN = 54321, END = 54322 };

static volatile sig_atomic_t stopped;
static void stop(int signal) { stopped = signal; }

static void fail(const char *call) {
    perror(call);
    exit(1);
}

static void subscribe(int fd) {
    struct { struct nlmsghdr header; struct cn_msg message; enum proc_cn_mcast_op operation; }
        __attribute__((packed, aligned(4))) request = {0};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = NLMSG_DONE;
    request.message.id.idx = CN_IDX_PROC;
    request.message.id.val = CN_VAL_PROC;
    request.message.len = sizeof request.operation;
    request.operation = PROC_CN_MCAST_LISTEN;
    if (send(fd, &request, sizeof request, 0) < 0) fail("send");
}

static void drop_all(int fd) {
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) fail("setsockopt");
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
    if (fd < 0) fail("socket");
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    int bytes = 64 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) fail("setsockopt");
    if (argc > 1 && !strcmp(argv[1], "deaf")) drop_all(fd);
    subscribe(fd);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);

    int timed = argc > 1 && !strcmp(argv[1], "timed"), counting = 0;
    static long long late[1 << 22];
    size_t times = 0;
    long long events = 0, overflows = 0;
    char buffer[4096] __attribute__((aligned(8)));
    while (!stopped) {
        ssize_t received = recv(fd, buffer, sizeof buffer, 0);
        if (received < 0) {
            if (errno == ENOBUFS) overflows++;
            continue;
        }
        struct cn_msg *message = NLMSG_DATA((struct nlmsghdr *)buffer);
        struct proc_event *event = (struct proc_event *)message->data;
        events++;
        if (!timed) continue;
        if (event->what == PROC_EVENT_GID) {
            if (event->event_data.id.e.egid == BEGIN) counting = 1;
            if (event->event_data.id.e.egid == END) break;
        }
        if (counting && times < sizeof late / sizeof *late) late[times++] = now() - (long long)event->timestamp_ns;
    }
    for (size_t i = 0; i < times; i++) printf("%lld\n", late[i]);
    if (!timed) printf("{\"events\":%lld,\"overflows\":%lld}\n", events, overflows);
    return 0;
}

/*
 * The textbook listener of the proc connector: a buffer of 64 MiB, and one recv(2) for each event.
 *
 * On SIGTERM it prints how many events there were, and how often the kernel dropped some.
 */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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

int main(void) {
    int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
    if (fd < 0) fail("socket");
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    int bytes = 64 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) fail("setsockopt");
    subscribe(fd);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);

    long long events = 0, overflows = 0;
    char buffer[4096] __attribute__((aligned(8)));
    while (!stopped) {
        if (recv(fd, buffer, sizeof buffer, 0) >= 0) events++;
        else if (errno == ENOBUFS) overflows++;
    }
    printf("{\"events\":%lld,\"overflows\":%lld}\n", events, overflows);
    return 0;
}

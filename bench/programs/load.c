/*
 * Load for the benchmark.
 *
 *   load forks N              N processes that end at once, one after the other; 0 for without end
 *   load execs N PROGRAM      N processes that run a program, one after the other
 *   load threads N            N threads that end at once, one after the other
 *   load … rare M             the same, and one in M of them is called "rare"
 *   load paced N RATE         N processes that end at once, RATE in a second
 *   load crowd N              N processes that live until its input ends; it says when they do
 *
 * Where it begins and ends it takes an effective group for a moment, so that whoever listens can count between, also
 * one who is told no names; and is rare meanwhile where some are, for who is told of nothing else. It needs root.
 * At the end it prints the ns that it took.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *call) {
    perror(call);
    exit(1);
}

enum { BEGIN = 54321, END = 54322 };

static void name(const char *comm) { prctl(PR_SET_NAME, comm); }

static void mark(gid_t group) {
    if (setegid(group) || setegid(getgid())) fail("setegid");
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *nothing(void *argument) { return argument; }

static void begin_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL)) fail("pthread_create");
    pthread_join(thread, NULL);
}

static void begin_process(char *const program[]) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        if (program) execv(program[0], program);
        _exit(program ? 127 : 0);
    }
    waitpid(child, NULL, 0);
}

static int crowd(long count) {
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            pause();
            _exit(0);
        }
    }
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {}
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(NULL) > 0) {}
    return 0;
}

static void wait_until(long long time) {
    struct timespec until = {time / 1000000000, time % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    if (!strcmp(argv[1], "crowd")) {
        setpgid(0, 0);
        return crowd(atol(argv[2]));
    }
    const char *kind = argv[1];
    long count = atol(argv[2]);
    int threads = !strcmp(kind, "threads");
    char *const *program = !strcmp(kind, "execs") ? argv + 3 : NULL;
    long rate = !strcmp(kind, "paced") ? atol(argv[3]) : 0;

    long one_in = !strcmp(argv[argc - 2], "rare") ? atol(argv[argc - 1]) : 0;

    if (one_in) name("rare");
    mark(BEGIN);
    if (one_in) name("load");
    long long begun = now();
    for (long i = 0; count == 0 || i < count; i++) {
        if (rate) wait_until(begun + i * (1000000000LL / rate));
        int rare = one_in && i % one_in == one_in - 1;
        if (rare) name("rare");
        if (threads) begin_thread();
        else begin_process(program);
        if (rare) name("load");
    }
    long long took = now() - begun;
    // The exit of a thread is told a little after it has been joined.
    if (threads) usleep(20000);
    if (one_in) name("rare");
    mark(END);
    printf("%lld\n", took);
    return 0;
}

/*
 * Load for the benchmark.
 *
 *   load forks N              N processes that end at once, one after the other; 0 for without end
 *   load execs N PROGRAM      N processes that run a program, one after the other
 *   load threads N            N threads that end at once, one after the other
 *
 * It calls itself load-begin and load-end where it begins and ends, so that whoever listens can count between.
 * One process or thread in a hundred is called "rare". At the end it prints the ns that it took.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void name(const char *comm) { prctl(PR_SET_NAME, comm); }

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *call) {
    perror(call);
    exit(1);
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

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    const char *kind = argv[1];
    long count = atol(argv[2]);
    int threads = !strcmp(kind, "threads");
    char *const *program = !strcmp(kind, "execs") ? argv + 3 : NULL;

    name("load-begin");
    name("load");
    long long begun = now();
    for (long i = 0; count == 0 || i < count; i++) {
        if (i % 100 == 99) name("rare");
        if (threads) begin_thread();
        else begin_process(program);
        if (i % 100 == 99) name("load");
    }
    long long took = now() - begun;
    name("load-end");
    printf("%lld\n", took);
    return 0;
}

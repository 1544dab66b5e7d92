/*
 * Does one thing that the kernel tells as an event, and says on stdout which pids were involved.
 * Usage: actor DEED [ARGUMENT]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int number;

static void check(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void *exec_true(void *unused) {
    (void)unused;
    execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
    _exit(99);
}

static void *exit_later(void *unused) {
    (void)unused;
    char byte;
    check((int)read(0, &byte, 1), "read"); /* until the test says so */
    _exit(0);
}

static void *crash(void *unused) {
    (void)unused;
    printf("{\"thread\":%ld}\n", syscall(SYS_gettid));
    fflush(stdout);
    abort();
}

static void *nothing(void *unused) {
    return unused;
}

static void start(void *(*body)(void *)) {
    pthread_t thread;
    check(-pthread_create(&thread, NULL, body, NULL), "pthread_create");
}

static void run_threads(void) {
    for (int i = 0; i < number; i++) {
        pthread_t thread;
        check(-pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
        pthread_join(thread, NULL);
    }
}

static void allow_core(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_CORE, &limit), "setrlimit");
}

static void trace_a_child(void) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    check((int)ptrace(PTRACE_ATTACH, child, 0, 0), "attach");
    waitpid(child, NULL, __WALL);
    check((int)ptrace(PTRACE_DETACH, child, 0, 0), "detach");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("{\"child\":%d}\n", child);
}

/* Forks and reaps as fast as it can. */
static void fork_storm(void) {
    for (int i = 0; i < number; i++) {
        pid_t child = fork();
        if (child == 0) _exit(0);
        check(child, "fork");
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv) {
    const char *deed = argc > 1 ? argv[1] : "";
    number = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(deed, "exit")) return number;
    if (!strcmp(deed, "kill")) raise(number);
    if (!strcmp(deed, "uid")) check(setresuid(number, number + 1, number), "setresuid");
    if (!strcmp(deed, "gid")) check(setresgid(number, number + 1, number), "setresgid");
    if (!strcmp(deed, "sid")) check(setsid(), "setsid");
    if (!strcmp(deed, "name")) check(prctl(PR_SET_NAME, argv[2]), "prctl");
    if (!strcmp(deed, "ptrace")) trace_a_child();
    if (!strcmp(deed, "abort")) { allow_core(); abort(); }
    if (!strcmp(deed, "thread-abort")) { allow_core(); start(crash); for (;;) pause(); }
    if (!strcmp(deed, "thread-exec")) { start(exec_true); for (;;) pause(); }
    if (!strcmp(deed, "leader-exits")) { start(exit_later); syscall(SYS_exit, 0); }
    if (!strcmp(deed, "threads")) run_threads();
    if (!strcmp(deed, "fork-storm")) fork_storm();
    return 0;
}

/*
 * Does one thing that the kernel tells as an event, and says on stdout which pids were involved.
 * Usage: actor DEED [ARGUMENT]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

/* Waits until stdin ends. */
static void linger(void) {
    char bytes[256];
    while (read(0, bytes, sizeof bytes) > 0);
}

/* Becomes another user, really and in effect, without another program. */
static void become(int effective) {
    check(setresuid(number, effective, -1), "setresuid");
    printf("become\n");
    fflush(stdout);
    linger();
}

/* Runs a program as a daemon: in a session of its own, and as nobody's child. */
static void daemonize(char **command) {
    pid_t child = fork();
    check(child, "fork");
    if (child > 0) return;
    check(setsid(), "setsid");
    child = fork();
    check(child, "fork");
    if (child > 0) _exit(0);
    check(execvp(command[0], command), "exec");
}

/* Runs a program with a pid that is free, by telling the kernel that the one before was its last. */
static void take_pid(char **command) {
    for (int attempt = 1; attempt <= 1000; attempt++) {
        int last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        check(last, "ns_last_pid");
        check(dprintf(last, "%d", number - 1), "ns_last_pid");
        pid_t child = fork();
        check(child, "fork");
        if (child == 0) {
            if (getpid() != number) _exit(0);
            check(execvp(command[0], command), "exec");
        }
        close(last);
        if (child == number) printf("{\"attempts\":%d}\n", attempt);
        fflush(stdout);
        waitpid(child, NULL, 0);
        if (child == number) return;
    }
    errno = EBUSY;
    check(-1, "take-pid");
}

/* Runs a deed again, with 200 KiB of arguments that no terminal should be sent as they are. */
static void run_with_hostile_arguments(char *deed) {
    static const char piece[] = "\033[2J\033]0;title\007 \n\r\t\b\177 \x9b" "31m \xff\xfe \xc3( \xe2\x80\xae \xe2\x80\xa8 "
                                "\xf0\x9f\x98 \xed\xa0\x80 '\"\\`$(reboot)";
    static char argument[50 * 1024 + 1];
    for (size_t i = 0; i < sizeof argument - 1; i++) argument[i] = piece[i % (sizeof piece - 1)];
    char name[64] = {0};
    strncpy(name, argument, sizeof name - 1);
    char *arguments[] = {name, deed, argument, argument, argument, argument, NULL};
    check(prctl(PR_SET_NAME, "\033[31m\n\xff\x9b\177 \xe2\x80\xae"), "prctl");
    check(execv("/proc/self/exe", arguments), "exec");
}

static int lifeline[2], reports[2];

/* Lives until it is killed, or the crowd is gone. Some change before. */
static void join_crowd(int kind) {
    close(lifeline[1]);
    dup2(lifeline[0], 0);
    if (kind == 0) check(execl("/proc/self/exe", "actor", "linger", (char *)NULL), "exec");
    if (kind == 1) check(prctl(PR_SET_NAME, "renamed"), "prctl");
    if (kind == 2) check(setsid(), "setsid");
    linger();
    _exit(0);
}

/* A child, or an orphan that becomes ours: its parent ends at once. */
static pid_t new_member(int kind) {
    pid_t member = fork();
    check(member, "fork");
    if (member > 0 && kind != 3) return member;
    if (member > 0) {
        pid_t parent = member;
        check((int)read(reports[0], &member, sizeof member), "read");
        waitpid(parent, NULL, 0);
        return member;
    }
    if (kind == 3) {
        pid_t orphan = fork();
        check(orphan, "fork");
        if (orphan > 0) _exit(write(reports[1], &orphan, sizeof orphan) < 0);
    }
    join_crowd(kind);
    return 0;
}

/* So many processes, of which only some live at a time: the oldest goes when another one comes. */
static void crowd(int alive) {
    pid_t *members = calloc(number, sizeof *members);
    check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    check(pipe(lifeline), "pipe");
    check(pipe(reports), "pipe");
    for (int i = 0; i < number + alive; i++) {
        if (i >= alive && i - alive < number) {
            kill(members[i - alive], SIGKILL);
            waitpid(members[i - alive], NULL, 0);
        }
        if (i < number) members[i] = new_member(i % 10);
        if (i < number && i % 100 == 0) printf("at %d\n", i);
        fflush(stdout);
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
    if (!strcmp(deed, "linger")) linger();
    if (!strcmp(deed, "become")) become(atoi(argv[3]));
    if (!strcmp(deed, "daemonize")) daemonize(argv + 2);
    if (!strcmp(deed, "take-pid")) take_pid(argv + 3);
    if (!strcmp(deed, "crowd")) crowd(atoi(argv[3]));
    if (!strcmp(deed, "hostile")) run_with_hostile_arguments(argv[2]);
    return 0;
}

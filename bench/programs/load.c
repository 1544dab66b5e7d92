/*
 * Load for the benchmark.
 *
 *   load forks N            N processes that end at once, one after the other; 0 for without end
 *   load execs N PROGRAM    N processes that run a program, one after the other
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    int execs = !strcmp(argv[1], "execs");
    long count = atol(argv[2]);
    for (long i = 0; count == 0 || i < count; i++) {
        pid_t child = fork();
        if (child < 0) { perror("fork"); return 1; }
        if (child == 0) {
            if (execs) execv(argv[3], argv + 3);
            _exit(execs ? 127 : 0);
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}

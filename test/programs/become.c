/*
 * Becomes another user, as su and sudo do, and runs a program as that user.
 * Usage: become UID NAME PROGRAM [ARGUMENT...]     names itself NAME before
 *        become UID NAME -                         the command comes from stdin, a word a line
 * It forks once before and once after it has become the other one, without an exec in between.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fork_once(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
    static char line[4096];
    char *words[16] = {0};
    char **command = argv + 3;
    if (argc < 4) return 64;
    if (!strcmp(argv[3], "-")) {
        for (int i = 0; i < 15 && fgets(line, sizeof line, stdin); i++) {
            line[strcspn(line, "\n")] = 0;
            words[i] = strdup(line);
        }
        command = words;
    }
    prctl(PR_SET_NAME, argv[2]);
    uid_t uid = (uid_t)atoi(argv[1]);
    fork_once();
    if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)) return 99;
    fork_once();
    if (setsid() < 0) fork_once();
    execv(command[0], command);
    return 98;
}

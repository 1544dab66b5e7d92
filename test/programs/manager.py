"""A service manager in small: what systemd does for a service with Type=notify, a socket, FileDescriptorStoreMax= and
Restart=always.

Usage: manager.py SOCKET NOTIFY [NAME=FILE...] -- COMMAND...

Says "started PID", "ended STATUS", and each line that the service tells. A line on stdin is the name of a signal for
the service, or one of: "hold" and "go", between which it is not started again; "deafen", after which the socket that
it has given to keep lets nothing through any more. Each FILE is kept from the beginning.
"""

import ctypes
import os
import select
import signal
import socket
import struct
import sys

listening, notify = sys.argv[1:3]
command = sys.argv[sys.argv.index("--") + 1 :]
files = (argument.partition("=") for argument in sys.argv[3 : sys.argv.index("--")])
kept = [(name, os.open(file, os.O_RDWR)) for name, _, file in files]

server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(listening)
server.listen(128)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
told.bind(notify)


def say(line):
    print(line, flush=True)


def start():
    given = [("procbus.socket", server.fileno()), *kept]
    pid = os.fork()
    if pid > 0:
        say(f"started {pid}")
        return pid, os.pidfd_open(pid)
    # It ends with us, whatever ends us.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    env = {
        **os.environ,
        "NOTIFY_SOCKET": notify,
        "WATCHDOG_USEC": "2000000",
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(len(given)),
        "LISTEN_FDNAMES": ":".join(name for name, _ in given),
    }
    # Out of the way first: some of them may have the numbers that others are to get.
    copies = [os.dup2(fd, 100 + index) for index, (_, fd) in enumerate(given)]
    for index, fd in enumerate(copies):
        os.dup2(fd, 3 + index)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.execvpe(command[0], command, env)


def hear():
    while True:
        try:
            data, fds, _, _ = socket.recv_fds(told, 4096, 4)
        except BlockingIOError:
            return
        lines = data.decode().split("\n")
        name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "")
        if "FDSTOREREMOVE=1" in lines:
            for one in [one for one in kept if one[0] == name]:
                kept.remove(one)
                os.close(one[1])
        for fd in fds:
            kept.append((name, fd))
        for line in lines:
            say(line)


def deafen():
    for name, fd in kept:
        if name != "netlink":
            continue
        # One BPF instruction: return 0, of a program of one.
        filter = struct.pack("=HBBI", 6, 0, 0, 0)
        buffer = bytearray(filter)
        place = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(place))
        one = socket.socket(fileno=os.dup(fd))
        one.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
        one.close()


pid, pidfd = start()
holding = False
while True:
    readable, _, _ = select.select([told, sys.stdin] + ([pidfd] if pidfd is not None else []), [], [])
    hear()
    if sys.stdin in readable:
        words = os.read(0, 4096).decode().split()
        if not words:
            break  # and with us ends what we have started
        for word in words:
            if word == "deafen":
                deafen()
            elif word in ("hold", "go"):
                holding = word == "hold"
            else:
                os.kill(pid, getattr(signal, word))
    if pidfd in readable:
        _, status = os.waitpid(pid, 0)
        hear()
        os.close(pidfd)
        pidfd = None
        say(f"ended {os.waitstatus_to_exitcode(status)}")
    if pidfd is None and not holding:
        pid, pidfd = start()

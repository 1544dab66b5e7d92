"""A minimal listener to the proc connector, independent of procbus: struct and socket alone.

Prints `ready`, then nothing until a line arrives on stdin; then one JSON object with what it saw:
{"events": [[type, pid, tid], ...], "dropped": n}.
"""

import json
import os
import select
import socket
import struct
import sys

NAMES = {
    0x1: "fork", 0x2: "exec", 0x4: "uid", 0x40: "gid", 0x80: "sid", 0x100: "ptrace",
    0x200: "comm", 0x40000000: "coredump", 0x80000000: "exit",
}  # fmt: skip

sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 11)
sock.setsockopt(270, 5, 1)  # NETLINK_NO_ENOBUFS
sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
sock.bind((0, 1))
listen = struct.pack("=IHHII", 40, 3, 0, 0, os.getpid()) + struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, 1)
sock.send(listen)

# Proof: an event of our own, before anybody relies on us.
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
select.select([sock], [], [], 10)
print("ready", flush=True)

events = []
told_to_stop = False
while True:
    readable, _, _ = select.select([sock, sys.stdin], [], [])
    told_to_stop = told_to_stop or sys.stdin in readable
    try:
        while True:
            datagram = sock.recv(1024)
            (what,) = struct.unpack_from("=I", datagram, 36)
            if what in NAMES:
                # "pid" of the kernel's struct is a thread, "tgid" a process; a fork tells of its child.
                tid, pid = struct.unpack_from("=II", datagram, 60 if what == 1 else 52)
                events.append([NAMES[what], pid, tid])
    except BlockingIOError:
        pass
    if told_to_stop:
        break

dropped = struct.unpack("=9I", sock.getsockopt(socket.SOL_SOCKET, 55, 36))[8]
json.dump({"events": events, "dropped": dropped}, sys.stdout)

#!/usr/bin/env python3
"""Print what processes do, one JSON object a line, as `procbus watch --json` does.

A client of the procbus protocol that was written from docs/protocol.md alone; the comments
name its sections. It needs Python 3.9 and the msgpack module (python3-msgpack).
"""
import argparse
import datetime
import itertools
import json
import os
import signal
import socket
import sys

import msgpack

DEFAULT_SOCKET = "/run/procbus/procbus.sock"  # "Transport"
LONGEST_PAYLOAD = 1_048_576  # "Frames": helper to client
VERSION = 1
REQUEST = 1  # our only request; it names the subscription as well, see "subscribe, unsubscribe"

# "Events": the elements that follow type, seq, kernelTime, cpu, pid and tid.
FIELDS = {
    "fork": ["ppid", "ptid"], "exec": [], "exit": ["status", "ppid"], "uid": ["uid", "euid"],
    "gid": ["gid", "egid"], "sid": [], "ptrace": ["tracerPid", "tracerTid"], "comm": ["comm"],
    "coredump": ["ppid"],
}


class Failure(Exception):
    """Takes a message for people, and a remedy or None."""
    def __init__(self, message, remedy=None):
        super().__init__(message, remedy)


# "Transport"
def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError as error:
        raise Failure(f"cannot connect to {path}: {error.strerror or error}",
                      "Is procbusd running, is this its socket, and may you open it?") from None
    return connection.makefile("rwb")


# "Frames": four bytes of length, then one msgpack value.
def send(stream, message):
    payload = msgpack.packb(message)
    try:
        stream.write(len(payload).to_bytes(4, "big") + payload)
        stream.flush()
    except ConnectionError:
        pass  # the helper has hung up; what it said before that is still there to be read


def read(stream, size):
    try:
        data = stream.read(size)
    except ConnectionError:
        data = b""
    if len(data) < size:
        raise Failure("the helper closed the connection")
    return data


def receive(stream):
    size = int.from_bytes(read(stream, 4), "big")
    if not 1 <= size <= LONGEST_PAYLOAD:
        raise ValueError(f"a frame of {size} bytes")
    return msgpack.unpackb(read(stream, size), strict_map_key=False)


# "Messages": an array that begins with its type; whoever asks for messages skips the types that
# it does not know. "error" and "goodbye" end this program wherever they come.
def messages(stream):
    while True:
        message = receive(stream)
        if not isinstance(message, list):
            raise ValueError("a message that is not an array")
        if message[0] == "error":
            _, _request, code, text, *remedy = message
            raise Failure(f"{text} ({code})", *remedy[:1])
        if message[0] == "goodbye":
            _, code, text, *remedy = message
            raise Failure(f"the helper says goodbye: {text} ({code})", *remedy[:1])
        yield message


# "hello": the client speaks first, and asks for nothing before the answer.
def say_hello(stream, incoming):
    send(stream, ["hello", {"versions": [VERSION, VERSION], "software": "watch.py/1"}])
    hello = next(message for message in incoming if message[0] == "hello")[1]
    if hello["version"] != VERSION:
        raise Failure(f"the helper chose version {hello['version']} of the protocol, not {VERSION}")


# "subscribe, unsubscribe", "Filters", then "Events" and "lost" until the connection ends.
def watch(stream, wanted):
    incoming = messages(stream)
    say_hello(stream, incoming)
    send(stream, ["subscribe", REQUEST, wanted])
    for message in incoming:
        if message[0] == "result" and message[1] == REQUEST:
            print("watch.py: watching", file=sys.stderr, flush=True)
        elif message[0] == "events" and message[1] == REQUEST:
            _, _, _seq, clock_offset, events, *_ = message
            yield from (event_object(event, clock_offset) for event in events if event[0] in FIELDS)
        elif message[0] == "lost" and message[1] == REQUEST:
            yield lost_object(message)


def common(kind, seq, kernel_time, clock_offset):
    since_1970 = datetime.timedelta(microseconds=(kernel_time + clock_offset) // 1000)
    time = (datetime.datetime(1970, 1, 1) + since_1970).isoformat(timespec="microseconds") + "Z"
    return {"type": kind, "seq": seq, "time": time, "kernelTime": str(kernel_time)}


# "Events"
def event_object(event, clock_offset):
    kind, seq, kernel_time, cpu, pid, tid, *_ = event
    result = {**common(kind, seq, kernel_time, clock_offset), "cpu": cpu, "pid": pid, "tid": tid}
    for index, name in enumerate(FIELDS[kind], start=6):
        result[name] = event[index]
        if name == "status":
            result.update(how_it_ended(event[index]))
    return result


# "Events", the status of "exit"; wait(2)
def how_it_ended(status):
    if status & 0x7F == 0:
        return {"exitCode": (status >> 8) & 0xFF}
    return {"signal": signal_name(status & 0x7F), "coreDumped": status & 0x80 != 0}


def signal_name(number):
    if 34 <= number <= 64:  # the real-time signals
        return {34: "SIGRTMIN", 64: "SIGRTMAX"}.get(number, f"SIGRTMIN+{number - 34}")
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


# "lost"
def lost_object(message):
    _, _, clock_offset, kernel_time, where, count, first, last, *_ = message
    return {**common("lost", last, kernel_time, clock_offset),
            "where": where, "count": count, "from": first, "to": last}


def arguments():
    def types(text):
        names = text.split(",")
        if not set(names) <= set(FIELDS):
            raise argparse.ArgumentTypeError("choose from " + ",".join(FIELDS))
        return names

    def positive(text):
        if not text.isdecimal() or int(text) == 0:
            raise argparse.ArgumentTypeError("must be a whole number above 0")
        return int(text)

    parser = argparse.ArgumentParser(prog="watch.py", description=__doc__.split("\n")[0])
    parser.add_argument("--socket", default=os.environ.get("PROCBUS_SOCKET") or DEFAULT_SOCKET)
    parser.add_argument("--events", type=types, help="only these types, such as exec,exit")
    parser.add_argument("--threads", action="store_true", help="single threads too")
    parser.add_argument("--count", type=positive, help="stop after so many lines")
    return parser.parse_args()


def main():
    options = arguments()
    wanted = {"threads": options.threads}
    if options.events:
        wanted["events"] = options.events
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        lines = watch(connect(options.socket), wanted)
        for line in itertools.islice(lines, options.count):
            text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
            print(text, flush=True)
        return 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads our output any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Failure as failure:
        complaints = [text for text in failure.args if text]
    except OSError as error:
        complaints = [f"cannot go on: {error.strerror or error}"]
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        complaints = [f"this is not the procbus protocol: {error!r}"]
    for text in complaints:
        print(f"watch.py: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Print what processes do, one JSON object a line, as `procbus watch --json` does.

A client of the procbus protocol, written from docs/protocol.md alone. Comments in "quotes" name
the sections of that page. Needs Python 3.9 and msgpack (Debian and Ubuntu: python3-msgpack).
"""
import argparse, contextlib, datetime, decimal, itertools, json, os, signal, socket, sys
import msgpack

DEFAULT_SOCKET = "/run/procbus/procbus.sock"  # "Transport"
LONGEST = 1_048_576  # "Frames": the longest payload that a helper sends, in bytes
VERSION = 1  # the one version of the protocol that is spoken here
SUBSCRIPTION = 1  # our only request; its number names the subscription, see "subscribe"
FIELDS = {  # "Events": what each type has behind its circumstances
    "fork": ["ppid", "ptid"], "exec": [], "exit": ["status", "ppid"], "uid": ["uid", "euid"],
    "gid": ["gid", "egid"], "sid": [], "ptrace": ["tracerPid", "tracerTid"], "comm": ["comm"],
    "coredump": ["ppid"],
}
PROCESS = [  # "Processes": in the order in which `procbus watch --json` prints them
    "id", "comm", "detail", "exe", "cwd", "cgroup", "container", "user", "args", "argsTruncated", "ancestors",
]
INCLUDES = ["exe", "args", "cwd", "cgroup", "container", "user", "ancestors"]
SIGNALS = {  # Python has no names for most real-time signals, and before 3.11 none for 16
    **{number.value: number.name for number in signal.Signals},
    **{number: f"SIGRTMIN+{number - 34}" for number in range(35, 64)},
    16: "SIGSTKFLT", 34: "SIGRTMIN", 64: "SIGRTMAX",
}


def fail(message, remedy=None):
    sys.exit("\n".join(f"watch.py: {text}" for text in (message, remedy) if text))


# "Frames": four bytes of length, then one msgpack value
def send(stream, message):
    payload = msgpack.packb(message)
    with contextlib.suppress(ConnectionError):  # hung up: what it said before can still be read
        stream.write(len(payload).to_bytes(4, "big") + payload)
        stream.flush()


def receive(stream):
    size = int.from_bytes(read(stream, 4), "big")
    if not 1 <= size <= LONGEST:
        raise ValueError(f"a frame of {size} bytes")
    return msgpack.unpackb(read(stream, size), strict_map_key=False)


def read(stream, size):
    with contextlib.suppress(ConnectionError):
        data = stream.read(size)
        if len(data) == size:
            return data
    fail("the helper closed the connection without a goodbye")


# "Messages": arrays that begin with their type. Types, elements and keys that are not known must
# be passed over, hence the *_ further down. "error" and "goodbye" are the end of this program.
def messages(stream):
    while True:
        message = receive(stream)
        if not isinstance(message, list) or not message:
            raise ValueError("a message that is no array, or an empty one")
        if message[0] in ("error", "goodbye"):
            code, text, *remedy = message[2:] if message[0] == "error" else message[1:]
            fail(f"{message[0]} from the helper: {text} ({code})", *remedy[:1])
        yield message


# "hello", "subscribe, unsubscribe": each waits for the answer to the one before
def watch(stream, wanted):
    incoming = messages(stream)
    send(stream, ["hello", {"versions": [VERSION, VERSION], "software": "watch.py"}])
    hello = next(message[1] for message in incoming if message[0] == "hello")
    if hello["version"] != VERSION:
        fail(f"the helper speaks version {hello['version']} of the protocol, not {VERSION}")
    send(stream, ["subscribe", SUBSCRIPTION, wanted])
    for message in incoming:
        if message[:2] == ["result", SUBSCRIPTION]:
            print("watch.py: watching", file=sys.stderr, flush=True)
        elif message[:2] == ["events", SUBSCRIPTION]:
            _, _, _seq, clock_offset, events, *_ = message  # "Heartbeats": there may be no events
            yield from (from_event(event, clock_offset) for event in events if event[0] in FIELDS)
        elif message[:2] == ["lost", SUBSCRIPTION]:
            yield from_lost(message)


# "Events"
def from_event(event, clock_offset):
    kind, seq, kernel_time, cpu, pid, tid, circumstances, *_ = event
    line = {**stamp(kind, seq, kernel_time, clock_offset), "cpu": cpu, "pid": pid, "tid": tid}
    for index, name in enumerate(FIELDS[kind], start=7):
        if name != "status":
            line[name] = event[index]
        elif event[index] is not None:  # nil in a synthetic exit: nobody saw it
            line.update(status=event[index], **from_status(event[index]))
    return {**line, **from_circumstances(circumstances)}


# "Events", "Circumstances"
def from_circumstances(circumstances):
    line = {"process": from_process(circumstances["process"])}
    if "parent" in circumstances:
        line["parent"] = from_process(circumstances["parent"])
    return {**line, **pick(circumstances, "runtime", "synthetic")}


# "Processes"
def from_process(process):
    line = pick(process, *PROCESS)
    if "ancestors" in line:
        line["ancestors"] = [pick(ancestor, "pid", "comm") for ancestor in line["ancestors"]]
    return line


def pick(fields, *names):
    return {name: fields[name] for name in names if name in fields}


# "Events", `exit`: a raw wait status, see wait(2)
def from_status(status):
    number = status & 0x7F
    if number == 0:
        return {"exitCode": (status >> 8) & 0xFF}
    return {"signal": SIGNALS.get(number, f"SIG{number}"), "coreDumped": (status & 0x80) != 0}


# "lost"
def from_lost(message):
    _, _, clock_offset, kernel_time, where, count, first, last, *_ = message
    return {**stamp("lost", last, kernel_time, clock_offset),
            "where": where, "count": count, "from": first, "to": last}


# "Events", `clockOffset`: the sum is ns since 1970; kept in integers, for a float is too coarse
def stamp(kind, seq, kernel_time, clock_offset):
    age = datetime.timedelta(microseconds=(kernel_time + clock_offset) // 1000)
    time = (datetime.datetime(1970, 1, 1) + age).isoformat(timespec="microseconds") + "Z"
    return {"type": kind, "seq": seq, "time": time, "kernelTime": str(kernel_time)}


# As JavaScript writes it. The json module would do, but for numbers such as 2.0 and 4.2e-05.
def to_json(value):
    if isinstance(value, dict):
        return "{" + ",".join(f"{to_json(name)}:{to_json(of)}" for name, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    if isinstance(value, float):
        return number_to_json(value)
    return json.dumps(value, ensure_ascii=False)


def number_to_json(value):  # seconds: at least 0, and far below the 1e21 where exponents begin again
    if value.is_integer():
        return str(int(value))
    if value < 1e-6:
        digits, exponent = repr(value).split("e")
        return f"{digits}e{int(exponent)}"
    return f"{decimal.Decimal(repr(value)):f}"


# "Filters" for what the command line asks
def arguments():
    parser = argparse.ArgumentParser(prog="watch.py", description=__doc__.split("\n")[0])
    parser.add_argument("--socket", default=os.environ.get("PROCBUS_SOCKET") or DEFAULT_SOCKET)
    parser.add_argument("--events", metavar="TYPE,...", default=",".join(FIELDS))
    parser.add_argument("--threads", action="store_true", help="single threads too")
    parser.add_argument("--include", metavar="FIELD,...", help="tell more: " + ", ".join(INCLUDES))
    parser.add_argument("--count", metavar="N", type=int, help="stop after so many lines")
    options = parser.parse_args()
    events = options.events.split(",")
    if not set(events) <= set(FIELDS):
        parser.error("--events: choose from " + ",".join(FIELDS))
    include = options.include.split(",") if options.include else []
    if not set(include) <= set(INCLUDES):
        parser.error("--include: choose from " + ",".join(INCLUDES))
    if options.count is not None and options.count < 1:
        parser.error("--count: must be 1 or more")
    return options, {"events": events, "threads": options.threads, "include": include}


def main():
    options, wanted = arguments()
    if sys.stdout is None:  # it was closed from the start
        return
    sys.stdout.reconfigure(encoding="utf-8")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(options.socket)
    except OSError as error:
        fail(f"cannot connect to {options.socket}: {error.strerror or error}",
             "Is procbusd running, is this its socket, and may you open it?")
    try:
        for line in itertools.islice(watch(connection.makefile("rwb"), wanted), options.count):
            print(to_json(line), flush=True)
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        fail(f"what listens at {options.socket} does not speak procbus: {error!r}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # of stdout, whose last flush would only fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            fail(f"cannot write: {error.strerror}")

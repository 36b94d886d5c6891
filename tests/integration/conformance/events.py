"""events.py - SUBSCRIBE, PSUBSCRIBE and their opposites."""

import json

from conformance.stage import cut_off
from conformance.table import restart, use, wrong
from harness import wire


def read(stage, client):
    """A confirmation or a message: an array in RESP2, a push in RESP3."""
    reply = client.read()
    assert isinstance(reply, wire.Push) == (stage.protocol == 3), reply
    return list(reply)


def listen(stage, *words):
    client = stage.connect()
    client.send(*words)
    kind = words[0].lower().encode()
    for number, name in enumerate(words[1:]):
        assert read(stage, client) == [kind, name.encode(), number + 1]
    return client


@use("SUBSCRIBE")
def the_life_of_a_job(stage):
    listener = listen(stage, "SUBSCRIBE", f"queue:{stage.name}", f"target:{stage.worker}")
    job = stage.done()
    heard = [read(stage, listener) for _ in range(6)]
    for channel in (f"queue:{stage.name}", f"target:{stage.worker}"):
        events = [json.loads(one[2]) for one in heard if one[:2] == [b"message", channel.encode()]]
        assert [one["event"] for one in events] == ["submitted", "started", "done"]
        assert {one["job"] for one in events} == {job.decode()}


@use("PSUBSCRIBE")
def by_pattern(stage):
    pattern = f"queue:{stage.name[:-1]}?"
    listener = listen(stage, "PSUBSCRIBE", pattern)
    stage.submit()
    kind, matched, channel, data = read(stage, listener)
    assert (kind, matched, channel) == (b"pmessage", pattern.encode(),
                                        f"queue:{stage.name}".encode())
    assert json.loads(data)["event"] == "submitted"


def ends_with_the_daemon(row, prefix):
    @restart(row)
    def the_listener_is_told_and_subscribes_again(stage):
        listener = listen(stage, row, f"queue:{stage.name}")
        yield
        assert cut_off(listener) is None
        listener = listen(stage, row, f"queue:{stage.name}")
        stage.submit()
        assert read(stage, listener)[0] == prefix + b"message"


ends_with_the_daemon("SUBSCRIBE", b"")
ends_with_the_daemon("PSUBSCRIBE", b"p")

for command, channel in (("SUBSCRIBE", "a channel"), ("PSUBSCRIBE", "a channel")):
    wrong(command,
          (command, f"ERR wrong number of arguments for '{command.lower()}' command"),
          ((command, "c" * 257), "ERR a channel's name or pattern has at most 256 bytes"))


@use("SUBSCRIBE")
def what_a_listener_may_send(stage):
    listener = listen(stage, "SUBSCRIBE", f"queue:{stage.name}")
    reply = listener.call("PING")
    assert reply == ("PONG" if stage.protocol == 3 else [b"pong", b""])
    reply = listener.call("JOBS", "QUEUE", stage.name)
    if stage.protocol == 3:
        assert reply == [b"0", []]
    else:
        assert reply.startswith("ERR Can't execute 'JOBS': only (P)SUBSCRIBE")
    assert listener.call("RESET") == "RESET"
    assert listener.call("JOBS", "QUEUE", stage.name) == [b"0", []]


def unsubscribing(row, subscribe, name):
    @use(row)
    def no_more_is_heard(stage):
        names = [f"queue:{stage.name}", f"queue:{stage.name}-b", f"queue:{stage.name}-c"]
        listener = listen(stage, subscribe, *names)
        listener.send(row, names[0])
        assert read(stage, listener) == [name, names[0].encode(), 2]
        stage.submit()
        listener.send(row)
        left = [read(stage, listener) for _ in range(2)]
        assert sorted(one[1] for one in left) == [one.encode() for one in names[1:]]
        assert [one[0] for one in left] == [name] * 2
        assert left[-1][2] == 0
        listener.send(row)
        assert read(stage, listener) == [name, None, 0]
        assert listener.call("PING") == "PONG"


unsubscribing("UNSUBSCRIBE", "SUBSCRIBE", b"unsubscribe")
unsubscribing("PUNSUBSCRIBE", "PSUBSCRIBE", b"punsubscribe")

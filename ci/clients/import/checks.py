"""`beale import nats` from the real nats-server: numbers, times, gaps, consumers, kills in the middle.

Usage: checks.py NATS_SERVER BEALE [CHECK...]. Prints `ok NAME` or `FAIL NAME: why` per check, and how many there were.
"""

import asyncio
import contextlib
import hashlib
import signal
import subprocess
import sys
import time

import nats
from nats.js.api import ConsumerConfig, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig

import harness
from harness import BEALE, MESSAGES, STREAMS, check


async def contents(js, stream):
    """Everything that a stream holds, as a client sees it."""
    state = (await js.stream_info(stream)).state
    seen = {}
    for seq in range(state.first_seq, state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):
            msg = await js.get_msg(stream, seq)
            seen[seq] = (msg.subject, msg.data, msg.headers, msg.time)
    return (state.messages, state.first_seq, state.last_seq, state.num_deleted), seen


async def fill(js, stream, count, size=20):
    await js.add_stream(StreamConfig(name=stream, subjects=[f"{stream}.>"]))
    for first in range(0, count, 1000):
        pending = [js.publish_async(f"{stream}.{n % 7}", f"{n:>{size}}".encode())
                   for n in range(first, min(first + 1000, count))]
        await asyncio.gather(*await asyncio.gather(*pending))


@check
async def numbers_times_gaps_and_headers(world):
    async with world.clients() as (old, new):
        config = StreamConfig(name="ORDERS", subjects=["orders.>"], description="d", max_msg_size=1000,
                              duplicate_window=5, metadata={"k": "v"})
        await old.add_stream(config)
        for n in range(50):
            await old.publish(f"orders.{n % 3}", f"body {n}".encode(), headers={"n": str(n)} if n % 2 else None)
        await old.publish("orders.empty", b"")
        for seq in (7, 20, 21, 51):
            await old.delete_msg("ORDERS", seq)
        await old.purge_stream("ORDERS", seq=5)
        world.run()
        assert await contents(new, "ORDERS") == await contents(old, "ORDERS")
        mine, theirs = [(await js.stream_info("ORDERS")).config for js in (new, old)]
        for key in ("subjects", "description", "max_msg_size", "duplicate_window", "retention", "storage"):
            assert getattr(mine, key) == getattr(theirs, key), key
        assert mine.metadata["k"] == "v", mine
        assert (await new.publish("orders.next", b"x")).seq == 52, "numbers go on"
        assert not list(world.spool.iterdir()), "archives are gone when they are of no use"


@check
async def every_kind_of_stream(world):
    async with world.clients() as (old, new):
        await old.add_stream(StreamConfig(name="WORK", subjects=["work"], retention=RetentionPolicy.WORK_QUEUE))
        await old.add_stream(StreamConfig(name="INTEREST", subjects=["interest"], retention=RetentionPolicy.INTEREST))
        await old.add_consumer("INTEREST", ConsumerConfig(durable_name="c", ack_policy="explicit"))
        await old.add_stream(StreamConfig(name="MEMORY", subjects=["memory"], storage=StorageType.MEMORY))
        await old.add_stream(StreamConfig(name="EMPTY", subjects=["empty"]))
        for n in range(10):
            for subject in ("work", "interest", "memory", "empty"):
                await old.publish(subject, str(n).encode())
        await old.purge_stream("EMPTY")
        sub = await old.pull_subscribe("work", "w", stream="WORK")
        for message in await sub.fetch(4):
            await message.ack_sync()
        kv = await old.create_key_value(KeyValueConfig(bucket="B", history=3))
        for n in range(5):
            await kv.put("a", str(n).encode())
        await kv.put("b", b"x")
        await kv.delete("b")
        before = {s: await contents(old, s) for s in ("WORK", "INTEREST", "MEMORY", "EMPTY", "KV_B")}
        world.run()
        for stream, seen in before.items():
            assert await contents(new, stream) == seen, stream
            assert await contents(old, stream) == seen, f"{stream} is untouched"
        copied = await new.key_value("B")
        assert (await copied.get("a")).value == b"4" and len(await copied.history("a")) == 3
        assert (await new.publish("empty", b"x")).seq == 11


@check
async def consumers_go_on_where_they_were(world):
    async with world.clients() as (old, new):
        await fill(old, "FLOORS", 20)
        sub = await old.pull_subscribe("FLOORS.>", "some", stream="FLOORS",
                                       config=ConsumerConfig(ack_wait=30, max_ack_pending=10))
        messages = await sub.fetch(8)
        for message in messages[:5] + messages[6:7]:
            await message.ack_sync()
        await old.add_consumer("FLOORS", ConsumerConfig(durable_name="none", ack_policy="explicit"))
        await old.add_consumer("FLOORS", ConsumerConfig(durable_name="push", ack_policy="explicit",
                                                        deliver_subject="to.push", filter_subject="FLOORS.1"))
        world.run()
        info = await new.consumer_info("FLOORS", "some")
        assert info.ack_floor.stream_seq == 5 and info.config.max_ack_pending == 10, info
        sub = await new.pull_subscribe_bind("some", stream="FLOORS")
        again = await sub.fetch(15)
        assert [m.metadata.sequence.stream for m in again] == list(range(6, 16)), "what was not settled comes again"
        assert (await new.consumer_info("FLOORS", "none")).num_pending == 20
        push = (await new.consumer_info("FLOORS", "push")).config
        assert push.deliver_subject == "to.push" and push.filter_subject == "FLOORS.1", push


@check
async def what_is_there_is_compared_and_left_alone(world):
    async with world.clients() as (old, new):
        await fill(old, "TWICE", 10)
        await fill(new, "OTHER", 10)
        await fill(old, "OTHER", 10)
        said = world.run("--stream", "TWICE")
        assert "1 imported, 0 there already" in said, said
        said = world.run("--stream", "TWICE")
        assert "0 imported, 1 there already" in said, said
        said = world.run(expected=1)
        assert "OTHER: message 1 is not the same" in said and "1 failed" in said, said
        await old.publish("TWICE.more", b"x")
        said = world.run("--stream", "TWICE", expected=1)
        assert "TWICE: it ends at 10 instead of 11" in said, said


@check
async def sparse_streams(world):
    async with world.clients() as (old, new):
        await old.add_stream(StreamConfig(name="SPARSE", subjects=["sparse.*"], max_msgs_per_subject=1))
        await old.publish("sparse.first", b"x")
        for first in range(0, 20000, 1000):
            pending = [old.publish_async("sparse.same", str(n).encode()) for n in range(first, first + 1000)]
            await asyncio.gather(*await asyncio.gather(*pending))
        begun = time.monotonic()
        world.run()
        assert time.monotonic() - begun < 20
        for js in (old, new):
            state = (await js.stream_info("SPARSE")).state
            assert (state.messages, state.first_seq, state.last_seq) == (2, 1, 20001), state


async def consumers_of(js, stream):
    """Two durables: one settled without a gap, the other with some."""
    every = await js.pull_subscribe(f"{stream}.>", "every", stream=stream, config=ConsumerConfig(ack_policy="all"))
    await (await every.fetch(500, timeout=30))[-1].ack_sync()
    some = await js.pull_subscribe(f"{stream}.3", "some", stream=stream)
    messages = await some.fetch(100, timeout=30)
    for message in messages[:60] + messages[80:81]:
        await message.ack()
    await messages[81].ack_sync()


async def digest(js, stream):
    """All that a stream holds, in order, as one number: read by a client, not by the import."""
    seen, count = hashlib.sha256(), 0
    total = (await js.stream_info(stream)).state.messages
    sub = await js.pull_subscribe(f"{stream}.>", stream=stream, config=ConsumerConfig(ack_policy="none", inactive_threshold=300))
    while count < total:
        for message in await sub.fetch(1000, timeout=30):
            # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
            place = message.reply.split(".")
            seen.update(repr((place[5], place[7], message.subject, message.headers, message.data)).encode())
            count += 1
    await sub.unsubscribe()
    return count, seen.hexdigest()


@check
async def many_messages_killed_and_resumed(world):
    """The import is killed while it reads and while it restores, and the new server as well."""
    async with world.clients() as (old, _):
        for n in range(STREAMS):
            await fill(old, f"BIG{n}", MESSAGES)
            await consumers_of(old, f"BIG{n}")
    read = 0
    for kill in range(3):
        importing = subprocess.Popen(world.command("--no-compare"), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        spooled = lambda: sum(f.stat().st_size for f in world.spool.glob("*")) if world.spool.exists() else 0
        target = read + MESSAGES * 12
        while importing.poll() is None and spooled() < target and time.monotonic() < deadline:
            time.sleep(0.01)
        importing.send_signal(signal.SIGKILL)
        importing.wait()
        kept = spooled()
        assert kept >= read or kill, "what was read is kept"
        read = kept
        if kill == 1:
            world.new.kill()
            world.new.start()
    begun = time.monotonic()
    said = world.run()
    print(f"# the rest of {STREAMS * MESSAGES} messages in {time.monotonic() - begun:.1f} s", flush=True)
    assert said.count(f"{MESSAGES} messages, 2 consumers: the same on both servers") == STREAMS, said
    world.new.kill()
    world.new.start()
    async with world.clients() as (old, new):
        for n in range(STREAMS):
            stream = f"BIG{n}"
            assert await digest(new, stream) == await digest(old, stream), stream
            for name in ("every", "some"):
                mine, theirs = [await js.consumer_info(stream, name) for js in (new, old)]
                assert mine.ack_floor.stream_seq == theirs.ack_floor.stream_seq > 0, (mine, theirs)


@check
async def what_cannot_be_done_is_said(world):
    done = subprocess.run([BEALE, "import", "kafka"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stderr.startswith("usage: beale import nats"), done
    wrong = world.old.url.replace("p%40ss", "wrong")
    command = [BEALE, "import", "nats", "--from", wrong, "--to", world.new.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "Authorization Violation" in done.stderr, done
    assert "wrong" not in done.stderr, "passwords are not shown"


if __name__ == "__main__":
    import from_memphis  # noqa: F401 - its checks are counted as well
    import encrypted  # noqa: F401

    sys.exit(asyncio.run(harness.main()))

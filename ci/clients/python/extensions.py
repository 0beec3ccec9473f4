"""What newer servers add to streams, as far as nats-py has it: batches, counters, lifetimes, schedules,
direct get, objects. `checks.py` runs these checks with its own.
"""

import asyncio
import datetime
import json
import time

from nats.js.api import Header, KeyValueConfig, PersistMode
from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.errors import APIError, KeyNotFoundError, NotFoundError, ObjectNotFoundError

EXTENSIONS = []


def check(function):
    EXTENSIONS.append(function)
    return function


async def stream(js, name, **more):
    try:
        await js.delete_stream(name)
    except NotFoundError:
        pass
    return await js.add_stream(name=name, subjects=[f"{name}.>"], **more)


async def messages(js, name):
    return (await js.stream_info(name)).state.messages


async def until(condition):
    deadline = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.05)


async def refused(awaitable, code):
    try:
        await awaitable
    except APIError as error:
        assert error.err_code == code, error
    else:
        raise AssertionError("was not refused")


def part(batch, sequence, **more):
    return {Header.BATCH_ID: batch, Header.BATCH_SEQUENCE: str(sequence), **more}


@check
async def atomic_batch(nc, js):
    await stream(js, "pyatomic", allow_atomic=True)
    for sequence in range(1, 5):
        await nc.publish("pyatomic.a", b"%d" % sequence, headers=part("one", sequence))
    await nc.flush()
    assert await messages(js, "pyatomic") == 0
    ack = await js.publish("pyatomic.b", b"end", headers=part("one", 5, **{Header.BATCH_COMMIT: "1"}))
    assert (ack.batch_id, ack.batch_size, ack.seq) == ("one", 5, 5)
    assert await messages(js, "pyatomic") == 5


@check
async def atomic_batch_refused(nc, js):
    await stream(js, "pyatomicno", allow_atomic=True)
    await nc.publish("pyatomicno.a", b"1", headers=part("two", 1))
    expects = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "7"}
    await nc.publish("pyatomicno.b", b"2", headers=part("two", 2, **expects))
    commit = part("two", 3, **{Header.BATCH_COMMIT: "1"})
    await refused(js.publish("pyatomicno.c", b"3", headers=commit), 10071)
    assert await messages(js, "pyatomicno") == 0


@check
async def counter(nc, js):
    await stream(js, "pycounter", allow_msg_counter=True, allow_direct=True)

    async def add(amount):
        return (await js.publish("pycounter.a", headers={"Nats-Incr": amount})).val

    assert await add("5") == "5"
    assert await add("-7") == "-2"
    assert await add("99999999999999999999999999") == "99999999999999999999999997"
    last = await js.get_last_msg("pycounter", "pycounter.a", direct=True)
    assert json.loads(last.data) == {"val": "99999999999999999999999997"}
    await refused(js.publish("pycounter.a", b"x"), 10169)


@check
async def message_ttl(nc, js):
    await stream(js, "pyttl", allow_msg_ttl=True)
    await js.publish("pyttl.a", b"short", msg_ttl=1)
    await js.publish("pyttl.a", b"long", msg_ttl=3600)

    async def one_is_left():
        return await messages(js, "pyttl") == 1

    await until(one_is_left)
    assert (await js.stream_info("pyttl")).state.first_seq == 2


@check
async def scheduled(nc, js):
    await stream(js, "pysched", allow_msg_schedules=True, allow_rollup_hdrs=True)
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    once = {Header.SCHEDULE: f"@at {at.isoformat()}", Header.SCHEDULE_TARGET: "pysched.target.once"}
    every = {Header.SCHEDULE: "@every 1s", Header.SCHEDULE_TARGET: "pysched.target.every"}
    await js.publish("pysched.once", b"due", headers=once)
    await js.publish("pysched.every", b"due", headers=every)

    async def both_came():
        for name in ("once", "every"):
            try:
                made = await js.get_last_msg("pysched", f"pysched.target.{name}")
            except NotFoundError:
                return False
            assert (made.data, made.headers[Header.SCHEDULER]) == (b"due", f"pysched.{name}")
        return True

    await until(both_came)
    left = (await js.stream_info("pysched", subjects_filter="pysched.*")).state.subjects
    assert left == {"pysched.every": 1}, left


@check
async def direct_get(nc, js):
    await stream(js, "pydirect", allow_direct=True)
    for number in range(4):
        await js.publish(f"pydirect.{number % 2}", b"%d" % number)
    assert (await js.get_msg("pydirect", seq=2, direct=True)).data == b"1"
    assert (await js.get_last_msg("pydirect", "pydirect.0", direct=True)).data == b"2"
    after = await js.get_msg("pydirect", seq=2, subject="pydirect.0", direct=True, next=True)
    assert (after.data, after.seq) == (b"2", 3)
    try:
        await js.get_msg("pydirect", seq=9, direct=True)
    except NotFoundError:
        pass
    else:
        raise AssertionError("there is no such message")


@check
async def kv_ttl(nc, js):
    try:
        await js.delete_key_value("pykvttl")
    except NotFoundError:
        pass
    kv = await js.create_key_value(KeyValueConfig(bucket="pykvttl", limit_marker_ttl=60))
    await kv.create("short", b"x", msg_ttl=1)
    await kv.put("long", b"x")

    async def ended():
        # This client shows the marker of what has ended as an empty value.
        try:
            return (await kv.get("short")).value in (None, b"")
        except KeyNotFoundError:
            return True

    await until(ended)
    assert (await kv.get("long")).value == b"x"


@check
async def persist_async(nc, js):
    await stream(js, "pypersist", persist_mode=PersistMode.ASYNC)
    acks = [await js.publish("pypersist.a", b"%d" % number) for number in range(50)]
    assert [ack.seq for ack in acks] == list(range(1, 51))
    info = await js.stream_info("pypersist")
    assert (info.state.messages, info.config.persist_mode) == (50, PersistMode.ASYNC)


@check
async def object_store(nc, js):
    try:
        await js.delete_object_store("pyobj")
    except NotFoundError:
        pass
    store = await js.create_object_store("pyobj")
    big = bytes(i * 7 % 256 for i in range(300_000))
    meta = ObjectMeta(options=ObjectMetaOptions(max_chunk_size=100_000))
    info = await store.put("big", big, meta=meta)
    assert (info.size, info.chunks) == (300_000, 3), info
    assert (await store.get("big")).data == big
    await store.put("big", big[:9])
    await store.put("small", b"other")
    assert (await store.get("big")).data == big[:9]
    assert sorted(entry.name for entry in await store.list()) == ["big", "small"]
    await store.delete("big")
    try:
        await store.get("big")
    except ObjectNotFoundError:
        pass
    else:
        raise AssertionError("got what is deleted")
    # What stood there before is purged, the record of the deletion stays.
    assert await messages(js, "OBJ_pyobj") == 3
    await store.seal()
    await refused(store.put("late", b"x"), 10109)

"""nats-py, unmodified: core messaging, streams, consumers and key-value against one server.

Usage: checks.py URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
RESTART, if set, is a program that restarts the server.
"""

import asyncio
import os
import pathlib
import subprocess
import sys
import time

import nats
from extensions import EXTENSIONS
from nats.errors import NoRespondersError, TimeoutError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StreamConfig,
)
from nats.js.errors import APIError, BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


async def connected(**more):
    async def ignore(error):
        pass  # the restart of the server is reported once per attempt to reconnect

    more = {"error_cb": ignore, "reconnect_time_wait": 0.1, "max_reconnect_attempts": 100, **more}
    return await nats.connect(sys.argv[1], **more)


async def until(condition):
    deadline = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


async def stream(js, name, **more):
    try:
        await js.delete_stream(name)
    except NotFoundError:
        pass
    return await js.add_stream(name=name, subjects=[f"{name}.>"], **more)


@check
async def connect(nc, js):
    assert nc.is_connected
    assert nc.connected_server_version.major == 2
    assert await nc.rtt() > 0


@check
async def publish_subscribe(nc, js):
    sub = await nc.subscribe("py.core.*")
    await nc.publish("py.core.a", b"one")
    await nc.publish("py.core.b", b"two", reply="there")
    first, second = await sub.next_msg(2), await sub.next_msg(2)
    assert (first.data, second.data, second.reply) == (b"one", b"two", "there")
    await sub.unsubscribe()


@check
async def unsubscribe_after(nc, js):
    sub = await nc.subscribe("py.limited")
    await sub.unsubscribe(limit=2)
    for number in range(4):
        await nc.publish("py.limited", b"%d" % number)
    await nc.flush()
    assert (await sub.next_msg(2)).data == b"0"
    assert (await sub.next_msg(2)).data == b"1"
    assert sub.pending_msgs == 0


@check
async def request_reply(nc, js):
    async def answer(msg):
        await msg.respond(msg.data.upper())

    sub = await nc.subscribe("py.service", cb=answer)
    assert (await nc.request("py.service", b"hello", timeout=2)).data == b"HELLO"
    await sub.unsubscribe()


@check
async def no_responders(nc, js):
    try:
        await nc.request("py.nobody", b"", timeout=2)
    except NoRespondersError:
        return
    raise AssertionError("somebody answered")


@check
async def queue_group(nc, js):
    subs = [await nc.subscribe("py.queue", queue="workers") for _ in range(3)]
    for _ in range(30):
        await nc.publish("py.queue", b"x")
    await until(lambda: sum(sub.pending_msgs for sub in subs) == 30)
    for sub in subs:
        await sub.unsubscribe()


@check
async def headers(nc, js):
    sub = await nc.subscribe("py.headers")
    await nc.publish("py.headers", b"x", headers={"Key": "Value", "Other": "2"})
    msg = await sub.next_msg(2)
    assert msg.headers == {"Key": "Value", "Other": "2"}, msg.headers
    await sub.unsubscribe()


@check
async def large_payload(nc, js):
    sub = await nc.subscribe("py.large")
    await nc.publish("py.large", b"x" * nc.max_payload)
    assert len((await sub.next_msg(5)).data) == nc.max_payload
    await sub.unsubscribe()


@check
async def account_info(nc, js):
    info = await js.account_info()
    assert info.limits.max_storage == -1 and info.api.total >= 0


@check
async def stream_create_update_delete(nc, js):
    info = await stream(js, "pystream", max_msgs=10)
    assert info.config.max_msgs == 10 and info.state.messages == 0
    again = await js.add_stream(name="pystream", subjects=["pystream.>"], max_msgs=10)
    assert again.config.max_msgs == 10
    info = await js.update_stream(name="pystream", subjects=["pystream.>", "pyother"], max_msgs=5)
    assert info.config.subjects == ["pystream.>", "pyother"]
    assert "pystream" in [s.config.name for s in await js.streams_info()]
    assert await js.find_stream_name_by_subject("pyother") == "pystream"
    assert await js.delete_stream("pystream")
    try:
        await js.stream_info("pystream")
    except NotFoundError:
        return
    raise AssertionError("the stream is still there")


@check
async def stream_name_taken(nc, js):
    await stream(js, "pytaken")
    try:
        await js.add_stream(name="pytaken", subjects=["other"])
    except BadRequestError as error:
        assert error.err_code == 10058, error
        return
    raise AssertionError("created twice")


@check
async def replicas_refused(nc, js):
    try:
        await stream(js, "pyreplicas", num_replicas=3)
    except APIError as error:
        assert error.err_code == 10074, error
        return
    raise AssertionError("three replicas on one server")


@check
async def publish_ack(nc, js):
    await stream(js, "pyack")
    first = await js.publish("pyack.a", b"1")
    second = await js.publish("pyack.a", b"2", headers={"Key": "Value"})
    assert (first.stream, first.seq, second.seq) == ("pyack", 1, 2)
    msg = await js.get_msg("pyack", 2)
    assert (msg.data, msg.headers) == (b"2", {"Key": "Value"})
    assert (await js.get_last_msg("pyack", "pyack.a")).seq == 2


@check
async def publish_many_async(nc, js):
    await stream(js, "pyasync")
    acks = [await js.publish_async("pyasync.a", b"x") for _ in range(500)]
    seqs = [(await ack).seq for ack in acks]
    assert seqs == list(range(1, 501))


@check
async def publish_without_stream(nc, js):
    try:
        await js.publish("py.nostream", b"x")
    except nats.js.errors.NoStreamResponseError:
        return
    raise AssertionError("acknowledged by nobody")


@check
async def publish_dedup(nc, js):
    await stream(js, "pydedup")
    first = await js.publish("pydedup.a", b"1", headers={"Nats-Msg-Id": "one"})
    second = await js.publish("pydedup.a", b"1", headers={"Nats-Msg-Id": "one"})
    assert (first.seq, second.seq, second.duplicate) == (1, 1, True)
    assert (await js.stream_info("pydedup")).state.messages == 1


@check
async def publish_expected(nc, js):
    await stream(js, "pyexpect")
    await js.publish("pyexpect.a", b"1", headers={"Nats-Expected-Last-Sequence": "0"})
    for header, value, code in [
        ("Nats-Expected-Last-Sequence", "0", 10071),
        ("Nats-Expected-Last-Subject-Sequence", "0", 10071),
        ("Nats-Expected-Stream", "other", 10060),
        ("Nats-Expected-Last-Msg-Id", "other", 10070),
    ]:
        try:
            await js.publish("pyexpect.a", b"2", headers={header: value})
        except APIError as error:
            assert error.err_code == code, (header, error)
        else:
            raise AssertionError(f"{header} not checked")


@check
async def purge_and_delete_message(nc, js):
    await stream(js, "pypurge")
    for number in range(4):
        await js.publish(f"pypurge.{number % 2}", b"x")
    assert await js.delete_msg("pypurge", 1)
    assert await js.purge_stream("pypurge", subject="pypurge.1")
    assert (await js.stream_info("pypurge")).state.messages == 1
    assert await js.purge_stream("pypurge")
    state = (await js.stream_info("pypurge")).state
    assert (state.messages, state.first_seq, state.last_seq) == (0, 5, 4)


@check
async def pull_fetch(nc, js):
    await stream(js, "pypull")
    for number in range(10):
        await js.publish("pypull.a", b"%d" % number)
    sub = await js.pull_subscribe("pypull.a", durable="worker")
    got = []
    while len(got) < 10:
        for msg in await sub.fetch(4, timeout=2):
            got.append(msg.data)
            await msg.ack_sync()
    assert got == [b"%d" % number for number in range(10)]
    info = await sub.consumer_info()
    assert (info.num_ack_pending, info.num_pending, info.ack_floor.stream_seq) == (0, 0, 10)
    try:
        await sub.fetch(1, timeout=0.3)
    except TimeoutError:
        return
    raise AssertionError("an eleventh message")


@check
async def pull_waits_for_message(nc, js):
    await stream(js, "pywait")
    sub = await js.pull_subscribe("pywait.a", durable="worker")
    fetch = asyncio.ensure_future(sub.fetch(1, timeout=3))
    await asyncio.sleep(0.1)
    await js.publish("pywait.a", b"late")
    assert (await fetch)[0].data == b"late"


@check
async def nak_term_in_progress(nc, js):
    await stream(js, "pynak")
    await js.publish("pynak.a", b"1")
    config = ConsumerConfig(ack_wait=1, max_deliver=5)
    sub = await js.pull_subscribe("pynak.a", durable="worker", config=config)
    (msg,) = await sub.fetch(1, timeout=2)
    assert msg.metadata.num_delivered == 1
    await msg.nak()
    (msg,) = await sub.fetch(1, timeout=2)
    assert msg.metadata.num_delivered == 2
    await msg.nak(delay=0.3)
    (msg,) = await sub.fetch(1, timeout=2)
    assert msg.metadata.num_delivered == 3
    await asyncio.sleep(0.6)
    await msg.in_progress()
    await asyncio.sleep(0.6)
    await msg.term()
    try:
        await sub.fetch(1, timeout=1.5)
    except TimeoutError:
        return
    raise AssertionError("a terminated message came again")


@check
async def redelivery(nc, js):
    await stream(js, "pyredeliver")
    await js.publish("pyredeliver.a", b"1")
    config = ConsumerConfig(ack_wait=0.5)
    sub = await js.pull_subscribe("pyredeliver.a", durable="worker", config=config)
    await sub.fetch(1, timeout=2)
    (msg,) = await sub.fetch(1, timeout=3)
    assert msg.metadata.num_delivered == 2 and msg.metadata.sequence.stream == 1


@check
async def push(nc, js):
    await stream(js, "pypush")
    for number in range(3):
        await js.publish("pypush.a", b"%d" % number)
    sub = await js.subscribe("pypush.a", durable="listener")
    for number in range(3):
        msg = await sub.next_msg(2)
        assert msg.data == b"%d" % number
        await msg.ack()
    await sub.unsubscribe()


@check
async def push_queue(nc, js):
    await stream(js, "pypushq")
    subs = [await js.subscribe("pypushq.a", "workers") for _ in range(2)]
    for _ in range(20):
        await js.publish("pypushq.a", b"x")
    await until(lambda: sum(sub.pending_msgs for sub in subs) == 20)


@check
async def ordered(nc, js):
    await stream(js, "pyordered")
    for number in range(200):
        await js.publish("pyordered.a", b"%d" % number)
    sub = await js.subscribe("pyordered.a", ordered_consumer=True)
    for number in range(200):
        assert (await sub.next_msg(2)).data == b"%d" % number
    await sub.unsubscribe()


@check
async def deliver_policies(nc, js):
    await stream(js, "pypolicy")
    for number in range(5):
        await js.publish("pypolicy.a", b"%d" % number)
    for policy, first in [
        (ConsumerConfig(deliver_policy=DeliverPolicy.ALL), b"0"),
        (ConsumerConfig(deliver_policy=DeliverPolicy.LAST), b"4"),
        (ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=3), b"2"),
    ]:
        sub = await js.pull_subscribe("pypolicy.a", config=policy)
        (msg,) = await sub.fetch(1, timeout=2)
        assert msg.data == first, (policy.deliver_policy, msg.data)


@check
async def consumers_listed_and_deleted(nc, js):
    await stream(js, "pyconsumers")
    config = ConsumerConfig(durable_name="one", ack_policy=AckPolicy.EXPLICIT, filter_subject="pyconsumers.a")
    created = await js.add_consumer("pyconsumers", config)
    assert created.name == "one" and created.config.filter_subject == "pyconsumers.a"
    assert [c.name for c in await js.consumers_info("pyconsumers")] == ["one"]
    assert await js.delete_consumer("pyconsumers", "one")
    try:
        await js.consumer_info("pyconsumers", "one")
    except NotFoundError:
        return
    raise AssertionError("the consumer is still there")


@check
async def work_queue(nc, js):
    await stream(js, "pywork", retention=RetentionPolicy.WORK_QUEUE)
    await js.publish("pywork.a", b"1")
    sub = await js.pull_subscribe("pywork.a", durable="worker")
    (msg,) = await sub.fetch(1, timeout=2)
    await msg.ack_sync()
    deadline = time.monotonic() + 2
    while (await js.stream_info("pywork")).state.messages and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert (await js.stream_info("pywork")).state.messages == 0


@check
async def kv_basics(nc, js):
    try:
        await js.delete_key_value("pykv")
    except NotFoundError:
        pass
    kv = await js.create_key_value(KeyValueConfig(bucket="pykv", history=5))
    assert await kv.put("color", b"blue") == 1
    entry = await kv.get("color")
    assert (entry.value, entry.revision) == (b"blue", 1)
    assert await kv.update("color", b"green", last=1) == 2
    try:
        await kv.update("color", b"red", last=1)
        raise AssertionError("updated an old revision")
    except KeyWrongLastSequenceError:
        pass
    try:
        await kv.create("color", b"red")
        raise AssertionError("created what is there")
    except KeyWrongLastSequenceError:
        pass
    assert [e.value for e in await kv.history("color")] == [b"blue", b"green"]
    await kv.put("size", b"xl")
    assert sorted(await kv.keys()) == ["color", "size"]
    await kv.delete("color")
    try:
        await kv.get("color")
        raise AssertionError("got what is deleted")
    except KeyNotFoundError:
        pass
    assert await kv.create("color", b"new") == 5
    await kv.purge("color")
    assert len(await kv.history("color")) == 1
    assert (await kv.status()).bucket == "pykv"


@check
async def kv_watch(nc, js):
    try:
        await js.delete_key_value("pywatch")
    except NotFoundError:
        pass
    kv = await js.create_key_value(KeyValueConfig(bucket="pywatch"))
    await kv.put("a", b"1")
    watcher = await kv.watchall()
    assert (await watcher.updates(timeout=2)).value == b"1"
    assert await watcher.updates(timeout=2) is None
    await kv.put("b", b"2")
    entry = await watcher.updates(timeout=2)
    assert (entry.key, entry.value) == ("b", b"2")
    await watcher.stop()


@check
async def drain(nc, js):
    got = []

    async def keep(msg):
        got.append(msg.data)

    other = await connected()
    await other.subscribe("py.drain", cb=keep)
    await other.flush()
    await nc.publish("py.drain", b"x")
    await nc.flush()
    await other.flush()
    await other.drain()
    assert other.is_closed and got == [b"x"], got


@check
async def reconnect(nc, js):
    restart = os.environ.get("RESTART")
    if not restart:
        return
    await stream(js, "pyrestart")
    await js.publish("pyrestart.a", b"kept")
    again = asyncio.Event()

    async def back():
        again.set()

    other = await connected(reconnected_cb=back)
    sub = await other.subscribe("py.after")
    await other.flush()
    await asyncio.to_thread(subprocess.run, [restart], check=True)
    await asyncio.wait_for(again.wait(), 10)
    await other.publish("py.after", b"here")
    assert (await sub.next_msg(2)).data == b"here"
    kept = await other.jetstream().get_msg("pyrestart", 1)
    assert kept.data == b"kept"
    await other.close()


async def main():
    nc = await connected()
    status = await report.run_all("python", CHECKS + EXTENSIONS, nc, nc.jetstream())
    await nc.close()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

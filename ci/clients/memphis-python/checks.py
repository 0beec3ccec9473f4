"""memphis-py, unmodified: stations, producers, consumers, schemas and dead letters, beside a NATS client.

Usage: checks.py MEMPHIS_PORT NATS_URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one
failed. RESTART, if set, is a program that kills the server and starts it again.
"""

import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import nats
from memphis import Headers, Memphis
from memphis.types import Retention, Storage

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import object_store  # noqa: E402 - beside this file
import report  # noqa: E402 - beside this folder
from object_store import ObjectStore  # noqa: E402

CHECKS = []
PORT = int(sys.argv[1])


def check(function):
    CHECKS.append(function)
    return function


async def connected(**more):
    memphis = Memphis()
    if not more:
        more = {"password": "memphis"}
    await memphis.connect(host="127.0.0.1", port=PORT, username="root", reconnect_interval_ms=200, **more)
    return memphis


async def refused(coroutine, text=""):
    try:
        await coroutine
    except Exception as error:  # noqa: BLE001 - the SDK raises bare exceptions too
        assert text in str(error), str(error)
        return str(error)
    raise AssertionError("was not refused")


async def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.05)


async def count(js, stream):
    return (await js.stream_info(stream)).state.messages


async def bodies(consumer, size=10):
    """Fetches once, acknowledges, and returns what there was."""
    messages = await consumer.fetch(batch_size=size)
    for message in messages:
        await message.ack()
    return [bytes(message.get_data()) for message in messages]


@check
async def password(memphis, js):
    assert memphis.is_connected()
    await refused(connected(password="wrong"))


@check
async def account_id(memphis, js):
    other = await connected(password="memphis", account_id=1)
    await other.close()
    await refused(connected(password="memphis", account_id=2))


@check
async def connection_token(memphis, js):
    other = await connected(connection_token="memphis")
    await other.station("py-token")
    await other.close()
    # This SDK tries a wrong token for ever.
    await refused(asyncio.wait_for(connected(connection_token="wrong"), 2))


@check
async def station_options(memphis, js):
    await memphis.station("Py.Opts", retention_type=Retention.MESSAGES, retention_value=5, replicas=1,
                          storage_type=Storage.MEMORY, idempotency_window_ms=5000, partitions_number=2)
    config = (await js.stream_info("py#opts$2")).config
    assert config.subjects == ["py#opts$2.>"], config
    assert config.max_msgs == 5 and config.storage == "memory" and config.duplicate_window == 5, config
    await memphis.station("py-bytes", retention_type=Retention.BYTES, retention_value=1000)
    assert (await js.stream_info("py-bytes$1")).config.max_bytes == 1000
    await memphis.station("py-ack", retention_type=Retention.ACK_BASED)
    assert (await js.stream_info("py-ack$1")).config.retention == "interest"


@check
async def station_twice(memphis, js):
    await memphis.station("py-twice", retention_value=100, idempotency_window_ms=1000)
    await memphis.station("py-twice", retention_value=7200)
    assert (await js.stream_info("py-twice$1")).config.max_age == 100


@check
async def station_refusals(memphis, js):
    alphabet = "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"
    await refused(memphis.station("a b"), alphabet)
    await refused(memphis.station("-a"), "Station name can not start or end with non alphanumeric character")
    await refused(memphis.station("x" * 129), "Station should be under 128 characters")
    window = "idempotency window cannot be greater than the station retention"
    await refused(memphis.station("py-window", retention_value=1), window)
    replicas = "station can not be created, probably since replicas count is larger than the cluster size"
    await refused(memphis.station("py-replicas", replicas=3), replicas)
    await refused(memphis.station("py-schema", schema_name="nope"), "does not exist")


@check
async def message_retention(memphis, js):
    await memphis.station("py-few", retention_type=Retention.MESSAGES, retention_value=3)
    producer = await memphis.producer("py-few", "p")
    for i in range(5):
        await producer.produce(bytearray(str(i), "utf-8"))
    assert await count(js, "py-few$1") == 3


@check
async def partitions(memphis, js):
    await memphis.station("py.parts", partitions_number=3)
    producer = await memphis.producer("py.parts", "p")
    for i in range(6):
        await producer.produce(bytearray(str(i), "utf-8"))
    assert [await count(js, f"py#parts${p}") for p in (1, 2, 3)] == [2, 2, 2]
    await producer.produce(bytearray(b"k"), producer_partition_key="user-1")
    await producer.produce(bytearray(b"n"), producer_partition_number=2)
    assert [await count(js, f"py#parts${p}") for p in (1, 2, 3)] == [2, 3, 3]
    consumer = await memphis.consumer("py.parts", "c", "g")
    got = []
    for p in (1, 2, 3):
        got += [bytes(m.get_data()) for m in await consumer.fetch(10, consumer_partition_number=p)]
    assert sorted(got) == [b"0", b"1", b"2", b"3", b"4", b"5", b"k", b"n"], got


@check
async def message_ids(memphis, js):
    await memphis.station("py-ids", idempotency_window_ms=1000)
    producer = await memphis.producer("py-ids", "p")
    for _ in range(2):
        await producer.produce(bytearray(b"x"), msg_id="m1")
    assert await count(js, "py-ids$1") == 1
    await js.publish("py-ids$1.final", b"x", headers={"Nats-Msg-Id": "m1"})
    assert await count(js, "py-ids$1") == 1
    await asyncio.sleep(1.2)
    await producer.produce(bytearray(b"x"), msg_id="m1")
    assert await count(js, "py-ids$1") == 2


@check
async def made_by_producer_and_consumer(memphis, js):
    await memphis.producer("Py.New", "p")
    assert (await js.stream_info("py#new$1")).config.max_age == 3600
    await memphis.consumer("Py.New2", "c")
    assert (await js.consumer_info("py#new2$1", "c")).config.durable_name == "c"


@check
async def several_stations(memphis, js):
    producer = await memphis.producer(["py-many1", "py-many2"], "p")
    await producer.produce(bytearray(b"x"))
    assert await count(js, "py-many1$1") == 1 and await count(js, "py-many2$1") == 1
    await producer.destroy()


@check
async def many_messages(memphis, js):
    producer = await memphis.producer("py-much", "p")
    for _ in range(2000):
        await producer.produce(bytearray(b"x" * 100), nonblocking=True)

    async def all_there():
        return await count(js, "py-much$1") == 2000

    await until(all_there, 15)


@check
async def headers(memphis, js):
    producer = await memphis.producer("py-heads", "Prod.A")
    header = Headers()
    header.add("k", "v")
    await producer.produce({"n": 1}, headers=header)
    consumer = await memphis.consumer("py-heads", "c")
    [message] = await consumer.fetch()
    got = message.get_headers()
    assert got["k"] == "v" and got["$memphis_producedBy"] == "prod.a", got
    assert message.get_sequence_number() == 1
    assert json.loads(bytes(message.get_data())) == {"n": 1}


@check
async def destroyed_twice(memphis, js):
    station = await memphis.station("py-gone")
    producer = await memphis.producer("py-gone", "p")
    consumer = await memphis.consumer("py-gone", "c")
    other = await memphis.consumer("py-gone", "other", "c")
    # Only a station can be destroyed twice: a second time, the SDK fails on producers and consumers itself.
    for thing in (producer, consumer, other, station):
        await thing.destroy()
    await refused(js.consumer_info("py-gone$1", "c"), "not found")
    await station.destroy()
    await refused(js.stream_info("py-gone$1"), "stream not found")


@check
async def group_shares(memphis, js):
    producer = await memphis.producer("py-share", "p")
    one = await memphis.consumer("py-share", "one", "g")
    two = await memphis.consumer("py-share", "two", "g")
    alone = await memphis.consumer("py-share", "alone", "h")
    for i in range(10):
        await producer.produce(bytearray(str(i), "utf-8"))
    first, second = await bodies(one, 5), await bodies(two, 5)
    assert not set(first) & set(second) and len(first) + len(second) == 10, (first, second)
    assert len(await bodies(alone)) == 10


@check
async def where_groups_begin(memphis, js):
    producer = await memphis.producer("py-begin", "p")
    for i in range(1, 6):
        await producer.produce(bytearray(str(i), "utf-8"))
    late = await memphis.consumer("py-begin", "late", start_consume_from_sequence=4)
    assert await bodies(late) == [b"4", b"5"]
    last = await memphis.consumer("py-begin", "last", last_messages=3)
    assert await bodies(last) == [b"3", b"4", b"5"]
    new = await memphis.consumer("py-begin", "new", last_messages=0)
    await producer.produce(bytearray(b"6"))
    assert await bodies(new) == [b"6"]
    both = memphis.consumer("py-begin", "both", start_consume_from_sequence=2, last_messages=1)
    await refused(both, "both start_consume_from_sequence and last_messages")
    await refused(memphis.consumer("py-begin", "a b"), "are allowed in Consumer")


@check
async def acks(memphis, js):
    producer = await memphis.producer("py-acks", "p")
    consumer = await memphis.consumer("py-acks", "c", max_ack_time_ms=30000, max_msg_deliveries=10)
    await producer.produce(bytearray(b"x"))
    [message] = await consumer.fetch(1)
    await message.nack()
    [message] = await consumer.fetch(1)
    started = time.monotonic()
    await message.delay(1)
    [message] = await consumer.fetch(1)
    assert 0.8 < time.monotonic() - started < 3
    await message.ack()

    async def acknowledged():
        return (await js.consumer_info("py-acks$1", "c")).ack_floor.stream_seq == 1

    await until(acknowledged)


@check
async def consume(memphis, js):
    producer = await memphis.producer("py-loop", "p")
    consumer = await memphis.consumer("py-loop", "c", pull_interval_ms=100)
    got = []

    async def handler(messages, error, context):
        for message in messages:
            got.append((bytes(message.get_data()), context["k"]))
            await message.ack()

    consumer.set_context({"k": 1})
    consumer.consume(handler)
    for i in range(5):
        await producer.produce(bytearray(str(i), "utf-8"))

    async def all_here():
        return len(got) == 5

    await until(all_here, 10)
    assert got[0] == (b"0", 1), got
    await consumer.destroy()


@check
async def unacknowledged(memphis, js):
    await memphis.station("py-poison", dls_station="py-poison-dls")
    producer = await memphis.producer("py-poison", "p")
    consumer = await memphis.consumer("py-poison", "c", "Grp.X", max_ack_time_ms=300, max_msg_deliveries=2)
    await producer.produce(bytearray(b"bad"))
    for _ in range(2):
        assert len(await consumer.fetch(1)) == 1
        await asyncio.sleep(0.4)
    fetching = asyncio.create_task(consumer.fetch(1))
    dead = await memphis.consumer("py-poison-dls", "d")
    [copy] = await dead.fetch(1)
    assert bytes(copy.get_data()) == b"bad"
    got = copy.get_headers()
    assert got["station"] == "py-poison" and got["type"] == "unacked", got
    assert await fetching == []


@check
async def dead_letter(memphis, js):
    await memphis.station("py-term", dls_station="py-term-dls")
    producer = await memphis.producer("py-term", "p")
    consumer = await memphis.consumer("py-term", "c")
    await producer.produce(bytearray(b"bad"))
    [message] = await consumer.fetch(1)
    # This SDK fails here after it has given the message up, and never says why.
    await refused(message.dead_letter("because"))
    dead = await memphis.consumer("py-term-dls", "d")
    assert await bodies(dead, 1) == [b"bad"]


@check
async def dead_letter_of_a_nats_client(memphis, js):
    await memphis.station("py-natsdead", dls_station="py-natsdead-dls", retention_type=Retention.ACK_BASED)
    sub = await js.pull_subscribe("py-natsdead$1.final", durable="Worker", stream="py-natsdead$1")
    await js.publish("py-natsdead$1.final", b"bad")
    [message] = await sub.fetch(1, timeout=2)
    await message.term()
    dead = await memphis.consumer("py-natsdead-dls", "d")
    assert await bodies(dead, 1) == [b"bad"]
    assert await count(js, "py-natsdead$1") == 0


async def manage(route, **body):
    """Calls the management interface, as a NATS client that has logged in as root."""
    nc = await nats.connect(f"127.0.0.1:{PORT}", user="root", password="memphis")
    answer = await nc.request("$memphis_api." + route, json.dumps(body).encode(), timeout=5)
    await nc.close()
    answer = json.loads(answer.data)
    assert answer["status"] == 200, answer
    return answer["body"]


@check
async def resend(memphis, js):
    producer = await memphis.producer("py-again", "p")
    consumer = await memphis.consumer("py-again", "c", "Grp.X", max_msg_deliveries=1, max_ack_time_ms=300)
    await producer.produce(bytearray(b"bad"))
    await consumer.fetch(1)
    await asyncio.sleep(0.5)
    assert await consumer.fetch(1) == []

    async def letters():
        return (await manage("stations.getDlsMessages", station_name="py-again"))["poison_messages"]

    [letter] = await letters()
    assert letter["poisoned_cgs"] == ["grp.x"] and letter["producer_name"] == "p", letter
    await manage("stations.resendPoisonMessages", station_name="py-again", poison_message_ids=[letter["id"]])
    got = []

    async def arrived():
        got.extend(await consumer.fetch(1))
        return bool(got)

    await until(arrived, 10)
    assert bytes(got[0].get_data()) == b"bad"
    await got[0].ack()

    async def cleared():
        return await letters() == []

    await until(cleared)


@check
async def observed(memphis, js):
    other = await connected()
    await other.producer("py-seen", "Prod.A")
    await other.consumer("py-seen", "c", "g")
    await js.publish("py-seen$1.final", b"x")
    seen = await manage("monitoring.getStationOverviewData", station_name="py-seen", partition_number=-1)
    names = [(p["name"], p["sdk"]) for p in seen["connected_producers"]]
    assert names == [("prod.a", "python"), ("Unknown", "python3")], names
    assert seen["connected_cgs"][0]["connected_consumers"][0]["name"] == "c", seen
    assert seen["total_messages"] == 1
    await other.close()

    async def away():
        seen = await manage("monitoring.getStationOverviewData", station_name="py-seen", partition_number=-1)
        return [p["name"] for p in seen["disconnected_producers"]] == ["prod.a"]

    await until(away)
    await js.add_stream(name="PySeen", subjects=["pyseen"])
    stations = await manage("stations.getAllStations")
    assert "pyseen" in [station["name"] for station in stations]


@check
async def tiered_storage(memphis, js):
    store = ObjectStore(failures=1)
    keys = {"access_key": object_store.ACCESS_KEY, "secret_key": object_store.SECRET_KEY, "url": store.url,
            "bucket_name": "py-bucket", "region": object_store.REGION, "s3_path_style": "true"}
    shown = await manage("integrations.createIntegration", name="s3", keys=keys)
    assert shown["keys"] == {**keys, "secret_key": "****"}, shown
    await memphis.station("Py.Tier", retention_type=Retention.MESSAGES, retention_value=2,
                          tiered_storage_enabled=True)
    await memphis.station("py-no-tier", retention_type=Retention.MESSAGES, retention_value=2)
    producer = await memphis.producer(["Py.Tier", "py-no-tier"], "p")
    for i in range(5):
        headers = Headers()
        headers.add("My-Key", str(i))
        await producer.produce(bytearray(f"m{i}", "utf-8"), headers=headers)
    assert await count(js, "py#tier$1") == 2

    def stored():
        return [message for body in store.objects.values() for message in json.loads(body)]

    async def all_there():
        return len(stored()) >= 3

    await until(all_there, 60)
    assert not store.refused, store.refused
    # The first attempt failed, and nothing is there twice since the store said so.
    assert [bytes.fromhex(message["payload"]) for message in stored()] == [b"m0", b"m1", b"m2"]
    first = stored()[0]["headers"]
    assert first["my-key"] == "0" and first["$memphis_producedby"] == "p", first
    for path, body in store.objects.items():
        count_there = len(json.loads(body))
        pattern = rf"/py-bucket/memphis/global/py\.tier/[0-9A-Za-z]+%28{count_there}%29\.json"
        assert re.fullmatch(pattern, path), path
    assert await manage("integrations.disconnectIntegration", name="s3") == {}
    store.close()


@check
async def ack_based_retention(memphis, js):
    await memphis.station("py-interest", retention_type=Retention.ACK_BASED)
    groups = [await memphis.consumer("py-interest", name) for name in ("a", "b")]
    producer = await memphis.producer("py-interest", "p")
    await producer.produce(bytearray(b"x"))
    assert await bodies(groups[0], 1) == [b"x"]
    assert await count(js, "py-interest$1") == 1
    assert await bodies(groups[1], 1) == [b"x"]

    async def empty():
        return await count(js, "py-interest$1") == 0

    await until(empty)


@check
async def schemas(memphis, js):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}')
        file.flush()
        await memphis.create_schema("py-order", "json", file.name)
        await memphis.create_schema("py-order", "json", file.name)
    await memphis.station("py-schemas", dls_station="py-schemas-dls")
    await memphis.enforce_schema("py-order", "py-schemas")
    producer = await memphis.producer("py-schemas", "p")
    await producer.produce({"id": "1"})
    await refused(producer.produce({"n": 1}), "Schema validation has failed")
    dead = await memphis.consumer("py-schemas-dls", "d")
    [copy] = await dead.fetch(1)
    assert copy.get_headers()["type"] == "failed_schema"
    assert b"'n': 1" in bytes(copy.get_data()), "this SDK sends the text of the object"
    await memphis.detach_schema("py-schemas")
    await asyncio.sleep(0.2)
    await producer.produce({"n": 1})
    assert await count(js, "py-schemas$1") == 2
    await refused(memphis.enforce_schema("nope", "py-schemas"), "Schema nope does not exist")
    await refused(memphis.enforce_schema("py-order", "nope"), "Station nope does not exist")


@check
async def protobuf(memphis, js):
    with tempfile.NamedTemporaryFile("w", suffix=".proto") as file:
        file.write("""syntax = "proto3";
            package shop; // for the test
            enum State { NEW = 0; PAID = 1; }
            message Order {
              message Line { string item = 1; int32 count = 2; }
              string id = 1;
              repeated Line lines = 2;
              map<string, int64> totals = 3;
              State state = 4;
              oneof pay { string card = 5; bool cash = 6; }
            }""")
        file.flush()
        await memphis.create_schema("py-proto", "protobuf", file.name)
    await memphis.station("py-protos", schema_name="py-proto")
    producer = await memphis.producer("py-protos", "p")
    order = {"id": "1", "lines": [{"item": "x", "count": 2}], "totals": {"eur": "3"}, "state": "PAID", "cash": True}
    await producer.produce(order)
    await refused(producer.produce({"nope": 1}), "Schema validation has failed")
    consumer = await memphis.consumer("py-protos", "c")
    [message] = await consumer.fetch(1)
    got = await message.get_data_deserialized()
    assert got.lines[0].item == "x" and got.totals["eur"] == 3 and got.state == 1 and got.cash, got


async def created(memphis, name, kind, content):
    with tempfile.NamedTemporaryFile("w", suffix=".schema") as file:
        file.write(content)
        file.flush()
        await memphis.create_schema(name, kind, file.name)


@check
async def schemas_for_nats_clients(memphis, js):
    """What breaks a schema is refused by the broker, for a client that knows nothing of schemas."""
    cases = {
        "json": ('{"type": "object", "required": ["id"]}', b'{"id": 1}', b"{}", "required"),
        "avro": ('{"type": "record", "name": "U", "fields": [{"name": "id", "type": "string"}]}',
                 b'{"id": "1"}', b'{"id": 1}', "String"),
        "graphql": ("type Query { id: String }", b"{ id }", b"{ nope }", "nope"),
        "protobuf": ('syntax = "proto3"; message U { string id = 1; }', b"\x0a\x01x", b"\x28\x01", "field 5"),
    }
    for kind, (content, good, bad, reason) in cases.items():
        await created(memphis, f"py-nats-{kind}", kind, content)
        await memphis.station(f"py-nats-{kind}", schema_name=f"py-nats-{kind}", dls_station=f"py-nats-{kind}-dls")
        subject = f"py-nats-{kind}$1.final"
        assert (await js.publish(subject, good)).seq == 1
        text = await refused(js.publish(subject, bad), "Schema validation has failed: ")
        assert reason in text, text
        await js._nc.publish(subject, bad)
        assert await count(js, f"py-nats-{kind}$1") == 1
        dead = await memphis.consumer(f"py-nats-{kind}-dls", "d")
        got = []
        while len(got) < 2:
            got += await bodies(dead)
        assert got == [bad, bad], got
    await refused(created(memphis, "py-bad-json", "json", '{"type": 1}'), "your json schema is invalid")
    await refused(created(memphis, "py-bomb", "json", '{"$ref": "#"}'), "refers to itself without end")
    await refused(created(memphis, "py-bad-avro", "avro", '{"type": "nope"}'), "your Avro file is invalid")
    await refused(created(memphis, "py-bad-proto", "protobuf", "message"), "your Proto file is invalid")


@check
async def permissions_on_stations(memphis, js):
    """A user with permissions works with its own stations as ever, and does not get at others."""
    for station in ("py.mine", "py.theirs"):
        await memphis.station(station)
    user = {"username": "py-app", "password": "Secret-1", "user_type": "application",
            # The password's hash.
            "secret": "$2b$04$Ee.yeaH9ihhF7c2AWidqcuYsCsNDPJHiQbym1jizdV26u6lSM.j6C",
            "allow_read_permissions": ["py.mine"], "allow_write_permissions": ["py.mine"]}
    made = await memphis.broker_manager.request("$memphis_api.usermgmt.addUser", json.dumps(user).encode())
    assert json.loads(made.data)["status"] == 200, made.data
    app = Memphis()
    await app.connect(host="127.0.0.1", port=PORT, username="py-app", password="Secret-1")
    producer = await app.producer("py.mine", "p")
    await producer.produce(bytearray(b"x"), headers=Headers())
    consumer = await app.consumer("py.mine", "c", "g", max_ack_time_ms=300, max_msg_deliveries=1)
    [message] = await consumer.fetch(1)
    await asyncio.sleep(0.5)
    assert await consumer.fetch(1) == [], "it is a dead letter"
    resend = json.dumps({"station_name": "py.mine", "poison_message_ids": []}).encode()

    async def again():
        await memphis.broker_manager.request("$memphis_api.stations.resendPoisonMessages", resend)
        return b"x" in await bodies(consumer, 1)

    await until(again, 10)
    await refused(app.producer("py.theirs", "p"), "user py-app is not allowed to access station py.theirs")
    await refused(app.consumer("py.theirs", "c"), "user py-app is not allowed to access station py.theirs")
    await producer.destroy()
    await app.close()
    assert await count(js, "py#mine$1") == 1 and await count(js, "py#theirs$1") == 0


@check
async def removed_by_another(memphis, js):
    await memphis.produce("py-removed", "p", bytearray(b"1"))
    other = await connected()
    station = await other.station("py-removed")
    await station.destroy()
    await asyncio.sleep(0.3)
    await memphis.produce("py-removed", "p", bytearray(b"2"))
    assert await count(js, "py-removed$1") == 1
    await other.close()


@check
async def nats_beside_memphis(memphis, js):
    await memphis.station("py.mix")
    consumer = await memphis.consumer("py.mix", "c")
    await js.publish("py#mix$1.final", b"from nats")
    [message] = await consumer.fetch(1)
    assert bytes(message.get_data()) == b"from nats" and message.get_headers() is None
    await message.ack()
    producer = await memphis.producer("py.mix", "p")
    await producer.produce(bytearray(b"from memphis"))
    sub = await js.pull_subscribe("py#mix$1.final", durable="natsdurable", stream="py#mix$1")
    got = [m.data for m in await sub.fetch(2, timeout=2)]
    assert got == [b"from nats", b"from memphis"], got
    await js.add_stream(name="PyPlain", subjects=["pyplain.final"])
    await memphis.station("pyplain", partitions_number=3)
    producer = await memphis.producer("pyplain", "p")
    await producer.produce(bytearray(b"x"))
    assert await count(js, "PyPlain") == 1


@check
async def killed_server(memphis, js):
    restart = os.environ.get("RESTART")
    if not restart:
        return
    producer = await memphis.producer("py-kill", "p")
    consumer = await memphis.consumer("py-kill", "c", "g", max_ack_time_ms=1000)
    await producer.produce(bytearray(b"before"))
    await asyncio.to_thread(subprocess.run, [restart], check=True)

    async def back():
        return memphis.broker_manager.is_connected

    await until(back, 20)
    await producer.produce(bytearray(b"after"))
    assert await bodies(consumer) == [b"before", b"after"]
    await consumer.destroy()
    await producer.destroy()


async def main():
    memphis = await connected()
    nc = await nats.connect(sys.argv[2], reconnect_time_wait=0.1, max_reconnect_attempts=100)
    status = await report.run_all("memphis-python", CHECKS, memphis, nc.jetstream())
    await nc.close()
    await memphis.close()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

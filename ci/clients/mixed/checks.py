"""One station, used at once by the Memphis SDK, nats-py and nats.go, and watched over HTTP.

Usage: checks.py MEMPHIS_PORT MANAGEMENT_PORT GO_PROGRAM. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1
if one failed.
"""

import asyncio
import http.client
import json
import pathlib
import sys
import tempfile
import time
import urllib.parse

import nats
from memphis import Memphis
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder

PORT, MANAGEMENT, GO = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
URL = f"nats://root:memphis@127.0.0.1:{PORT}"
SCHEMA = '{"type": "object", "required": ["id"]}'
REFUSED = "Schema validation has failed"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def ask(method, route, token="", **fields):
    path, body = f"/api/{route}", json.dumps(fields)
    if method == "GET":
        path, body = f"{path}?{urllib.parse.urlencode(fields)}", None
    connection = http.client.HTTPConnection("127.0.0.1", MANAGEMENT, timeout=30)
    connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    said = json.loads(response.read())
    connection.close()
    assert response.status == 200, (route, response.status, said)
    return said


class Api:
    def __init__(self):
        self.token = ask("POST", "usermgmt/login", username="root", password="memphis")["jwt"]

    def __call__(self, method, route, **fields):
        return ask(method, route, self.token, **fields)

    def station(self, name):
        return self("GET", "monitoring/getStationOverviewData", station_name=name, partition_number=-1)


async def go(*words):
    """Takes a step with nats.go."""
    process = await asyncio.create_subprocess_exec(GO, URL, *words, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.05)


async def take(consumer, count):
    """Fetches until there are so many, and acknowledges them."""
    got = []
    while len(got) < count:
        for message in await consumer.fetch(count):
            got.append(bytes(message.get_data()))
            await message.ack()
    return got


async def nats_py(js, stream, durable, count, acks=True):
    config = ConsumerConfig(durable_name=durable, ack_wait=0.3, max_deliver=1)
    sub = await js.pull_subscribe(f"{stream}.final", durable, stream=stream, config=config)
    messages = await sub.fetch(count, timeout=5)
    for message in messages if acks else []:
        await message.ack_sync()
    return sub, [message.data for message in messages]


@check
async def from_memphis_to_nats_and_back(memphis, js, api):
    await memphis.station("mixed.both")
    producer = await memphis.producer("mixed.both", "writer")
    consumer = await memphis.consumer("mixed.both", "reader", "readers")
    await producer.produce(bytearray(b"by memphis"))
    assert (await js.publish("mixed#both$1.final", b"by nats-py")).seq == 2
    assert await go("publish", "mixed#both$1.final", "by nats.go") == {"stream": "mixed#both$1", "seq": 3}
    all_of_them = [b"by memphis", b"by nats-py", b"by nats.go"]
    assert await take(consumer, 3) == all_of_them
    assert (await nats_py(js, "mixed#both$1", "billing-py", 3))[1] == all_of_them
    seen = await go("fetch", "mixed#both$1", "billing-go", "mixed#both$1.final", "3", "ack")
    assert seen == [body.decode() for body in all_of_them]
    shown = api.station("mixed.both")
    groups = {group["name"] for group in shown["connected_cgs"] + shown["disconnected_cgs"]}
    assert {"readers", "billing-py", "billing-go"} <= groups, groups
    producers = {p["name"] for p in shown["connected_producers"] + shown["disconnected_producers"]}
    assert "writer" in producers and "nats-py-client" in producers, producers


@check
async def a_schema_holds_for_everybody(memphis, js, api):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(SCHEMA)
        file.flush()
        await memphis.create_schema("mixed-schema", "json", file.name)
    await memphis.station("mixed-checked", schema_name="mixed-schema")
    producer = await memphis.producer("mixed-checked", "writer")
    await producer.produce({"id": 1})
    await js.publish("mixed-checked$1.final", b'{"id": 2}')
    assert (await go("publish", "mixed-checked$1.final", '{"id": 3}'))["seq"] == 3
    try:
        await producer.produce({"no": 1})
        raise AssertionError("the SDK takes it")
    except Exception as error:  # noqa: BLE001 - the SDK raises its own
        assert REFUSED in str(error), error
    try:
        await js.publish("mixed-checked$1.final", b'{"no": 2}')
        raise AssertionError("nats-py takes it")
    except APIError as error:
        assert error.err_code == 20001 and REFUSED in error.description, error
    told = await go("publish", "mixed-checked$1.final", '{"no": 3}')
    assert told["code"] == 20001 and REFUSED in told["error"], told
    failed = lambda: api.station("mixed-checked")["schema_failed_messages"]
    await until(lambda: len(failed()) == 3)
    bodies = sorted(bytes.fromhex(row["message"]["data"]) for row in failed())
    # The SDK sends what it refused as Python shows it.
    assert bodies == [b'{"no": 2}', b'{"no": 3}', b"{'no': 1}"], bodies
    assert api.station("mixed-checked")["total_messages"] == 3


@check
async def the_journey_of_a_message_that_dies_for_all(memphis, js, api):
    """Each of the three groups gives the message up; each gets it again, and an ack clears it."""
    await memphis.station("mixed-dead")
    producer = await memphis.producer("mixed-dead", "writer")
    consumer = await memphis.consumer("mixed-dead", "reader", "readers", max_msg_deliveries=1, max_ack_time_ms=300)
    await producer.produce(bytearray(b"poison"))
    subject = "mixed-dead$1.final"
    assert len(await consumer.fetch(1)) == 1
    sub, got = await nats_py(js, "mixed-dead$1", "billing-py", 1, acks=False)
    assert got == [b"poison"]
    assert await go("fetch", "mixed-dead$1", "billing-go", subject, "1", "leave") == ["poison"]
    dead = lambda: api.station("mixed-dead")["poison_messages"]
    await until(lambda: dead() and len(dead()[0]["poisoned_cgs"]) == 3)
    [row] = dead()
    journey = api("GET", "stations/getPoisonMessageJourney", message_id=row["id"])
    assert journey["producer"] == {"name": "writer", "is_active": True}, journey
    assert {group["name"] for group in journey["poisoned_cgs"]} == {"readers", "billing-py", "billing-go"}, journey
    assert bytes.fromhex(journey["message"]["data"]) == b"poison", journey
    assert (journey["message_seq"], journey["partition_number"]) == (1, 1), journey
    api("POST", "stations/resendPoisonMessages", station_name="mixed-dead", poison_message_ids=[row["id"]])
    [message] = await sub.fetch(1, timeout=5)
    assert message.data == b"poison"
    await message.ack_sync()
    await until(lambda: "billing-py" not in dead()[0]["poisoned_cgs"])
    assert await go("fetch", "mixed-dead$1", "billing-go", subject, "1", "ack") == ["poison"]
    assert await take(consumer, 1) == [b"poison"]
    await until(lambda: dead() == [])


@check
async def users_come_and_go(memphis, js, api):
    """Managers do not connect as clients; who is removed or gets another password is sent away, token and all."""
    api("POST", "usermgmt/addUser", username="mixed-boss", password="Secret-1", user_type="management")
    api("POST", "usermgmt/addUser", username="mixed-app", password="Secret-1", user_type="application")

    async def connect(user, password):
        other = Memphis()
        await other.connect(host="127.0.0.1", port=PORT, username=user, password=password, reconnect=False)
        return other

    async def refused(user, password):
        try:
            await connect(user, password)
        except Exception as error:  # noqa: BLE001 - the SDK raises its own
            assert "Authorization Violation" in str(error), error
            return
        raise AssertionError(f"{user} is let in")

    await refused("mixed-boss", "Secret-1")
    boss = ask("POST", "usermgmt/login", username="mixed-boss", password="Secret-1")["jwt"]
    ask("GET", "stations/getAllStations", boss)
    app = await connect("mixed-app", "Secret-1")
    await app.station("mixed-users")
    api("PUT", "usermgmt/changePassword", username="mixed-app", password="Secret-2")
    await until(lambda: not app.broker_manager.is_connected)
    await refused("mixed-app", "Secret-1")
    app = await connect("mixed-app", "Secret-2")
    api("DELETE", "usermgmt/removeUser", username="mixed-app")
    await until(lambda: not app.broker_manager.is_connected)
    await refused("mixed-app", "Secret-2")
    api("PUT", "usermgmt/changePassword", username="mixed-boss", password="Secret-2")
    try:
        ask("GET", "stations/getAllStations", boss)
        raise AssertionError("the token holds")
    except AssertionError as error:
        assert "401" in str(error), error


@check
async def another_version_of_a_schema(memphis, js, api):
    """Activated over HTTP, followed when the station is told to, and then it holds for new producers and everybody."""
    for n, content in enumerate((SCHEMA, '{"type": "object", "required": ["id", "name"]}')):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(content)
            file.flush()
            await memphis.create_schema("mixed-versions", "json", file.name)
        if n == 0:
            await memphis.station("mixed-versions", schema_name="mixed-versions")
    details = api("GET", "schemas/getSchemaDetails", schema_name="mixed-versions")
    assert [version["active"] for version in details["versions"]] == [True, False], details
    await js.publish("mixed-versions$1.final", b'{"id": 1}')
    api("PUT", "schemas/rollBackVersion", schema_name="mixed-versions", version_number=2)
    await js.publish("mixed-versions$1.final", b'{"id": 2}')
    told = api("GET", "stations/getUpdatesForSchemaByStation", station_name="mixed-versions")
    assert told["updates_available"] and told["version_number"] == 1, told
    api("POST", "stations/useSchema", station_names=["mixed-versions"], schema_name="mixed-versions")
    producer = await memphis.producer("mixed-versions", "late")
    await producer.produce({"id": 3, "name": "x"})
    for attempt in (producer.produce({"id": 4}), js.publish("mixed-versions$1.final", b'{"id": 5}')):
        try:
            await attempt
            raise AssertionError("it was taken")
        except Exception as error:  # noqa: BLE001 - either client's own
            assert REFUSED in str(error), error


async def main():
    api = Api()
    memphis = Memphis()
    await memphis.connect(host="127.0.0.1", port=PORT, username="root", password="memphis")
    nc = await nats.connect(URL, name="nats-py-client")
    js = nc.jetstream()
    status = await report.run_all("mixed", CHECKS, memphis, js, api)
    await nc.close()
    await memphis.close()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

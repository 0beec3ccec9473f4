"""`beale import memphis`: from Beale, which answers as Memphis does, and from the real nats-server, which holds
streams as Memphis lays them out, beside a small stand-in for Memphis' HTTP API.
"""

import http.client
import http.server
import json
import pathlib
import signal
import subprocess
import threading
import time
import urllib.parse

import nats
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from harness import BEALE, NATS_SERVER, Server, World, check, within
import serving  # in the folder above, which `harness` has made known

JSON_SCHEMA = '{"type":"object","required":["id"]}'
STRICTER = '{"type":"object","required":["id","name"]}'
PROTO = 'syntax = "proto3";\nmessage Order { string id = 1; }\n'


class Memphis(Server):
    """Beale with Memphis' ports."""

    def __init__(self, folder):
        self.sdk, self.api = serving.free_ports(2)
        super().__init__(BEALE, folder, f'memphis {{ listen: "127.0.0.1:{self.sdk}", ui_port: {self.api} }}')
        self.url = f"nats://root:memphis@127.0.0.1:{self.sdk}"
        self.api_url = f"http://root:memphis@127.0.0.1:{self.api}"

    def ask(self, method, route, **fields):
        """Calls the management API as root."""
        _, said = call(self.api, "POST", "usermgmt/login", {"username": "root", "password": "memphis"})
        status, said = call(self.api, method, route, fields, said["jwt"])
        assert status == 200, (route, status, said)
        return said

    async def connect(self):
        return await nats.connect(f"nats://127.0.0.1:{self.sdk}", user="root", password="memphis", connect_timeout=30)


def call(port, method, route, fields, token=""):
    path = f"/api/{route}"
    if method == "GET":
        path += "?" + urllib.parse.urlencode(fields)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection.request(method, path, None if method == "GET" else json.dumps(fields), headers)
    response = connection.getresponse()
    said = json.loads(response.read() or b"null")
    connection.close()
    return response.status, said


class MemphisWorld(World):
    """Two brokers that answer as Memphis does."""

    patience = 600

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.old = self.origin()
        self.new = Memphis(self.folder / "new")
        self.spool = self.folder / "spool"

    def origin(self):
        return Memphis(self.folder / "old")

    def command(self, *more):
        return [BEALE, "import", "memphis", "--from", self.old.url, "--api", self.old.api_url,
                "--to", self.new.url, "--spool", str(self.spool), *more]


async def group(js, stream, name, acked):
    """A group as the broker makes it for an SDK, which has dealt with some messages."""
    await js.add_consumer(stream, ConsumerConfig(durable_name=name, ack_policy="explicit", max_deliver=2,
                                                 filter_subject=f"{stream}.final", max_ack_pending=-1))
    sub = await js.pull_subscribe_bind(name, stream=stream)
    for message in (await sub.fetch(acked, timeout=30) if acked else []):
        await message.ack_sync()


def fill_management(old):
    """Schemas, users, tags and stations, made as people make them."""
    old.ask("POST", "schemas/createNewSchema", name="ids", type="json", schema_content=JSON_SCHEMA)
    old.ask("POST", "schemas/createNewVersion", schema_name="ids", schema_content=STRICTER)
    old.ask("POST", "schemas/createNewSchema", name="orders", type="protobuf", schema_content=PROTO,
            message_struct_name="Order")
    old.ask("POST", "usermgmt/addUser", username="app", user_type="application", password="Passw0rd!",
            team="blue", deny_write_permissions=["private.*"])
    old.ask("POST", "usermgmt/addUser", username="boss", user_type="management", password="Passw0rd!")
    old.ask("POST", "tags/createNewTag", name="blue", color="1, 2, 3")
    old.ask("POST", "stations/createStation", name="Orders.EU", partitions_number=3, retention_type="messages",
            retention_value=5000, idempotency_window_in_ms=5000, dls_station="dead",
            dls_configuration={"poison": True, "schemaverse": False})
    old.ask("PUT", "tags/updateTagsForEntity", entity_type="station", entity_name="orders.eu",
            tags_to_add=[{"name": "blue"}])
    old.ask("POST", "stations/createStation", name="acked", partitions_number=1, retention_type="ack_based",
            storage_type="memory")
    old.ask("POST", "stations/createStation", name="checked", partitions_number=1)
    old.ask("POST", "stations/useSchema", station_names=["checked"], schema_name="ids")
    # The station stays with the version that was active then.
    old.ask("PUT", "schemas/rollBackVersion", schema_name="ids", version_number=2)


def seen_by_people(broker):
    """What the API shows that has to be the same, whoever shows it."""
    stations = {}
    for entry in broker.ask("GET", "stations/getStations")["stations"]:
        station = entry["station"]
        for key in ("created_at", "last_update"):
            station.pop(key)
        stations[station["name"]] = (station, entry["total_messages"])
    schemas = {}
    for schema in broker.ask("GET", "schemas/getAllSchemas"):
        details = broker.ask("GET", "schemas/getSchemaDetails", schema_name=schema["name"])
        for version in details["versions"]:
            version.pop("created_at")
        schemas[schema["name"]] = details
    users = broker.ask("GET", "usermgmt/getAllUsers")
    for user in users["application_users"] + users["management_users"]:
        user.pop("created_at", None)
    return stations, schemas, users


@check
@within(MemphisWorld)
async def all_that_a_memphis_broker_knows(world):
    fill_management(world.old)
    async with world.clients() as (old, new):
        for partition in (1, 2, 3):
            stream = f"orders#eu${partition}"
            for n in range(20):
                headers = {"msg-id": f"{partition}-{n}", "$memphis_producedBy": "p"}
                await old.publish(f"{stream}.final", f"{n}".encode(), headers=headers)
            await old.delete_msg(stream, 7)
            await group(old, stream, "billing#eu", 5 * partition)
        await group(old, "acked$1", "readers", 0)
        for n in range(5):
            await old.publish("acked$1.final", f"{n}".encode())
        await old.add_stream(name="PLAIN", subjects=["plain.>"])
        await old.publish("plain.a", b"x")
        said = world.run()
        assert "app, boss: passwords cannot be read" in said, said
        assert "4 stations, 2 schemas, 2 users: compared" in said, said
        assert seen_by_people(world.new) == seen_by_people(world.old)
        for partition in (1, 2, 3):
            stream = f"orders#eu${partition}"
            mine, theirs = [(await js.consumer_info(stream, "billing#eu")) for js in (new, old)]
            assert mine.ack_floor.stream_seq == theirs.ack_floor.stream_seq == 5 * partition + (partition > 1)
            sub = await new.pull_subscribe_bind("billing#eu", stream=stream)
            [message] = await sub.fetch(1, timeout=10)
            assert message.metadata.sequence.stream == theirs.ack_floor.stream_seq + (1 if partition > 1 else 1), message
        # The station is one: its schema is enforced, its message ids are remembered no less.
        try:
            await new.publish("checked$1.final", b'{"no":1}')
            raise AssertionError("it was stored")
        except nats.js.errors.APIError as error:
            assert "Schema validation has failed" in error.description, error
        await new.publish("checked$1.final", b'{"id":1}')
    said = world.run("--station", "orders.eu")
    assert "0 imported" in said and "failed" not in said, said
    world.new.kill()
    world.new.start()
    shown = world.new.ask("GET", "stations/getStation", station_name="orders.eu")
    assert shown["is_native"] and shown["retention_value"] == 5000, shown


@check
@within(MemphisWorld)
async def a_memphis_import_killed_anywhere_is_run_again(world):
    fill_management(world.old)
    async with world.clients() as (old, _):
        for n in range(3000):
            await old.publish(f"orders#eu${n % 3 + 1}.final", b"x" * 200)
    for wait in (0.05, 0.3, 0.6, 1.0):
        importing = subprocess.Popen(world.command(), stderr=subprocess.DEVNULL)
        time.sleep(wait)
        importing.send_signal(signal.SIGKILL)
        importing.wait()
    world.run()
    assert seen_by_people(world.new) == seen_by_people(world.old)
    said = world.run()
    assert said.strip().splitlines()[-1].startswith("0 imported"), said


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers of Memphis' HTTP API in the shapes of Memphis 1.4; a token holds for three questions."""

    asked = 0

    def log_message(self, *_):
        pass

    def answer(self, said, status=200):
        text = json.dumps(said, indent=4).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):  # noqa: N802 - the library's name
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/api/usermgmt/login" or fields != {"username": "root", "password": "memphis"}:
            return self.answer({"message": "Unauthorized"}, 401)
        StandIn.asked = 0
        self.answer({"jwt": "token", "expires_in": 900000, "user_id": 1, "username": "root"})

    def do_GET(self):  # noqa: N802
        StandIn.asked += 1
        if self.headers["Authorization"] != "Bearer token" or StandIn.asked > 3:
            return self.answer({"message": "Unauthorized"}, 401)
        address = urllib.parse.urlparse(self.path)
        self.answer(self.ANSWERS[address.path.removeprefix("/api/")])

    ANSWERS = {
        "stations/getStations": {"stations": [{
            "station": {
                "id": 3, "name": "old.station", "retention_type": "message_age_sec", "retention_value": 604800,
                "storage_type": "file", "replicas": 3, "created_by": 1, "created_by_username": "root",
                "created_at": "2024-05-01T10:00:00Z", "updated_at": "2024-05-01T10:00:00Z",
                "schema_name": "demo-schema", "schema_vesrion_number": 1, "idempotency_window_in_ms": 120000,
                "is_native": True, "dls_configuration_poison": True, "tiered_storage_enabled": False,
                "tenant_name": "$memphis", "resend_disabled": False, "partitions_list": [1, 2], "version": 2,
                "dls_station": "", "functions_lock_held": False, "functions_locked_at": "0001-01-01T00:00:00Z",
            },
            "total_messages": 40, "posion_messages": 0, "has_dls_messages": False, "activity": False,
            "tags": [{"name": "default", "color": "0, 165, 255"}],
        }, {
            "station": {"id": 4, "name": "made_by_nats", "is_native": False, "partitions_list": [], "version": 2},
            "total_messages": 0, "posion_messages": 0, "tags": None,
        }]},
        "schemas/getAllSchemas": [{
            "id": 1, "name": "demo-schema", "type": "json", "created_by": 1, "created_by_username": "root",
            "created_at": "2024-05-01T10:00:00Z", "active_version_number": 2, "used": True, "tags": [],
        }],
        "schemas/getSchemaDetails": {
            "id": 1, "schema_name": "demo-schema", "type": "json", "used_stations": ["old.station"],
            "tags": [], "created_by_username": "root", "versions": [{
                "id": 2, "version_number": 2, "active": True, "schema_content": STRICTER, "message_struct_name": "",
            }, {
                "id": 1, "version_number": 1, "active": False, "schema_content": JSON_SCHEMA,
                "message_struct_name": "",
            }],
        },
        "usermgmt/getAllUsers": {
            "application_users": [{
                "id": 5, "username": "client", "user_type": "application", "avatar_id": 2, "full_name": "",
                "team": "t", "position": "", "owner": "", "description": "d", "pending": False,
                "permissions": {"allow_read_permissions": ["a.*"], "allow_write_permissions": [],
                                "deny_read_permissions": None, "deny_write_permissions": []},
            }],
            "management_users": [{"id": 1, "username": "root", "user_type": "root", "avatar_id": 1}],
        },
    }


class Origin(Server):
    """The real nats-server, which Memphis was, with a stand-in beside it."""

    def __init__(self, folder):
        super().__init__(NATS_SERVER, folder, 'authorization { users = [{user: "root$1", password: memphis}] }')
        self.url = f"nats://root$1:memphis@127.0.0.1:{self.port}"
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
        self.api_url = f"http://root:memphis@127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def kill(self):
        self.http.shutdown()
        super().kill()

    async def connect(self):
        return await nats.connect(f"nats://127.0.0.1:{self.port}", user="root$1", password="memphis")


class OriginWorld(MemphisWorld):
    """From streams as Memphis lays them out."""

    def origin(self):
        return Origin(self.folder / "old")


@check
@within(OriginWorld)
async def streams_as_memphis_lays_them_out(world):
    async with world.clients() as (old, new):
        for partition in (1, 2):
            stream = f"old#station${partition}"
            await old.add_stream(StreamConfig(name=stream, subjects=[f"{stream}.>"], max_age=604800,
                                              duplicate_window=120, max_consumers=-1))
            for n in range(20):
                headers = {"$memphis_producedBy": "p", "$memphis_connectionId": "c", "msg-id": str(n)}
                await old.publish(f"{stream}.final", f'{{"id":{n}}}'.encode(), headers=headers)
            await group(old, stream, "grp#x", 3 * partition)
        # What Memphis keeps for itself stays there.
        await old.add_stream(StreamConfig(name="$memphis_dls_unacked", subjects=["$JS.EVENT.ADVISORY.CONSUMER.X"]))
        await old.add_stream(StreamConfig(name="$memphis_tiered_storage", subjects=["$memphis_tiered_storage"],
                                          retention=RetentionPolicy.WORK_QUEUE))
        await old.add_stream(name="made_by_nats", subjects=["made"])
        await old.publish("made", b"x")
        said = world.run()
        assert "1 stations, 1 schemas, 1 users: compared" in said, said
        names = {info.config.name for info in await new.streams_info()}
        assert names == {"old#station$1", "old#station$2", "made_by_nats"}, names
        for partition in (1, 2):
            stream = f"old#station${partition}"
            for seq in (1, 20):
                a, b = [await js.get_msg(stream, seq) for js in (new, old)]
                assert (a.data, a.headers, a.time, a.subject) == (b.data, b.headers, b.time, b.subject)
            assert (await new.consumer_info(stream, "grp#x")).ack_floor.stream_seq == 3 * partition
    station = world.new.ask("GET", "stations/getStation", station_name="old.station")
    expected = {"retention_type": "message_age_sec", "retention_value": 604800, "partitions_list": [1, 2],
                "schema_name": "demo-schema", "schema_version_number": 1, "is_native": True,
                "dls_configuration": {"poison": True, "schemaverse": False}}
    assert {key: station[key] for key in expected} == expected, station
    details = world.new.ask("GET", "schemas/getSchemaDetails", schema_name="demo-schema")
    assert [v["schema_content"] for v in details["versions"]] == [JSON_SCHEMA, STRICTER], details
    assert details["active_version_number"] == 2
    said = world.run()
    assert said.strip().splitlines()[-1].startswith("0 imported"), said


@check
@within(OriginWorld)
async def who_may_not_see_memphis_is_told(world):
    command = world.command()
    command[command.index("--api") + 1] = world.old.api_url.replace("memphis@", "wrong@")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the login: Unauthorized" in done.stderr, done

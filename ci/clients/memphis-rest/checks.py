"""Memphis over HTTP: the management API by plain requests, beside a NATS client.

Usage: checks.py MANAGEMENT_PORT GATEWAY_PORT MEMPHIS_PORT SLACK_PORT. Prints `ok NAME` or `FAIL NAME: why` per
check; exits 1 if one failed. Slack is this program's.
"""

import asyncio
import http.client
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse

import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder

MANAGEMENT, GATEWAY, MEMPHIS, SLACK = (int(port) for port in sys.argv[1:5])
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def ask(port, method, path, body=None, headers=None):
    """Asks over a connection of its own; returns status, headers and body, read as JSON where it is that."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    if isinstance(body, (dict, list)):
        body, headers = json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    try:
        text = json.loads(text)
    except ValueError:
        pass
    return response.status, response.headers, text


def login(username="root", password="memphis"):
    return ask(MANAGEMENT, "POST", "/api/usermgmt/login", {"username": username, "password": password})


class Api:
    """The management API for somebody who is logged in."""

    def __init__(self, username="root", password="memphis"):
        status, _, said = login(username, password)
        assert status == 200, (status, said)
        self.said = said

    def __call__(self, method, route, expected=200, **fields):
        path, body = f"/api/{route}", None
        if method == "GET":
            path += "?" + urllib.parse.urlencode(fields)
        else:
            body = fields
        bearer = {"Authorization": f"Bearer {self.said['jwt']}"}
        status, _, said = ask(MANAGEMENT, method, path, body, bearer)
        assert status == expected, (route, status, said)
        return said

    def station(self, name, **more):
        return self("POST", "stations/createStation", name=name, **more)


async def client(user="root", password="memphis"):
    return await nats.connect(f"nats://127.0.0.1:{MEMPHIS}", user=user, password=password,
                              allow_reconnect=False)


async def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.05)


@check
async def logged_in(api):
    status, headers, said = login()
    assert status == 200 and said["username"] == "root" and said["user_type"] == "root", said
    assert said["expires_in"] == 15 * 60 * 1000 and said["account_id"] == 1, said
    assert said["clients_port"] == MEMPHIS and said["http_port"] == MANAGEMENT, said
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("memphis-jwt-refresh-token=") and "HttpOnly" in cookie, cookie
    assert login(password="wrong")[0] == 401 and login(username="nobody")[0] == 401
    refused = ask(MANAGEMENT, "GET", "/api/stations/getStations")
    assert refused[0] == 401 and refused[2] == {"message": "Unauthorized"}, refused
    again = {"Cookie": cookie.split(";")[0]}
    status, _, said = ask(MANAGEMENT, "POST", "/api/usermgmt/refreshToken", None, again)
    assert status == 200 and said["jwt"], said
    assert ask(MANAGEMENT, "POST", "/api/usermgmt/refreshToken")[0] == 401


@check
async def without_a_token(api):
    assert ask(MANAGEMENT, "GET", "/api/status")[2] == {"message": "Ok"}
    assert ask(MANAGEMENT, "GET", "/api/monitoring/getClusterInfo")[2]["version"]
    assert ask(MANAGEMENT, "GET", "/api/usermgmt/getSignUpFlag")[2] == {"show_signup": False}
    document = ask(MANAGEMENT, "GET", "/api/openapi.json")[2]
    assert document["openapi"].startswith("3."), document
    assert "post" in document["paths"]["/api/stations/createStation"], document


@check
async def stations(api):
    made = api.station("Rest.Opts", retention_type="messages", retention_value=5, partitions_number=2,
                       storage_type="memory", idempotency_window_in_ms=5000,
                       dls_configuration={"poison": False, "schemaverse": True})
    assert made["name"] == "rest.opts" and made["retention_value"] == 5, made
    assert made["partitions_list"] == [1, 2] and made["storage_type"] == "memory", made
    assert not made["dls_configuration_poison"] and made["dls_configuration_schemaverse"], made
    again = api("POST", "stations/createStation", 406, name="rest.opts")
    assert again == {"message": "Station rest.opts already exists"}, again
    bad = api("POST", "stations/createStation", 406, name="a b")
    assert "Only alphanumeric" in bad["message"], bad
    shown = api("GET", "stations/getStation", station_name="rest.opts")
    assert shown["is_native"] and shown["partitions_number"] == 2, shown
    assert "rest.opts" in [s["station"]["name"] for s in api("GET", "stations/getStations")["stations"]]
    assert "rest.opts" in [s["name"] for s in api("GET", "stations/getAllStations")]
    kept = api("PUT", "stations/updateDlsConfig", station_name="rest.opts", poison=True, schemaverse=False)
    assert kept == {"poison": True, "schemaverse": False}, kept
    assert api("DELETE", "stations/removeStation", station_names=["rest.opts"]) == {}
    gone = api("GET", "stations/getStation", 406, station_name="rest.opts")
    assert "does not exist" in gone["message"], gone


@check
async def a_nats_stream_is_a_station(api):
    nc = await client()
    await nc.jetstream().add_stream(name="RestPlain", subjects=["restplain.>"])
    shown = api("GET", "stations/getStation", station_name="restplain")
    assert not shown["is_native"], shown
    await nc.close()


@check
async def messages(api):
    api.station("rest-msgs")
    typed = {"station_name": "rest-msgs", "partition_number": 1, "amount": 1}
    for text in ("one", "two", "three"):
        api("POST", "stations/produce", message_payload=text, message_headers={"k": text}, **typed)
    shown = api("GET", "stations/getMessageDetails", station_name="rest-msgs", partition_number=1,
                message_seq=2, is_dls="false")
    assert bytes.fromhex(shown["message"]["data"]) == b"two", shown
    assert shown["message"]["headers"]["k"] == "two" and shown["producer"]["name"] == "UI", shown
    gone = {"message_seq": 2, "partition_number": 1}
    api("DELETE", "stations/removeMessages", station_name="rest-msgs", messages=[gone])
    total = lambda: api("GET", "monitoring/getStationOverviewData", station_name="rest-msgs",
                        partition_number=-1)["total_messages"]
    assert total() == 2
    api("DELETE", "stations/purgeStation", station_name="rest-msgs", purge_station=True, purge_dls=True,
        partitions_list=[-1])
    assert total() == 0


@check
async def schemas(api):
    content = '{"type": "object", "required": ["id"]}'
    made = api("POST", "schemas/createNewSchema", name="rest-json", type="json", schema_content=content)
    assert made["active_version_number"] == 1, made
    again = api("POST", "schemas/createNewSchema", 406, name="rest-json", type="json", schema_content=content)
    assert again["message"] == "Schema with the name rest-json already exists", again
    bad = api("POST", "schemas/createNewSchema", 555, name="rest-bad", type="json", schema_content='{"type": 1}')
    assert bad["message"].startswith("your json schema is invalid"), bad
    assert api("POST", "schemas/validateSchema", schema_type="json", schema_content=content) == {"is_valid": True}
    api.station("rest-schemas")
    used = api("POST", "stations/useSchema", station_names=["rest-schemas"], schema_name="rest-json")
    assert used["version_number"] == 1 and not used["updates_available"], used
    nc = await client()
    js = nc.jetstream()
    await js.publish("rest-schemas$1.final", b'{"id": 1}')
    try:
        await js.publish("rest-schemas$1.final", b"{}")
        raise AssertionError("was not refused")
    except nats.js.errors.APIError as error:
        assert "Schema validation has failed" in error.description, error
    dead = api("GET", "monitoring/getStationOverviewData", station_name="rest-schemas")["schema_failed_messages"]
    assert len(dead) == 1 and "id" in dead[0]["validation_error"], dead
    api("POST", "schemas/createNewVersion", schema_name="rest-json", schema_content='{"type": "object"}')
    details = api("PUT", "schemas/rollBackVersion", schema_name="rest-json", version_number=2)
    assert details["active_version_number"] == 2 and details["used_stations"] == ["rest-schemas"], details
    assert api("GET", "stations/getUpdatesForSchemaByStation", station_name="rest-schemas")["updates_available"]
    api("DELETE", "stations/removeSchemaFromStation", station_name="rest-schemas")
    await js.publish("rest-schemas$1.final", b"anything")
    api("DELETE", "schemas/removeSchema", schema_names=["rest-json"])
    assert "rest-json" not in [s["name"] for s in api("GET", "schemas/getAllSchemas")]
    await nc.close()


@check
async def the_journey_of_a_message(api):
    """Produced and given up by NATS clients; seen, sent again and dropped by HTTP."""
    api.station("rest-dead")
    nc = await client()
    js = nc.jetstream()
    await js.publish("rest-dead$1.final", b"lost", headers={"k": "v"})
    config = nats.js.api.ConsumerConfig(durable_name="g", ack_wait=0.2, max_deliver=1)
    sub = await js.pull_subscribe("rest-dead$1.final", "g", stream="rest-dead$1", config=config)
    assert len(await sub.fetch(1, timeout=2)) == 1
    overview = lambda: api("GET", "monitoring/getStationOverviewData", station_name="rest-dead")
    dead = lambda: overview()["poison_messages"]
    await until(dead)
    [row] = dead()
    journey = api("GET", "stations/getPoisonMessageJourney", message_id=row["id"])
    assert bytes.fromhex(journey["message"]["data"]) == b"lost", journey
    assert journey["message"]["headers"]["k"] == "v", journey
    assert [group["name"] for group in journey["poisoned_cgs"]] == ["g"], journey
    api("POST", "stations/resendPoisonMessages", station_name="rest-dead", poison_message_ids=[row["id"]])
    [message] = await sub.fetch(1, timeout=2)
    assert message.data == b"lost"
    await message.ack()
    await until(lambda: not dead())
    await js.publish("rest-dead$1.final", b"dropped")
    await sub.fetch(1, timeout=2)
    await until(dead)
    ids = [row["id"] for row in dead()]
    api("POST", "stations/dropDlsMessages", station_name="rest-dead", dls_type="poison", dls_message_ids=ids)
    assert dead() == []
    assert overview()["total_messages"] == 2
    await nc.close()


class Slack(http.server.BaseHTTPRequestHandler):
    """Takes messages as Slack does."""

    told = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append((self.path, self.headers["Authorization"], body["channel"], body["text"]))
        answer = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@check
async def slack_is_told(api):
    server = http.server.HTTPServer(("127.0.0.1", SLACK), Slack)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"auth_token": "xoxb-secret", "channel_id": "C1"}
    wanted = {"poison_message_alert": True, "schema_validation_fail_alert": True, "disconnection_events_alert": True}
    shown = api("POST", "integrations/createIntegration", name="slack", keys=keys, properties=wanted)
    assert shown["keys"] == {"auth_token": "xoxb-****", "channel_id": "C1"}, shown
    assert api("GET", "integrations/getAllIntegrations") == [shown]
    api("POST", "schemas/createNewSchema", name="rest-slack", type="json", schema_content='{"required": ["id"]}')
    api.station("rest-slack", schema_name="rest-slack")
    nc = await client()
    js = nc.jetstream()
    # What SDKs send after they have refused a message themselves.
    said = {"title": "Schema validation has failed", "msg": "Station: x\nProducer: p\nError: sdk says no",
            "type": "schema_validation_fail_alert", "code": "{}"}
    await nc.publish("$memphis_notifications", json.dumps(said).encode())
    try:
        await js.publish("rest-slack$1.final", b"{}")
        raise AssertionError("was not refused")
    except nats.js.errors.APIError:
        pass
    await js.publish("rest-slack$1.final", b'{"id": 1}')
    config = nats.js.api.ConsumerConfig(durable_name="g", ack_wait=0.2, max_deliver=1)
    sub = await js.pull_subscribe("rest-slack$1.final", "g", stream="rest-slack$1", config=config)
    await sub.fetch(1, timeout=5)
    parts = ["sdk says no", "Station: rest-slack\nProducer: Unknown", "Consumer group: g"]
    heard = lambda: all(any(part in text for _, _, _, text in Slack.told) for part in parts)
    await until(heard, 30)
    assert {line[:3] for line in Slack.told} == {("/api", "Bearer xoxb-secret", "C1")}, Slack.told
    assert api("DELETE", "integrations/disconnectIntegration", name="slack") == {}
    assert api("GET", "integrations/getAllIntegrations") == []
    await nc.close()
    server.shutdown()


@check
async def users(api):
    api("POST", "usermgmt/addUser", username="rest-app", password="Secret-1", user_type="application")
    boss = {"username": "rest-boss", "password": "Secret-1", "user_type": "management"}
    api("POST", "usermgmt/addUser", **boss)
    again = api("POST", "usermgmt/addUser", 406, **boss)
    assert again["message"] == "A user with the name rest-boss already exists", again
    weak = api("POST", "usermgmt/addUser", 406, username="rest-weak", password="x", user_type="application")
    assert weak["message"].startswith("Password must be at least 8"), weak
    listed = api("GET", "usermgmt/getAllUsers")
    assert "rest-app" in [user["username"] for user in listed["application_users"]], listed
    assert {"root", "rest-boss"} <= {user["username"] for user in listed["management_users"]}, listed
    # Clients connect and do not manage; managers manage and do not connect.
    assert login("rest-app", "Secret-1")[0] == 401
    nc = await client("rest-app", "Secret-1")
    await nc.close()
    manager = Api("rest-boss", "Secret-1")
    manager.station("rest-of-boss")
    try:
        await client("rest-boss", "Secret-1")
        raise AssertionError("a manager was let in as a client")
    except nats.errors.Error as error:
        assert "Authorization Violation" in str(error), error
    api("PUT", "usermgmt/changePassword", username="rest-boss", password="Secret-2")
    assert login("rest-boss", "Secret-1")[0] == 401
    own = Api("rest-boss", "Secret-2")("DELETE", "usermgmt/removeUser", 406, username="rest-boss")
    assert own["message"] == "You can not remove your own user", own
    api("DELETE", "usermgmt/removeUser", username="rest-boss")
    manager("GET", "stations/getStations", 401)


@check
async def permissions_of_nats_clients(api):
    """What a user may not do with a station by an SDK, it may not by naming subjects either."""
    for name in ("perm-in", "perm-out", "perm-none"):
        api.station(name)
        api("POST", "stations/produce", station_name=name, partition_number=1, message_payload="x", amount=1)
    api("POST", "usermgmt/addUser", username="perm-app", password="Secret-1", user_type="application",
        allow_read_permissions=["perm-in"], allow_write_permissions=["perm-out"])
    errors = []

    async def note(error):
        errors.append(str(error).lower())

    nc = await nats.connect(f"nats://127.0.0.1:{MEMPHIS}", user="perm-app", password="Secret-1", error_cb=note)
    js = nc.jetstream(timeout=1)
    assert (await js.publish("perm-out$1.final", b"x")).seq == 2
    for subject in ("perm-in$1.final", "perm-none$1.final"):
        try:
            await js.publish(subject, b"x", timeout=1)
            raise AssertionError(f"{subject} was published to")
        except nats.errors.TimeoutError:
            pass
        assert f'permissions violation for publish to "{subject}"' in errors[-1], errors
    sub = await js.pull_subscribe("perm-in$1.final", "g", stream="perm-in$1")
    [message] = await sub.fetch(1)
    await message.ack_sync()
    for stream in ("perm-out$1", "perm-none$1"):
        for request in (js.get_msg(stream, 1), js.get_msg(stream, 1, direct=True),
                        js.pull_subscribe(f"{stream}.final", "g", stream=stream)):
            try:
                await request
                raise AssertionError(f"{stream} was read")
            except nats.errors.TimeoutError:
                pass
    for pattern in (">", "perm-none$1.>", "*.final"):
        before = len(errors)
        await nc.subscribe(pattern)
        await nc.flush()
        await until(lambda: len(errors) > before)
        assert "permissions violation for subscription" in errors[-1], errors
    await nc.close()
    for name, total in (("perm-in", 1), ("perm-out", 2), ("perm-none", 1)):
        seen = api("GET", "monitoring/getStationOverviewData", station_name=name)
        assert seen["total_messages"] == total, (name, seen["total_messages"])


@check
async def tags_and_trails(api):
    api.station("rest-tags")
    api("POST", "tags/createNewTag", name="rest-tag", color="1, 2, 3")
    api("PUT", "tags/updateTagsForEntity", entity_type="station", entity_name="rest-tags",
        tags_to_add=[{"name": "rest-tag", "color": "1, 2, 3"}], tags_to_remove=[])
    shown = api("GET", "stations/getStation", station_name="rest-tags")
    assert "rest-tag" in [tag["name"] for tag in shown["tags"]], shown
    assert "rest-tag" in [tag["name"] for tag in api("GET", "tags/getUsedTags")]
    trail = api("GET", "monitoring/getStationOverviewData", station_name="rest-tags")["audit_logs"]
    assert "Station rest-tags has been created by user root" in [line["message"] for line in trail], trail
    api("DELETE", "tags/removeTag", name="rest-tag")
    assert "rest-tag" not in [tag["name"] for tag in api("GET", "tags/getTags")]


@check
async def overview_and_logs(api):
    seen = api("GET", "monitoring/getMainOverviewData")
    assert seen["total_stations"] == len(seen["stations"]) > 0, seen
    assert api("GET", "monitoring/getSystemGeneralInfo")["total_stations"] == seen["total_stations"]
    logs = api("GET", "monitoring/getSystemLogs", log_type="info", start_index=-1)["logs"]
    assert logs and all(line["type"] == "info" for line in logs), logs
    assert b"Listening for Memphis management" in api("GET", "monitoring/downloadSystemLogs")
    for route, expected in [("asyncTasks/getAsyncTasks", {"async_tasks": []}),
                            ("integrations/getAllIntegrations", []),
                            ("monitoring/getAvailableReplicas", {"available_replicas": 1})]:
        assert api("GET", route) == expected, route
    assert api("GET", "functions/getAllFunctions")["installed"] == []
    # Traffic is measured in steps: what a client does now is in one of the next.
    nc = await client()

    async def busy():
        await nc.publish("busy", bytes(100_000))
        shown = api("GET", "monitoring/getMainOverviewData")["brokers_throughput"]
        assert [broker["name"] for broker in shown] == ["total", "memphis-0"], shown
        return any(sample["write"] > 1000 for sample in shown[0]["write"])
    deadline = time.monotonic() + 30
    while not await busy():
        assert time.monotonic() < deadline, "no throughput"
        await asyncio.sleep(0.2)
    await nc.close()


class Gateway:
    """The REST gateway for somebody who is logged in."""

    def __init__(self, **who):
        who = who or {"username": "root", "password": "memphis", "account_id": 1}
        status, _, said = ask(GATEWAY, "POST", "/auth/authenticate", who)
        assert status == 200, (status, said)
        self.said = said

    def post(self, path, body, expected=200, kind="application/json", **headers):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        headers = {"Authorization": f"Bearer {self.said['jwt']}", "Content-Type": kind, **headers}
        status, _, said = ask(GATEWAY, "POST", path, body, headers)
        assert status == expected, (path, status, said)
        return said

    def consume(self, station, expected=200, **asked):
        return self.post(f"/stations/{station}/consume/batch", asked, expected)


@check
async def gateway_logins(api):
    assert ask(GATEWAY, "GET", "/monitoring/status")[2] == {"status": "ok"}
    said = Gateway(username="root", password="memphis", token_expiry_in_minutes=1,
                   refresh_token_expiry_in_minutes=2).said
    now = time.time() * 1000
    assert now < said["expires_in"] <= now + 61_000 < said["refresh_token_expires_in"], said
    assert "memphis" not in json.dumps(said), "no password travels in a token"
    Gateway(username="root$1", connection_token="memphis")
    for wrong in ({"password": "nope"}, {"password": "memphis", "account_id": 2}, {}):
        status, _, refused = ask(GATEWAY, "POST", "/auth/authenticate", {"username": "root", **wrong})
        assert (status, refused) == (401, {"message": "Unauthorized"}), (wrong, refused)
    again = {"jwt_refresh_token": said["jwt_refresh_token"], "token_expiry_in_minutes": 5}
    status, _, renewed = ask(GATEWAY, "POST", "/auth/refreshToken", again)
    assert status == 200 and renewed["expires_in"] > now + 200_000, renewed
    status, _, _ = ask(GATEWAY, "POST", f"/stations/gw-token/produce/single?authorization={renewed['jwt']}",
                       "x", {"Content-Type": "text/plain"})
    assert status == 200
    refused = ask(GATEWAY, "POST", "/stations/gw-token/produce/single", "x", {"Content-Type": "text/plain"})
    assert refused[0] == 401 and refused[2] == {"message": "Unauthorized"}, refused


@check
async def gateway_produces_and_consumes(api):
    gateway = Gateway()
    api.station("gw.parts", partitions_number=2)
    single = gateway.post("/stations/gw.parts/produce/single", {"n": 0}, **{"X-Mine": "yes"})
    assert single == {"success": True, "error": None}, single
    gateway.post("/stations/gw.parts/produce/single", "text", kind="text/plain")
    gateway.post("/stations/gw.parts/produce/single", b"\x0a\x01x", kind="application/x-protobuf")
    gateway.post("/stations/gw.parts/produce/batch", [{"n": n} for n in range(1, 6)])
    nc = await client()
    js = nc.jetstream()
    counts = [(await js.stream_info(f"gw#parts${p}")).state.messages for p in (1, 2)]
    assert counts == [4, 4], counts
    got = gateway.consume("gw.parts", consumer_name="c", consumer_group="g", batch_size=8)
    assert sorted(m["message"] for m in got)[-1] == '{"n":5}' and len(got) == 8, got
    mine = next(m for m in got if m["message"] == '{"n": 0}')
    assert mine["headers"]["X-Mine"] == "yes" and "Authorization" not in mine["headers"], mine
    durable = await js.consumer_info("gw#parts$1", "g-rest-gateway")
    assert durable.num_ack_pending == 0 and durable.config.max_deliver == 1, durable
    begun = time.monotonic()
    assert gateway.consume("gw.parts", consumer_name="c", consumer_group="g", batch_max_wait_time_ms=300) == []
    assert time.monotonic() - begun < 3
    await js.publish("gw#parts$1.final", b"from nats")
    [message] = gateway.consume("gw.parts", consumer_name="c", consumer_group="g", batch_max_wait_time_ms=1000)
    assert message == {"message": "from nats", "headers": {}}, message
    made = gateway.post("/stations/gw-made/produce/single", {"n": 0})
    assert made["success"] and api("GET", "stations/getStation", station_name="gw-made")["is_native"]
    producers = api("GET", "monitoring/getStationOverviewData", station_name="gw.parts")["connected_producers"]
    assert "rest-gateway" in [producer["name"] for producer in producers], producers
    await nc.close()


@check
async def gateway_refusals(api):
    gateway = Gateway()
    api("POST", "schemas/createNewSchema", name="gw-json", type="json",
        schema_content='{"type": "object", "required": ["id"]}')
    api.station("gw-schema", schema_name="gw-json")
    gateway.post("/stations/gw-schema/produce/single", {"id": 1})
    bad = gateway.post("/stations/gw-schema/produce/single", {}, 400)
    assert not bad["success"] and "Schema validation has failed" in bad["error"], bad
    part = gateway.post("/stations/gw-schema/produce/batch", [{"id": 2}, {}, {"id": 3}], 400)
    assert (part["success"], part["sent"], part["fail"], len(part["errors"])) == (False, 2, 1, 1), part
    image = gateway.post("/stations/gw-schema/produce/single", b"x", 500, kind="image/png")
    assert image == {"success": False, "error": "unsupported content type"}, image
    nobody = gateway.consume("gw-schema", 400)
    assert nobody == {"success": False, "error": "Consumer name is required"}, nobody
    broken = gateway.post("/stations/gw-schema/consume/batch", "[", 400)
    assert broken == {"success": False, "error": "Invalid request body"}, broken
    # A user without permission has none here either.
    api("POST", "usermgmt/addUser", username="gw-app", password="Secret-1", user_type="application",
        allow_write_permissions=["gw-other"], allow_read_permissions=["gw-other"])
    app = Gateway(username="gw-app", password="Secret-1")
    app.post("/stations/gw-other/produce/single", {"id": 1})
    denied = app.post("/stations/gw-schema/produce/single", {"id": 1}, 500)
    assert "not allowed" in denied["error"], denied
    denied = app.consume("gw-schema", 400, consumer_name="c")
    assert "not allowed" in denied["error"], denied


@check
async def pages_of_other_hosts(api):
    asked = {"Origin": "http://127.0.0.1:3000", "Access-Control-Request-Method": "POST"}
    status, headers, _ = ask(MANAGEMENT, "OPTIONS", "/api/usermgmt/login", None, asked)
    assert status == 204 and headers["Access-Control-Allow-Origin"] == asked["Origin"], headers
    _, headers, _ = ask(MANAGEMENT, "GET", "/api/status", None, {"Origin": "http://elsewhere"})
    assert headers["Access-Control-Allow-Origin"] is None, "everybody knows the password"


async def main():
    api = Api()
    return await report.run_all("memphis-rest", CHECKS, api)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""README's guides for those who come from Memphis and from NATS, as a new user would: every command that they show
is run as it stands there, but for the addresses, and what they say of it is looked at.

Usage: readme.py BEALE NATS_CLI. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
"""

import asyncio
import functools
import http.client
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder
import serving  # noqa: E402

BEALE, CLI = sys.argv[1:3]
README = pathlib.Path(__file__).resolve().parents[3] / "README.md"
PATIENCE = 30
CHECKS = []


def check(function):
    """Gives a check a folder of its own."""
    @functools.wraps(function)
    async def within():
        with tempfile.TemporaryDirectory() as folder:
            await function(pathlib.Path(folder))
    CHECKS.append(within)
    return within


def section(title):
    text = README.read_text().split(f"### {title}\n")[1]
    return re.split(r"^##+ ", text, flags=re.MULTILINE)[0]


def commands(title):
    return [line[6:] for line in section(title).splitlines() if line.startswith("    $ ")]


def run(line, env, places):
    """Runs a command of the guide with its addresses replaced; returns what it printed."""
    for shown, real in places.items():
        line = line.replace(shown, real)
    program, *arguments = shlex.split(line)
    program = {"beale": BEALE, "nats": CLI}[program]
    done = subprocess.run([program, *arguments], env={**os.environ, **env}, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def request(cli, env, subject, **fields):
    done = subprocess.run([cli, "req", "--raw", subject, json.dumps(fields)], env={**os.environ, **env},
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{subject}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


@check
async def coming_from_memphis(folder):
    [command] = commands("Coming from Memphis")
    port, management, gateway, pages = serving.free_ports(4)
    (folder / "beale.conf").write_text(
        f'jetstream {{ store_dir: "store" }}\nport: -1\nmemphis {{ listen: "127.0.0.1:{port}", ui_port: {management}\n'
        f'  rest_gw_port: {gateway}, ws_port: {pages} }}\n')
    server = serving.start([BEALE, "-c", "beale.conf"], folder, serving.listening(port))
    at = f"nats://127.0.0.1:{port}"
    try:
        for more in ({"user": "root", "password": "memphis"}, {"user": "root$1", "password": "memphis"},
                     {"token": "root::memphis"}):
            await (await nats.connect(at, **more)).close()
        nc = await nats.connect(at, user="root", password="memphis", name="guide")
        js = nc.jetstream()
        await js.add_stream(name="Plain_1", subjects=["plain"])
        env = {"NATS_URL": at, "NATS_USER": "root", "NATS_PASSWORD": "memphis"}
        ask = lambda route, **fields: request(CLI, env, f"$memphis_api.{route}", **fields)["body"]
        assert ask("stations.getStation", station_name="plain_1")["name"] == "plain_1"
        try:
            await js.add_stream(name="no+name", subjects=["x"])
            raise AssertionError("a name outside of a-z A-Z 0-9 _ - was taken")
        except nats.js.errors.APIError as error:
            assert "only alphanumeric" in error.description, error
        ask("schemas.createNewSchema", name="order", type="json", schema_content='{"required":["id"]}')
        for name, more in [("orders.eu", {}), ("orders.kept", {"misfits": "store"})]:
            ask("stations.createStation", name=name, schema_name="order", **more)
        try:
            await js.publish("orders#eu$1.final", b"{}")
            raise AssertionError("was not refused")
        except nats.js.errors.APIError as error:
            assert error.err_code == 20001 and "id" in error.description, error
        assert (await js.stream_info("orders#eu$1")).state.messages == 0
        await js.publish("orders#kept$1.final", b"{}")
        assert (await js.stream_info("orders#kept$1")).state.messages == 1
        said = json.loads(run(command + " --raw", env, {}))
        letters = said["body"]["schema_failed_messages"]
        assert len(letters) == 1 and letters[0]["message"]["data"] == "7b7d", said
        # A message that a NATS client's durable gives up goes back to it.
        await js.publish("plain", b"poison")
        config = nats.js.api.ConsumerConfig(durable_name="d", ack_wait=0.2, max_deliver=1)
        sub = await js.pull_subscribe("plain", "d", config=config)
        await sub.fetch(1, timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        dead = lambda: ask("stations.getDlsMessages", station_name="plain_1")["poison_messages"]
        while not dead():
            assert time.monotonic() < deadline, "it does not die"
        ask("stations.resendPoisonMessages", station_name="plain_1", poison_message_ids=[])
        [message] = await sub.fetch(1, timeout=PATIENCE)
        assert message.data == b"poison"
        await message.ack()
        await nc.close()
        assert get(management, "/api/status") == {"message": "Ok"}
        assert get(gateway, "/monitoring/status") == {"status": "ok"}
    finally:
        serving.stop(server)


@check
async def coming_from_nats(folder):
    [command] = commands("Coming from NATS")
    old_port, new_port, monitor = serving.free_ports(3)
    # Under the other name, with the flags that it is started with there.
    (folder / "old").mkdir()
    (folder / "new").mkdir()
    link = folder / "nats-server"
    link.symlink_to(BEALE)
    arguments = [str(link), "-js", "-sd", "store", "-a", "127.0.0.1"]
    old = serving.start([*arguments, "-p", str(old_port)], folder / "old", serving.listening(old_port))
    (folder / "new" / "nats.conf").write_text(
        f'port: {new_port}\nhost: 127.0.0.1\nhttp_port: {monitor}\njetstream {{ store_dir: "store", sync_interval: "2m" }}\n')
    new = serving.start([BEALE, "-c", "nats.conf"], folder / "new", serving.listening(new_port))
    try:
        nc = await nats.connect(f"nats://127.0.0.1:{old_port}")
        js = nc.jetstream()
        await js.add_stream(name="ORDERS", subjects=["orders.>"])
        for number in range(5):
            await js.publish("orders.new", f"order {number}".encode())
        config = nats.js.api.ConsumerConfig(durable_name="worker")
        sub = await js.pull_subscribe("orders.>", "worker", config=config)
        for message in await sub.fetch(3, timeout=PATIENCE):
            await message.ack_sync()
        await nc.close()
        places = {"old:4222": f"127.0.0.1:{old_port}", "new:4222": f"127.0.0.1:{new_port}"}
        run(f"{command} --spool {folder / 'spool'}", {}, places)
        nc = await nats.connect(f"nats://127.0.0.1:{new_port}")
        js = nc.jetstream()
        assert (await js.stream_info("ORDERS")).state.messages == 5
        sub = await js.pull_subscribe("orders.>", "worker", stream="ORDERS")
        left = await sub.fetch(5, timeout=5)
        assert [message.metadata.sequence.stream for message in left] == [4, 5], left
        await nc.close()
        assert get(monitor, "/varz")["jetstream"]["config"]["sync_always"] is True
    finally:
        serving.stop(old)
        serving.stop(new)


if __name__ == "__main__":
    sys.exit(asyncio.run(report.run_all("readme", CHECKS, seconds=120)))

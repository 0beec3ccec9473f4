"""Servers to import from and to, and what runs the checks."""

import asyncio
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import nats

NATS_SERVER, BEALE, *ONLY = sys.argv[1:]
STREAMS = int(os.environ.get("IMPORT_STREAMS", "4"))
MESSAGES = int(os.environ.get("IMPORT_MESSAGES", "20000"))
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def within(world):
    """Gives a check another world than two servers of NATS clients."""
    def mark(function):
        function.world = world
        return function
    return mark


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """A server with a store of its own, which can be killed and started again."""

    LOGIN = 'authorization { user: u, password: "p@ss" }'

    def __init__(self, binary, folder, login=LOGIN):
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        conf = folder / "server.conf"
        conf.write_text(f'port: {self.port}\nhost: 127.0.0.1\nserver_name: {folder.name}\n'
                        f'jetstream {{ store_dir: "store" }}\n{login}\n')
        self.command = [binary, "-c", str(conf)]
        self.url = f"nats://u:p%40ss@127.0.0.1:{self.port}"
        self.start()

    def start(self):
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def connect(self):
        return await nats.connect(f"nats://127.0.0.1:{self.port}", user="u", password="p@ss",
                                  connect_timeout=30)


class World:
    """Two servers, and the command that carries streams from the one to the other."""

    #: How long the command may take, in seconds.
    patience = 1200

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.old = Server(NATS_SERVER, self.folder / "old")
        self.new = Server(BEALE, self.folder / "new")
        self.spool = self.folder / "spool"

    def command(self, *more):
        return [BEALE, "import", "nats", "--from", self.old.url, "--to", self.new.url,
                "--spool", str(self.spool), *more]

    def run(self, *more, expected=0):
        done = subprocess.run(self.command(*more), capture_output=True, text=True, timeout=self.patience)
        assert done.returncode == expected, (done.returncode, done.stderr)
        return done.stderr

    def stop(self):
        self.old.kill()
        self.new.kill()

    @contextlib.asynccontextmanager
    async def clients(self):
        old, new = await self.old.connect(), await self.new.connect()
        try:
            yield old.jetstream(timeout=30), new.jetstream(timeout=30)
        finally:
            await old.close()
            await new.close()


async def main():
    passed = failed = 0
    for function in CHECKS:
        if ONLY and function.__name__ not in ONLY:
            continue
        name = f"import/{function.__name__}"
        folder, world = tempfile.mkdtemp(), None
        try:
            world = getattr(function, "world", World)(folder)
            await asyncio.wait_for(function(world), 1200)
            passed += 1
            print(f"ok {name}", flush=True)
        except Exception as error:  # noqa: BLE001 - every failure is one line of the report
            failed += 1
            traceback.print_exc()
            print(f"FAIL {name}: {type(error).__name__} {error}".replace("\n", " "), flush=True)
        finally:
            if world:
                world.stop()
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


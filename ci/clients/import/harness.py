"""Servers to import from and to, and what runs the checks."""

import contextlib
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder
import serving  # noqa: E402

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


class Server:
    """A server with a store of its own, which can be killed and started again."""

    LOGIN = 'authorization { user: u, password: "p@ss" }'

    def __init__(self, binary, folder, login=LOGIN):
        self.port = serving.free_port()
        self.folder = folder
        folder.mkdir()
        conf = folder / "server.conf"
        conf.write_text(f'port: {self.port}\nhost: 127.0.0.1\nserver_name: {folder.name}\n'
                        f'jetstream {{ store_dir: "store" }}\n{login}\n')
        self.command = [binary, "-c", str(conf)]
        self.url = f"nats://u:p%40ss@127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = serving.start(self.command, self.folder, serving.listening(self.port))

    def kill(self):
        serving.stop(self.process)

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


def in_its_world(function):
    """Gives a check a folder and a world of its own."""
    @functools.wraps(function)
    async def within_world():
        folder, world = tempfile.mkdtemp(), None
        try:
            world = getattr(function, "world", World)(folder)
            await function(world)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            if world:
                world.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return within_world


async def main():
    wanted = [in_its_world(function) for function in CHECKS if not ONLY or function.__name__ in ONLY]
    failed = await report.failures("import", wanted, seconds=World.patience)
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed else 0

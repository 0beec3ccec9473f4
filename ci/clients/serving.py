"""Starts a server under test in a folder of its own, on ports that are free, and waits until it is there."""

import pathlib
import socket
import subprocess
import time

#: How long a server may take until it is there, in seconds.
PATIENCE = 60


def free_ports(count):
    """Draws them together, so that none is drawn twice."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def free_port():
    [port] = free_ports(1)
    return port


def listening(*ports):
    """Asks whether each of the ports takes connections."""
    def is_up():
        try:
            for port in ports:
                socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True
    return is_up


def start(command, folder, is_up):
    """Runs a server in `folder`, where its output goes to `log`, and returns it once `is_up` says so."""
    path = pathlib.Path(folder) / "log"
    with path.open("a") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + PATIENCE
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            raise AssertionError(f"the server did not start: {path.read_text()[-2000:]}")
        time.sleep(0.05)
    return process


def stop(process):
    """Kills a server as kill -9 does."""
    process.kill()
    process.wait()

#!/usr/bin/env python3
"""Starts servers for the suites of Go clients, which ask a service for them instead of the PATH.

`tester.py SERVER DIRECTORY COMMAND...` runs the command with TESTER_NATS_URL naming a server that answers the
requests of `github.com/synadia-io/orbit.go/ntf-client`, as far as they concern single servers: create, update,
reload, stop, start and destroy. Clusters are answered with an error.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

PATIENCE = 20
ACCOUNTS = "accounts {\n%s}" % "".join(
    f'  USERS{n} {{ jetstream: enabled, users [ {{ user: "user{n}", password: "password" }} ] }}\n' for n in range(1, 6)
)
SYSTEM = '  $SYS { users [ { user: "system", password: "password" } ] }\n}'
LISTENERS = ("websocket", "mqtt", "leafnode")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, process):
    """Returns when the port is served, or raises with why it never will be."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server does not listen")


class Certificates:
    """A certificate authority with one leaf for the server and one for clients."""

    def __init__(self, at, options):
        self.options = options
        self.ca, self.cert, self.key = at / "ca.pem", at / "server.pem", at / "server.key"
        self.at = at
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at / "ca.key", "-out", self.ca,
                     "-subj", "/CN=tester", "-days", "1")
        names = options.get("sans") or ["localhost", "127.0.0.1", "::1"]
        self.leaf("server", ",".join(("IP:" if re.fullmatch(r"[0-9.]+|.*:.*", n) else "DNS:") + n for n in names))
        self.mutual = options.get("mode", "mutual") == "mutual"
        if self.mutual:
            self.leaf("client", "DNS:client")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def leaf(self, name, names):
        key, cert, request, extensions = (self.at / f"{name}.{end}" for end in ("key", "pem", "csr", "ext"))
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.at / "ca.key", "-CAcreateserial",
                     "-out", cert, "-days", "1", "-extfile", extensions)

    def block(self):
        return (f'tls {{ cert_file: "{self.cert}", key_file: "{self.key}", ca_file: "{self.ca}", '
                f'verify: {str(self.mutual).lower()}, timeout: {self.options.get("timeout") or 2}'
                f'{", handshake_first: true" if self.options.get("handshake_first") else ""} }}')

    def material(self):
        told = {"ca_pem": self.ca.read_text()}
        if self.mutual:
            told["client_cert_pem"] = (self.at / "client.pem").read_text()
            told["client_key_pem"] = (self.at / "client.key").read_text()
        return told


class Server:
    def __init__(self, binary, at, request):
        self.binary, self.at, self.request = binary, at, request
        at.mkdir(parents=True)
        self.id = str(uuid.uuid4())
        self.name = self.id[-8:] + "-n1"
        self.port = free_port()
        self.jetstream = request.get("jetstream", False)
        self.ports = {name: free_port() for name in LISTENERS if name in (request.get("snippets") or {})}
        self.tls = Certificates(at, request["tls"]) if request.get("tls") else None
        self.process = None
        self.write(request)
        self.start()

    def render(self, text):
        values = {"ClientPort": self.port, "ServerName": self.name, "ServerDir": self.at, "StoreDir": self.at,
                  "Host": "localhost"}
        values.update({f"Ports.{name}": port for name, port in self.ports.items()})
        if self.tls:
            values.update({"TLS.CAFile": self.tls.ca, "TLS.CertFile": self.tls.cert, "TLS.KeyFile": self.tls.key})
        return re.sub(r"\{\{\s*\.([\w.]+)\s*\}\}", lambda found: str(values[found[1]]), text)

    def write(self, request):
        part = (request.get("snippets") or {}).get
        if self.tls and request.get("tls_timeout"):
            self.tls.options["timeout"] = request["tls_timeout"]
        blocks = [
            part("top", ""),
            f'server_name: "{self.name}"\nport: {self.port}',
            f'jetstream {{ enabled: true, store_dir: "{self.at}"\n{part("jetstream", "")} }}' if self.jetstream else "",
            part("accounts", ACCOUNTS.removesuffix("}") + SYSTEM),
            part("system_account", 'system_account: "$SYS"'),
            part("authorization", "no_auth_user: user1"),
            part("tls", self.tls.block() if self.tls else ""),
            *(part(name, "") for name in LISTENERS),
        ]
        (self.at / "server.conf").write_text(self.render("\n".join(blocks)) + "\n")

    def log(self):
        path = self.at / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self):
        with open(self.at / "server.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "-c", self.at / "server.conf"], stdout=log, stderr=log)
        try:
            await_port(self.port, self.process)
        except RuntimeError as failure:
            self.stop()
            raise RuntimeError(f"{failure}: {self.log()[-2000:]}") from failure

    def reload(self):
        ends = r"Reloaded server configuration|Failed to reload server configuration[^\n]*"
        before = len(re.findall(ends, self.log()))
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if len(told := re.findall(ends, self.log())) > before:
                if told[-1].startswith("Failed"):
                    raise RuntimeError(told[-1])
                return
            time.sleep(0.02)
        raise RuntimeError("no word of a reload")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def told(self):
        running = self.process is not None and self.process.poll() is None
        return {"name": self.name, "cluster": "", "port": self.port, "ports": self.ports, "running": running}

    def instance(self):
        told = {"id": self.id, "description": self.request.get("description", ""), "kind": "server",
                "servers": [self.told()]}
        return told | ({"tls": self.tls.material()} if self.tls else {})


class Tester:
    """Answers requests one after the other, which the suites rely on."""

    def __init__(self, binary, at):
        self.binary, self.at, self.servers = binary, at, []

    def by(self, **wanted):
        for server in self.servers:
            if all(getattr(server, key) == value for key, value in wanted.items()):
                return server
        raise RuntimeError(f"not found: {wanted}")

    def answer(self, subject, request):
        match subject.removeprefix("tester."):
            case "create.server":
                self.servers.append(Server(self.binary, self.at / str(uuid.uuid4()), request))
                return self.servers[-1].instance()
            case "update.server":
                self.by(name=request["name"]).write(request)
                return {"updated": True}
            case "reload.server":
                self.by(name=request["name"]).reload()
                return {"reloaded": True}
            case "stop.server":
                self.by(name=request["name"]).stop()
                return {"shutdown": True}
            case "start.server":
                self.by(name=request["name"]).start()
                return {"started": True}
            case "destroy":
                self.remove(self.by(id=request["instance_id"]))
                return {"destroyed": True}
            case "status":
                wanted = request.get("instance_id")
                return {"instances": [s.instance() for s in self.servers if wanted in (None, s.id)]}
            case "reset":
                self.reset()
                return {"shutdown": True}
        raise RuntimeError(f"{subject} is not for single servers")

    def remove(self, server):
        self.servers.remove(server)
        server.stop()
        shutil.rmtree(server.at, ignore_errors=True)

    def reset(self):
        for server in list(self.servers):
            self.remove(server)

    async def serve(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB tester.> 1\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if not line.startswith(b"MSG "):
                continue
            _, subject, _, reply, size = line.decode().split()
            body = (await reader.readexactly(int(size) + 2))[:-2]
            try:
                told = await asyncio.to_thread(self.answer, subject, json.loads(body or b"{}"))
                data = json.dumps(told).encode()
                writer.write(f"PUB {reply} {len(data)}\r\n".encode() + data + b"\r\n")
            except (RuntimeError, OSError, subprocess.SubprocessError) as failure:
                text = " ".join(str(failure).split())
                head = f"NATS/1.0\r\nNats-Service-Error-Code: 500\r\nNats-Service-Error: {text}\r\n\r\n".encode()
                writer.write(f"HPUB {reply} {len(head)} {len(head)}\r\n".encode() + head + b"\r\n")


async def main(binary, at, *command):
    at = Path(at)
    port = free_port()
    manager = subprocess.Popen([binary, "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    tester = Tester(binary, at)
    try:
        await_port(port, manager)
        serving = asyncio.create_task(tester.serve(port))
        environment = os.environ | {"TESTER_NATS_URL": f"nats://localhost:{port}"}
        suite = await asyncio.create_subprocess_exec(*command, env=environment)
        code = await suite.wait()
        serving.cancel()
        return code
    finally:
        tester.reset()
        manager.kill()
        manager.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))

"""Monitoring documents, field by field: tools decode them with nats-server's own structs.

    BEALE=path checks.py                  compares with shapes.json, recorded from the real server
    NATS_SERVER=path checks.py --record   records shapes.json again

A shape is a document with its values replaced by their JSON types, times and durations told apart from
other texts. The last line is `N passed, M failed`.
"""

import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import serving  # noqa: E402 - beside this folder

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = os.path.join(HERE, "shapes.json")

CONFIG = """
host: "127.0.0.1"
port: {port}
http: "127.0.0.1:{http}"
server_name: test
server_tags: ["a:b"]
server_metadata {{ x: y }}
jetstream {{ store_dir: "{folder}/js", max_mem: 64MB, max_file: 64MB }}
mappings {{ from: to }}
accounts {{
  A: {{
    jetstream: {{max_mem: 8MB, max_file: 8MB}}
    users: [{{user: a, password: pw}}]
    exports: [{{stream: "out.>"}}, {{service: "ask"}}]
    mappings: {{ in: [{{destination: one, weight: 50%}}, {{destination: two, weight: 50%}}] }}
  }}
  B: {{
    users: [{{user: b, password: pw}}]
    imports: [{{stream: {{account: A, subject: "out.>"}}}}, {{service: {{account: A, subject: "ask"}}}}]
  }}
  $SYS: {{ users: [{{user: s, password: pw}}] }}
}}
"""

URLS = """
/varz
/connz /connz?subs=1 /connz?subs=detail /connz?auth=1 /connz?auth=true&subs=detail
/connz?state=closed /connz?state=closed&subs=detail&auth=1 /connz?state=all /connz?state=any&limit=1
/connz?sort=subs /connz?sort=bytes_to&limit=1&offset=1 /connz?sort=stop&state=closed /connz?sort=stop
/connz?sort=reason&state=closed /connz?sort=idle /connz?sort=uptime /connz?sort=rtt /connz?sort=nonsense
/connz?acc=A&auth=1 /connz?user=a&auth=1 /connz?user=a /connz?acc=A&filter_subject=zzz /connz?cid=999999
/connz?limit=x /connz?offset=x /connz?subs=x /connz?state=x /connz?mqtt_client=x
/routez /routez?subs=1 /routez?subs=detail /gatewayz /gatewayz?accs=1 /leafz /leafz?subs=1 /leafz?acc=A
/subsz /subscriptionsz /subsz?subs=1 /subsz?subs=1&limit=100&offset=0 /subsz?subs=1&test=foo.bar
/subsz?subs=1&acc=A /subsz?test=foo.* /subsz?subs=1&test=a..b /subsz?limit=x
/accountz /accountz?acc=A /accountz?acc=B /accountz?acc=$G /accountz?acc=$SYS /accountz?acc=none
/accstatz /accstatz?unused=1 /accstatz?unused=x
/jsz /jsz?accounts=1 /jsz?acc=A /jsz?acc=none /jsz?streams=1 /jsz?consumers=1 /jsz?config=1
/jsz?acc=A&streams=1&config=1 /jsz?acc=A&consumers=1&config=1 /jsz?streams=1&config=1&raft=1
/jsz?accounts=1&limit=1&offset=1 /jsz?leader-only=1 /jsz?consumers=1&direct-consumers=1 /jsz?limit=x
/jsz?accounts=x /jsz?acc=A&consumers=1&stream-leader-only=1
/healthz /healthz?js-enabled=1 /healthz?js-enabled-only=1 /healthz?js-server-only=1 /healthz?js-meta-only=1
/healthz?details=1 /healthz?account=A /healthz?account=none /healthz?account=A&stream=S
/healthz?account=A&stream=none /healthz?account=A&stream=S&consumer=C /healthz?stream=S
/healthz?account=A&stream=S&consumer=none /healthz?account=A&stream=none&details=1 /healthz?consumer=C
/healthz?js-enabled-only=x
/raftz /ipqueuesz /none /expvarz /debug/vars /connz?callback=cb
/
""".split()

# What tools ask that is not among them already, as it stands in their sources. Telegraf and nats-top ask for
# `/varz`, Metricbeat for the documents without parameters.
TOOLS = {
    "KEDA's scaler": "/jsz?acc=A&consumers=true&config=true",
    "Prometheus' exporter, of streams": "/jsz?consumers=true&config=true&raft=true",
    "Prometheus' exporter, of accounts": "/accstatz?unused=1",
    "Prometheus' exporter, of health": "/healthz?js-server-only=true",
    "NUI": "/connz?limit=10000&sort=last",
}
URLS += [url for url in TOOLS.values() if url not in URLS]

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
UPTIME = re.compile(r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)$")
DURATION = re.compile(r"^-?(\d+h)?(\d+m)?(\d+(\.\d+)?(ns|µs|ms|s))$")

# Fields that depend on the machine, or tell of what nats-server is made of.
LEFT_OUT = {
    "git_commit": "a commit of nats-server's sources",
    "go": "the release of Go",
    "gomemlimit": "the memory limit of Go's runtime",
    "ocsp_peer_cache": "empty without OCSP",
    "memstats": "the memory of Go's runtime",
    "cmdline": "may hold passwords",
}
# Fields of ours that nats-server leaves out in this situation.
OURS = {
    "/metrics": "for Prometheus without an exporter",
    "sync_always": "each acknowledgement means synced, and tools ask for it",
}
# Documents that differ still, each with its reason; the run fails when one of them no longer does.
PENDING = {}


class Client:
    def __init__(self, port, **options):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(5)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.heard = 0
        said = {"verbose": False, "pedantic": False, "protocol": 1, "headers": True,
                "lang": "python", "version": "1.0"}
        said.update(options)
        self.say("CONNECT " + json.dumps(said))

    def say(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in (*lines, "PING")).encode())
        while self.hear() not in (b"", b"PONG"):
            pass

    def hear(self):
        line = self.file.readline()
        if line.startswith(b"PING"):
            self.socket.sendall(b"PONG\r\n")
        if line.startswith((b"MSG", b"HMSG")):
            self.file.read(int(line.split()[-1]) + 2)
            self.heard += 1
        return line.strip()

    def publish(self, subject, body, reply=""):
        before = self.heard
        self.say(f"PUB {subject} {reply} {len(body)}", body)
        while reply and self.heard == before:
            self.hear()


def situation(port):
    """Brings a server into the situation that the shapes are recorded in."""
    clients = [Client(port, user="a", **{"pass": "pw"}, name="first")]
    a = clients[0]
    a.say("SUB _INBOX.> i", "SUB foo.bar 1", "SUB foo.* q 2", "UNSUB 1 10")
    stream = {"name": "S", "subjects": ["s.*"], "storage": "file", "max_age": 10**12}
    a.publish("$JS.API.STREAM.CREATE.S", json.dumps(stream), "_INBOX.1")
    for number in range(3):
        a.publish(f"s.{number}", "hello", "_INBOX.2")
    consumer = {"stream_name": "S", "config": {"durable_name": "C", "ack_policy": "explicit"}}
    a.publish("$JS.API.CONSUMER.CREATE.S.C", json.dumps(consumer), "_INBOX.3")
    a.publish("$JS.API.CONSUMER.MSG.NEXT.S.C", "", "_INBOX.4")
    memory = {"name": "M", "subjects": ["m"], "storage": "memory"}
    a.publish("$JS.API.STREAM.CREATE.M", json.dumps(memory), "_INBOX.5")
    a.publish("foo.bar", "x")
    clients.append(Client(port, user="b", **{"pass": "pw"}))
    clients[1].say("SUB foo.bar 1", "SUB out.x 2")
    gone = Client(port, user="a", **{"pass": "pw"}, name="gone")
    gone.say("SUB foo.bar 1")
    gone.socket.close()
    gone.file.close()
    gone.socket.close()
    refused = Client(port, user="a", **{"pass": "no"})
    clients.append(Client(port, user="s", **{"pass": "pw"}))
    # The server measures round trips two seconds after a client came.
    time.sleep(2.6)
    for client in clients:
        client.say()
    refused.socket.close()
    return clients


def fetch(http, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def shape(value, key=""):
    if key in LEFT_OUT:
        return "left out"
    if isinstance(value, dict):
        return {k: shape(v, k) for k, v in value.items()}
    if isinstance(value, list):
        merged = []
        for item in map(shape, value):
            if item not in merged:
                merged.append(item)
        return sorted(merged, key=json.dumps)
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        # Go writes a float without a fraction like an integer.
        return "number"
    if value is None:
        return "null"
    if TIME.match(value):
        return "time"
    if UPTIME.match(value):
        return "uptime"
    if DURATION.match(value):
        return "duration"
    return "text"


def answer_of(http, path):
    status, headers, body = fetch(http, path)
    kind = headers.get("Content-Type", "")
    answer = {"status": status, "type": kind, "origin": headers.get("Access-Control-Allow-Origin")}
    if kind.startswith("application/json") and status == 200 and body.lstrip().startswith("{"):
        answer["shape"] = shape(json.loads(body))
        answer["indented"] = "\n  " in body
    elif kind.startswith("text/html"):
        answer["links"] = {link: True for link in re.findall(r"href=\.(/[a-z/]+)", body)}
    else:
        answer["body"] = body
    return answer


def shapes_of(binary):
    with tempfile.TemporaryDirectory(prefix="beale-monitoring-") as folder:
        port, http = serving.free_ports(2)
        config = os.path.join(folder, "server.conf")
        with open(config, "w") as file:
            file.write(CONFIG.format(port=port, http=http, folder=folder))
        # A connection that only tries whether it is there would show among the closed ones.
        log = pathlib.Path(folder) / "log"
        server = serving.start([binary, "-c", config], folder, lambda: "Server is ready" in log.read_text())
        try:
            clients = situation(port)
            answers = {path: answer_of(http, path) for path in URLS}
            for client in clients:
                client.socket.close()
            return answers
        finally:
            serving.stop(server)


def differences(expected, got, at=""):
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | got.keys():
            below = f"{at}.{key}"
            if key in LEFT_OUT or (key in OURS and key not in expected):
                continue
            if key not in got:
                yield f"{below}: missing ({json.dumps(expected[key])[:80]})"
            elif key not in expected:
                yield f"{below}: not nats-server's ({json.dumps(got[key])[:80]})"
            else:
                yield from differences(expected[key], got[key], below)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, (a, b) in enumerate(zip(expected, got)):
            yield from differences(a, b, f"{at}[{number}]")
    elif expected != got:
        yield f"{at}: {json.dumps(expected)[:300]} is {json.dumps(got)[:300]}"


def main():
    if "--record" in sys.argv:
        with open(SHAPES, "w") as file:
            json.dump(shapes_of(os.environ["NATS_SERVER"]), file, indent=1, sort_keys=True)
            file.write("\n")
        return 0
    with open(SHAPES) as file:
        expected = json.load(file)
    got = shapes_of(os.environ["BEALE"])
    failed = 0
    for path in URLS:
        found = sorted(differences(expected[path], got[path]))
        failed += bool(found) != (path in PENDING)
        print("FAIL" if bool(found) != (path in PENDING) else "ok  ", path)
        for line in found:
            print("      ", line)
    print(f"{len(URLS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())

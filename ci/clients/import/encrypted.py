"""Imports over encrypted connections, with keys and credentials instead of passwords."""

import pathlib
import subprocess

import nats

from harness import BEALE, NATS_SERVER, Server, check, within

# A key pair of the NATS documentation.
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
USER = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    """An authority, and a certificate of its for servers and clients alike."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem",
            "-out", "request.pem", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(folder, "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", "cert.pem", "-extfile", "names")


class EncryptedWorld:
    """Two servers that show and want certificates; the old one knows a key, the new one a password."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        certificates(self.folder)
        tls = (f'tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem", ca_file: "{folder}/ca.pem", '
               "verify: true }")
        key = f'authorization {{ users = [{{nkey: {USER}}}, {{user: u, password: "p@ss"}}] }}'
        self.old = Server(NATS_SERVER, self.folder / "old", f"{tls}\n{key}")
        self.new = Server(BEALE, self.folder / "new", f"{tls}\n{Server.LOGIN}")
        (self.folder / "seed").write_text(f"{SEED}\n")
        (self.folder / "password").write_text("p@ss\n")

    def stop(self):
        self.old.kill()
        self.new.kill()


@check
@within(EncryptedWorld)
async def encrypted_and_with_a_key(world):
    import ssl
    context = ssl.create_default_context(cafile=world.folder / "ca.pem")
    context.load_cert_chain(world.folder / "cert.pem", world.folder / "key.pem")
    old = await nats.connect(f"nats://localhost:{world.old.port}", user="u", password="p@ss", tls=context)
    js = old.jetstream()
    await js.add_stream(name="S", subjects=["s"])
    await js.publish("s", b"x")
    files = [word for side in ("from", "to") for word in (
        f"--{side}-ca", "ca.pem", f"--{side}-cert", "cert.pem", f"--{side}-key", "key.pem")]
    who = ["--from-nkey", "seed", "--to-user", "u", "--to-password-file", "password"]
    servers = ["--from", f"nats://localhost:{world.old.port}", "--to", f"tls://127.0.0.1:{world.new.port}"]

    def run(*words):
        return subprocess.run([BEALE, "import", "nats", *words], cwd=world.folder, capture_output=True, text=True,
                              timeout=60)

    done = run(*servers, *files, *who)
    assert done.returncode == 0 and "S: 1 messages, 0 consumers: the same on both servers" in done.stderr, done
    # Without the authority the server is nobody's; without the key one is nobody oneself.
    strange = run(*servers, *files[2:], *who)
    assert strange.returncode == 1 and "certificate" in strange.stderr, strange
    nobody = run(*servers, *files, *who[2:])
    assert nobody.returncode == 1 and "Authorization Violation" in nobody.stderr, nobody
    await old.close()

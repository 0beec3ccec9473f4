"""An object store of S3's kind on a port of its own: it keeps what is put there and signed as it must be."""

import hashlib
import hmac
import http.server
import threading

ACCESS_KEY, SECRET_KEY, REGION = "AK1", "a/secret+key", "eu-west-1"


def signature(method, path, headers, names, stamp):
    """Signs a request by Amazon's Signature Version 4, from what has arrived."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    hashed = headers["x-amz-content-sha256"]
    request = "\n".join([method, path, "", lines, ";".join(names), hashed])
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    key = f"AWS4{SECRET_KEY}".encode()
    for step in [*scope.split("/"), text]:
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return scope, key.hex()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        store = self.server.store
        wrong = self.mistake(body)
        if wrong:
            store.refused.append(wrong)
        elif store.failures:
            store.failures -= 1
            wrong = "SlowDown"
        else:
            store.objects[self.path] = body
        self.send_response(503 if wrong == "SlowDown" else 403 if wrong else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def mistake(self, body):
        """Says what is wrong with a request's signature; nothing if it is right."""
        if hashlib.sha256(body).hexdigest() != self.headers["x-amz-content-sha256"]:
            return "XAmzContentSHA256Mismatch"
        kind, _, fields = self.headers["Authorization"].partition(" ")
        fields = dict(field.strip().split("=", 1) for field in fields.split(","))
        names = fields["SignedHeaders"].split(";")
        if kind != "AWS4-HMAC-SHA256" or names != sorted(names):
            return "AuthorizationHeaderMalformed"
        if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names):
            return "AccessDenied: headers are not signed"
        scope, signed = signature("PUT", self.path, self.headers, names, self.headers["x-amz-date"])
        if fields["Credential"] != f"{ACCESS_KEY}/{scope}":
            return "InvalidAccessKeyId"
        return "" if hmac.compare_digest(fields["Signature"], signed) else "SignatureDoesNotMatch"

    def log_message(self, *_):
        pass


class ObjectStore:
    """Serves until it is closed; the first `failures` objects are not taken."""

    def __init__(self, failures=0):
        self.objects, self.refused, self.failures = {}, [], failures
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.store = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

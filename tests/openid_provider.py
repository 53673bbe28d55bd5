"""A small OpenID provider for the tests: a real server on loopback with real keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "stafett-hospital", "s3cret-of-the-client"


class Provider:
    """What the provider knows. `claims` changes what the next ID token says; `key` signs it."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.published = [self.key]
        self.subject, self.name = "subject-1", "Astrid at the provider"
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.codes: dict[str, dict[str, str]] = {}
        self.says: str | None = None

    def token(self, asked: dict[str, str]) -> str:
        """Return an ID token for what was asked."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": self.subject, "aud": CLIENT, "exp": now + 300, "iat": now,
            "nonce": asked["nonce"], "name": self.name,
        }  # fmt: skip
        claims = {k: v for k, v in {**claims, **self.claims}.items() if v is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid}
        if self.algorithm == "none":
            parts = (msgspec.json.encode({"alg": "none"}), msgspec.json.encode(claims), b"")
            return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts)
        return jwt.encode(header, claims, self.key)


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve a provider until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            match parts.path:
                case "/.well-known/openid-configuration":
                    self.send_json(
                        200,
                        {
                            "issuer": known.says or known.issuer,
                            "authorization_endpoint": f"{known.issuer}/authorize",
                            "token_endpoint": f"{known.issuer}/token",
                            "jwks_uri": f"{known.issuer}/jwks",
                        },
                    )
                case "/jwks":
                    keys = [key.as_dict(private=False) for key in known.published]
                    self.send_json(200, {"keys": keys})
                case "/authorize":
                    assert query["response_type"] == "code" and query["client_id"] == CLIENT
                    code = secrets.token_urlsafe(16)
                    known.codes[code] = query
                    back = urlencode({"code": code, "state": query["state"]})
                    self.send_response(302)
                    self.send_header("Location", f"{query['redirect_uri']}?{back}")
                    self.end_headers()
                case _:
                    self.send_json(404, {})

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
            basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            asked = known.codes.pop(form.get("code", ""), None)
            made = base64.urlsafe_b64encode(
                hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            )
            if (
                self.headers.get("authorization") != f"Basic {basic}"
                or asked is None
                or asked["code_challenge"] != made.decode().rstrip("=")
                or asked["redirect_uri"] != form.get("redirect_uri")
            ):
                self.send_json(400, {"error": "invalid_grant"})
                return
            self.send_json(200, {"access_token": "x", "id_token": known.token(asked)})

        def send_json(self, status: int, value: Any) -> None:
            data = msgspec.json.encode(value)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Provider(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()

"""A moto server with users and buckets in it that counts what it is asked: `python -m bench.moto_server 500 500 0`.

A process of its own, so that what is measured is the client. It listens on 127.0.0.1, prints its
port, and answers each line on standard input with the requests since the last one, by operation.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from http.server import BaseHTTPRequestHandler
from random import Random
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from agent.guard import attempt
from bench.synthetic import make

ACCOUNT, REGION = "123456789012", "us-east-1"


class Counting:
    """The server's application, with a count of requests by operation before it."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.seen: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass the request on and count it; an operation that the emulator lacks counts once, however often retried."""
        operation = self._operation(environ)
        parts, error = attempt(lambda: self._application(environ, start_response))
        with self._lock:
            self.seen[operation] = 1 if error else self.seen[operation] + 1
        if parts is None:
            start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/html")])
            parts = [b"<!doctype html><title>500</title>"]
        return parts

    def taken(self) -> dict[str, int]:
        """The counts so far; they begin anew."""
        with self._lock:
            seen, self.seen = self.seen, Counter()
        return dict(sorted(seen.items()))

    def _operation(self, environ: dict[str, Any]) -> str:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].rstrip("/")
        if target := environ.get("HTTP_X_AMZ_TARGET"):
            return str(target).rpartition(".")[2]
        if method == "POST" and "urlencoded" in environ.get("CONTENT_TYPE", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            return str(parse_qs(body.decode())["Action"][0])
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
        asked = set(parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        found = [
            (len(query), len(shape.pattern), name)
            for by, shape, query, name in _rest_operations(scope[3] if len(scope) > 3 else "s3")
            if by == method and query <= asked and shape.fullmatch(path)
        ]
        return max(found, key=lambda each: each[:2])[2] if found else f"{method} {path}"


@cache
def _rest_operations(signed_for: str) -> list[tuple[str, re.Pattern[str], set[str], str]]:
    """Of the services signed for by a name: method, shape of the path, members of the query, operation."""
    import botocore.session

    session, found = botocore.session.Session(), []
    for service in ("s3", "s3control") if signed_for == "s3" else (signed_for,):
        model = session.get_service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            parts = urlsplit(http["requestUri"])
            words = [word for word in re.split(r"(\{[^}]*\})", parts.path.rstrip("/")) if word]
            shape = "".join(
                (".+" if word.endswith("+}") else "[^/]+") if word[0] == "{" else re.escape(word) for word in words
            )
            query = set(parse_qs(parts.query, keep_blank_values=True))
            found.append((http["method"], re.compile(shape), query, name))
    return found


def seed(users: int, buckets: int, roles: int) -> None:
    """Put users with a key each, roles, and buckets such as those of `bench.synthetic`, into the backends."""
    from moto.iam.models import iam_backends
    from moto.s3.models import s3_backends

    random, iam, s3 = Random(5), iam_backends[ACCOUNT]["aws"], s3_backends[ACCOUNT]["aws"]
    for number in range(users):
        user = iam.create_user(REGION, f"user-{number:05d}", "/", [{"Key": "team", "Value": f"team-{number % 9}"}])
        iam.create_access_key(user.name)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    for number in range(roles):
        iam.create_role(
            f"role-{number:05d}", json.dumps({"Version": "2012-10-17", "Statement": [trust]}), "/", None, "",
            [{"Key": "team", "Value": f"team-{number % 9}"}], "3600", None,
        )  # fmt: skip
    for number in range(buckets):
        facts = make(random, number)
        name = facts["name"]
        s3.create_bucket(name, REGION)
        s3.put_bucket_policy(name, json.dumps(facts["policy"]).encode())
        s3.put_bucket_tagging(name, facts["tags"])
        s3.put_bucket_versioning(name, facts["versioning"]["Status"])


class Serving(ThreadingTCPServer):
    """Serves a WSGI application over connections that stay open, as AWS's do."""

    daemon_threads, request_queue_size, allow_reuse_address = True, 256, True

    def __init__(self, address: tuple[str, int], application: Callable[..., Iterable[bytes]]) -> None:
        super().__init__(address, Answering)
        self.application = application


class Answering(BaseHTTPRequestHandler):
    """One connection: request after request until the client closes it."""

    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1

    def answer(self) -> None:
        """Hand one request to the application and send what it says."""
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": self.path,
            "REQUEST_URI": self.path,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.connection.getsockname()[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        told: list[Any] = []
        assert isinstance(self.server, Serving)
        parts = self.server.application(environ, lambda status, headers, _=None: told.extend((status, headers)))
        said = b"".join(parts)
        self.send_response_only(int(told[0].split()[0]))
        for name, value in told[1]:
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer


def main(users: int, buckets: int, roles: int = 0) -> None:
    """Seed, serve, and tell the counts until standard input ends."""
    os.environ.setdefault("MOTO_ACCOUNT_ID", ACCOUNT)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    seed(users, buckets, roles)
    counting = Counting(DomainDispatcherApplication(create_backend_app))
    server = Serving(("127.0.0.1", 0), counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for _ in sys.stdin:
        print(json.dumps(counting.taken()), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

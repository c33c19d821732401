"""A moto server with users and buckets in it that counts what it is asked: `python -m bench.moto_server 500 500`.

A process of its own, so that what is measured is the client. It listens on 127.0.0.1, prints its
port, and answers each line on standard input with the requests since the last one, by operation.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.synthetic import make

ACCOUNT, REGION = "123456789012", "us-east-1"


class Counting:
    """The server's application, with a count of requests by operation before it."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._names = _rest_operations()
        self._lock = threading.Lock()
        self.seen: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Count the request and pass it on."""
        with self._lock:
            self.seen[self._operation(environ)] += 1
        return self._application(environ, start_response)

    def taken(self) -> dict[str, int]:
        """The counts so far; they begin anew."""
        with self._lock:
            seen, self.seen = self.seen, Counter()
        return dict(sorted(seen.items()))

    def _operation(self, environ: dict[str, Any]) -> str:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method == "POST" and "urlencoded" in environ.get("CONTENT_TYPE", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            return str(parse_qs(body.decode())["Action"][0])
        asked = set(parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        found = [name for name in self._names.get((method, _shape(path)), ()) if name[1] <= asked]
        return max(found, key=lambda name: len(name[1]))[0] if found else f"{method} {path}"


def _rest_operations() -> dict[tuple[str, str], list[tuple[str, set[str]]]]:
    """Of S3 and S3 Control: method and shape of the path -> operation and the query members that name it."""
    import botocore.session

    session = botocore.session.Session()
    found: dict[tuple[str, str], list[tuple[str, set[str]]]] = {}
    for service in ("s3", "s3control"):
        model = session.get_service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            parts = urlsplit(http["requestUri"])
            query = set(parse_qs(parts.query, keep_blank_values=True))
            found.setdefault((http["method"], _shape(parts.path)), []).append((name, query))
    return found


def _shape(path: str) -> str:
    """A path with `*` for what names a resource: of S3 Control all but the last word stays."""
    words = path.strip("/").split("/")
    if words[0] == "v20180820":
        return "/".join(word if word.isalpha() or word == "v20180820" else "*" for word in words)
    return "/".join("*" for word in words if word)


def seed(users: int, buckets: int) -> None:
    """Put users with a key each, and buckets such as those of `bench.synthetic`, into the backends."""
    from moto.iam.models import iam_backends
    from moto.s3.models import s3_backends

    random, iam, s3 = Random(5), iam_backends[ACCOUNT]["aws"], s3_backends[ACCOUNT]["aws"]
    for number in range(users):
        user = iam.create_user(REGION, f"user-{number:05d}", "/", [{"Key": "team", "Value": f"team-{number % 9}"}])
        iam.create_access_key(user.name)
    for number in range(buckets):
        facts = make(random, number)
        name = facts["name"]
        s3.create_bucket(name, REGION)
        s3.put_bucket_policy(name, json.dumps(facts["policy"]).encode())
        s3.put_bucket_tagging(name, facts["tags"])
        s3.put_bucket_versioning(name, facts["versioning"]["Status"])


def main(users: int, buckets: int) -> None:
    """Seed, serve, and tell the counts until standard input ends."""
    os.environ.setdefault("MOTO_ACCOUNT_ID", ACCOUNT)
    from moto.moto_server.threaded_moto_server import MotoRequestHandler
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    seed(users, buckets)
    counting = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counting, True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for _ in sys.stdin:
        print(json.dumps(counting.taken()), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

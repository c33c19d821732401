"""What `evidenced collect --now` asks of an AWS account, and what it takes to do so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.child import EVIDENCED, environment, measured
from bench.figures import Figure, Size, at_least, at_most, told

ESTATES = {Size.quick: (2, 6), Size.normal: (50, 500, 2000), Size.full: (50, 500, 2000)}
"""Numbers of users, and as many buckets."""
CONFIG = 'version = 1\n[collect.aws]\nregions = ["us-east-1"]\n'
OF_A_USER = frozenset({"ListSSHPublicKeys"})
"""Operations that are asked once for each user."""


@dataclass(frozen=True, slots=True)
class Collected:
    """One run of the command."""

    count: int
    requests: Counter[str]
    """At the server, by operation."""
    calls: int
    """By the receipts in the ledger."""
    records: int
    cpu: float
    wall: float
    memory: float
    """Peak, MiB."""
    exit_code: int

    @property
    def of_buckets(self) -> int:
        """Requests that S3 takes about one bucket each."""
        return sum(n for name, n in self.requests.items() if _about_a_bucket(name))

    @property
    def of_users(self) -> int:
        """Requests about one user each."""
        return sum(self.requests[name] for name in OF_A_USER)

    @property
    def of_the_account(self) -> int:
        """The rest: listings by page, reports, settings."""
        return self.requests.total() - self.of_buckets - self.of_users


def run(size: Size) -> Iterator[Figure]:
    """Run the command on estates of several sizes and compare."""
    # once for nothing, so that the command finds its modules compiled
    collected(ESTATES[size][0])
    runs = [collected(count) for count in ESTATES[size]]
    for ran in runs:
        yield from _figures(ran)
    small, large = runs[0], runs[-1]
    more = large.count - small.count
    asked = sorted(name for name in large.requests if _about_a_bucket(name))
    note = f"{len(asked)} operations: {', '.join(name.removeprefix('Get').removeprefix('Bucket') for name in asked)}"
    slope = (large.of_buckets - small.of_buckets) / more
    # each asked once, the region too, which the listing names at AWS, but not in the emulator
    yield Figure("collect", "requests for one bucket more", slope, "requests", at_most(len(asked)), note, timed=False)
    # each is a user or a bucket; the account itself, its root and the like are the same few in any estate
    slope, name = (large.records - small.records) / more, "records for one user and one bucket more"
    note = "of users, their credentials and use; of buckets and their exposure"
    yield Figure("collect", name, slope, "records", at_least(5), note, timed=False)
    unnamed = sum(n for name, n in large.requests.items() if not name.isalpha())
    yield Figure("collect", "requests for no known operation", unnamed, "requests", at_most(0), timed=False)
    slope = (large.of_users - small.of_users) / more
    note = ", ".join(OF_A_USER)
    yield Figure("collect", "requests for one user more", slope, "requests", at_most(1), note, timed=False)
    each = (large.cpu - small.cpu) / (large.requests.total() - small.requests.total())
    yield Figure("collect", "client CPU for one request more", each * 1000, "ms")


def _figures(ran: Collected) -> Iterator[Figure]:
    name = f"{ran.count:,} users and buckets:"
    note = f"{ran.of_buckets:,} about buckets, {ran.of_users:,} about users, {ran.of_the_account:,} about the account"
    yield Figure("collect", f"{name} requests", ran.requests.total(), "requests", note=note, timed=False)
    apart = abs(ran.requests.total() - ran.calls)
    note = f"{ran.calls:,} calls in the receipts; the rest asks who the caller is"
    own = at_most(ran.requests["GetCallerIdentity"])
    yield Figure("collect", f"{name} requests that no receipt has", apart, "requests", own, note, timed=False)
    note = f"{ran.wall:,.1f} s with the emulator, which answers one at a time; exit code {ran.exit_code}"
    yield Figure("collect", f"{name} client CPU", ran.cpu, "CPU seconds", note=note)
    yield Figure("collect", f"{name} peak memory", ran.memory, "MiB")


def collected(count: int) -> Collected:
    """Run the command once on a new server and a new store."""
    told(f"collect: {count:,} users and {count:,} buckets")
    with TemporaryDirectory(prefix="evidenced-bench-") as folder, server(count) as answering:
        config = Path(folder) / "evidenced.toml"
        config.write_text(CONFIG)
        start = time.perf_counter()
        ended = measured(
            [EVIDENCED, "-c", str(config), "collect", "--now", "--output", "json"], sdk_environment(answering.port)
        )
        wall, said = time.perf_counter() - start, json.loads(ended.printed)
        return Collected(
            count, answering.requests(), said["api_calls"], said["records"], ended.cpu, wall, ended.memory, ended.code
        )  # fmt: skip


class Server:
    """The emulator in its process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line())

    def requests(self) -> Counter[str]:
        """What it was asked since this was last called, by operation."""
        assert self._process.stdin
        print(file=self._process.stdin, flush=True)
        return Counter(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@contextmanager
def server(count: int, roles: int = 0) -> Iterator[Server]:
    """The emulator with so many users and buckets, and roles."""
    arguments, pipe = [sys.executable, "-m", "bench.moto_server", *map(str, (count, count, roles))], subprocess.PIPE
    with subprocess.Popen(
        arguments, env=environment(), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def sdk_environment(port: int) -> dict[str, str]:
    """Variables that lead the SDK to the emulator."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _about_a_bucket(operation: str) -> bool:
    return operation.startswith("GetBucket") or operation in {"GetObjectLockConfiguration", "GetPublicAccessBlock"}

"""`python -m bench.peers [COUNT]...`: the same account read by prowler and by evidenced, in the same run.

An emulated account with so many users, roles and buckets each; both ask the same server, one after the other.
What is compared is the work of the client: CPU seconds and peak memory of its process, and requests at the server.
They do not do the same: prowler reads more of each user and role one by one, judges by its own rules and writes a
report; evidenced stores what it saw in a signed ledger, judges and seals.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.child import EVIDENCED, Ended, measured
from bench.collect import CONFIG, sdk_environment, server
from bench.figures import told

PROWLER = Path(__file__).resolve().parent.parent / ".bench" / "prowler" / "bin" / "prowler"
COUNTS = (50, 500, 2000)
CPU_SHARE, MEMORY_SHARE = 1 / 4, 1 / 10
"""Of prowler's, what evidenced may take at the largest count."""


@dataclass(frozen=True, slots=True)
class Run:
    """One client against one account."""

    who: str
    count: int
    ended: Ended
    requests: Counter[str]

    @property
    def line(self) -> str:
        """The run as a row of the table."""
        return (
            f"{self.count:>6,}  {self.who:<10} {self.ended.cpu:>8.1f} CPU s {self.ended.memory:>8.0f} MiB "
            f"{self.requests.total():>8,} requests   exit {self.ended.code}"
        )


def prowler(count: int) -> Run:
    """Prowler over S3 and IAM of an account of its own."""
    with TemporaryDirectory(prefix="evidenced-bench-") as folder, server(count, count) as answering:
        ended = measured(
            [
                str(PROWLER), "aws", "--service", "s3", "iam", "--region", "us-east-1", "-M", "json-ocsf",
                "--no-banner", "--no-color", "--ignore-exit-code-3", "--output-directory", f"{folder}/out",
            ],
            sdk_environment(answering.port) | {"HOME": folder},
        )  # fmt: skip
        return Run("prowler", count, ended, answering.requests())


def evidenced(count: int) -> Run:
    """The installed command over the same streams of an account of its own, into an empty store."""
    with TemporaryDirectory(prefix="evidenced-bench-") as folder, server(count, count) as answering:
        config = Path(folder) / "evidenced.toml"
        config.write_text(CONFIG)
        ended = measured(
            [EVIDENCED, "-c", str(config), "collect", "--now", "aws.iam", "aws.s3", "--output", "json"],
            sdk_environment(answering.port),
        )
        return Run("evidenced", count, ended, answering.requests())


def compared(ours: Run, theirs: Run) -> tuple[float, float]:
    """Our share of their CPU seconds and of their memory."""
    return ours.ended.cpu / theirs.ended.cpu, ours.ended.memory / theirs.ended.memory


def main(counts: list[int]) -> int:
    """Run both at each size; 1 when at the largest we take more than our share."""
    if not PROWLER.exists():
        print(f"{PROWLER} is not there: make bench-peers installs it", file=sys.stderr)
        return 2
    # once for nothing, so that both find their modules compiled
    evidenced(2)
    prowler(2)
    shares = (0.0, 0.0)
    for count in counts:
        told(f"{count:,} users, roles and buckets")
        ours, theirs = evidenced(count), prowler(count)
        shares = compared(ours, theirs)
        print(ours.line)
        print(theirs.line)
        print(f"{'':>8}ours/theirs: CPU 1/{1 / shares[0]:.1f}, memory 1/{1 / shares[1]:.1f}", flush=True)
    return int(shares[0] > CPU_SHARE or shares[1] > MEMORY_SHARE)


if __name__ == "__main__":
    sys.exit(main([int(count) for count in sys.argv[1:]] or list(COUNTS)))

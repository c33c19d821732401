"""Discovery: third-party checks load through their entry point and are marked; what cannot be loaded is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import registry
from agent.registry import discover, seconds

PLUGIN = '''
from agent.model import passed
from agent.registry import check

@check("acme-named", over="aws.s3.buckets")
def named(bucket, ctx):
    """The bucket has a name."""
    return passed("named")
'''
TELL = """
import json
from agent.judge import rules_document
from agent.registry import discover
found = discover()
print(json.dumps([found.checks["acme-named"][0].plugin, found.checks["bucket-tls-only"][0].plugin,
                  json.loads(rules_document(found, {}))["plugins"]]))
"""


def install(folder: Path, source: str) -> None:
    (folder / "acme_evidence.py").write_text(source)
    info = folder / "acme_evidence-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-evidence\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[evidenced.plugins]\nacme = acme_evidence\n")


def python(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_plug_in_is_loaded_and_marked(tmp_path):
    install(tmp_path, PLUGIN)
    done = python(tmp_path, TELL)
    assert done.stdout.strip() == '["acme", null, ["acme acme-evidence 1.2"]]', done.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_this_name", "plug-in acme cannot be loaded"),
        (PLUGIN.replace("s3.buckets", "s3.boxes"), "no stream"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_a_usage_error(tmp_path, source, said):
    install(tmp_path, source)
    done = python(
        tmp_path, "import sys; from agent.cli.main import answer; sys.exit(answer(['controls', 'show', 'enc-at-rest']))"
    )
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(("text", "number"), [("15m", 900), ("1h", 3600), ("1d", 86400), ("90 s", 90), ("15 min", 900)])
def test_intervals(text, number):
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "0h", "1w", "-1h", "h", "1.5h"])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="interval"):
        seconds(text)


def test_what_a_rule_imports_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of rights that count as administrator stands in another module than the rules over it."""
    found = discover()
    before = found.derived["aws.access.principals"].revision, found.checks["bucket-tls-only"][0].revision
    written = registry.inspect.getsource

    def changed(module: object) -> str:
        more = "# another list" if getattr(module, "__name__", "") == "checks.aws.escalation" else ""
        return written(module) + more  # type: ignore[arg-type]

    monkeypatch.setattr(registry.inspect, "getsource", changed)
    registry._revision.cache_clear()
    after = found.derived["aws.access.principals"].revision, found.checks["bucket-tls-only"][0].revision
    registry._revision.cache_clear()
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)

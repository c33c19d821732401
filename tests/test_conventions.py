"""Conventions that hold for every collector and check, read from the registry and the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from agent.catalogue import load_catalogue
from agent.model import Kind
from agent.registry import CheckSpec, DerivedSpec, StreamSpec, discover

ROOT = Path(__file__).parent.parent
PACKAGES = ("agent", "collectors", "checks")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
PROVIDER_LIBRARIES = {
    "boto3": "collectors/aws",
    "botocore": "collectors/aws",
    "mlflow": "collectors/mlflow",
    "google": "collectors/gcp",
    "google.auth": "collectors/",
    "google.oauth2": "collectors/",
    "google.protobuf": "collectors/mlflow",
    "azure": "collectors/azure",
    "moto": "",
    "time_machine": "",
}
"""Library -> the folder that may import it; the demo imports its own where it runs."""
READ_ONLY = re.compile(r"(Get|List|Describe|BatchGet|Search|Read|Probe|Lookup|Filter)[A-Z]|GenerateCredentialReport$")
NO_WORDS = {"utils", "util", "helpers", "helper", "manager", "handler", "base", "common", "misc"}

REGISTRY = discover()
CATALOGUE = load_catalogue()
SPECS: list[StreamSpec | DerivedSpec | CheckSpec] = [
    *REGISTRY.streams.values(), *REGISTRY.derived.values(), *REGISTRY.all_checks()
]  # fmt: skip


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def where(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def of_types_only(file: Path) -> set[ast.AST]:
    """Imports under `if TYPE_CHECKING:`, which nothing runs."""
    return {
        inner
        for node in ast.walk(tree(file))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


@pytest.mark.parametrize(
    "spec",
    SPECS,
    ids=lambda spec: (
        f"{type(spec).__name__}:{getattr(spec, 'id', '')}{getattr(spec, 'name', '')}{getattr(spec, 'stream', '')}"
    ),
)
def test_the_first_line_of_a_docstring_is_a_sentence(spec: StreamSpec | DerivedSpec | CheckSpec) -> None:
    assert spec.title, "no docstring"
    assert len(spec.title) < 80
    assert spec.title.endswith("."), spec.title
    assert spec.title[0].isupper() or not spec.title[0].isalpha(), spec.title


def test_checks_and_catalogue_name_the_same() -> None:
    active = {check.id for control in CATALOGUE.controls.values() for check in control.active}
    assert set(REGISTRY.checks) <= set(CATALOGUE.check_ids), "a check that no control takes"
    assert active == set(REGISTRY.checks) & set(CATALOGUE.check_ids), "active means registered, and the other way round"


@pytest.mark.parametrize("name", sorted(REGISTRY.checks))
def test_ids_are_in_kebab_case(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)


@pytest.mark.parametrize("spec", REGISTRY.streams.values(), ids=lambda spec: spec.name)
def test_a_stream_declares_what_it_needs_and_only_reads(spec: StreamSpec) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.[a-z0-9_-]+\.[a-z0-9_]+", spec.name), "provider.service.plural"
    assert spec.provider in REGISTRY.sources, "nothing connects this provider"
    assert spec.needs
    for operation, permission in spec.needs.items():
        assert READ_ONLY.match(operation), f"{operation} may write"
        assert permission.strip(), f"{operation} names no permission"
    for pointer in (*spec.volatile, *spec.unordered, *spec.tags):
        assert pointer.startswith("/")
    assert set(spec.after) <= set(REGISTRY.streams), "after a stream that there is not"
    assert spec.kind is not Kind.DERIVED


@pytest.mark.parametrize("spec", REGISTRY.derived.values(), ids=lambda spec: spec.name)
def test_a_derived_stream_is_of_collected_ones(spec: DerivedSpec) -> None:
    assert set(spec.of) <= set(REGISTRY.streams)
    assert spec.name not in REGISTRY.streams


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_inward(file: Path) -> None:
    inside = file.relative_to(ROOT).as_posix()
    for node in ast.walk(tree(file)):
        for module in imported(node):
            top = module.partition(".")[0]
            if inside.startswith("agent/"):
                assert top not in ("collectors", "checks"), where(file, node)
            if inside.startswith("checks/"):
                assert top != "collectors", where(file, node)
            if inside.startswith("collectors/"):
                assert top != "checks", where(file, node)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_provider_libraries_stay_in_their_packages(file: Path) -> None:
    inside = file.relative_to(ROOT).as_posix()
    types_only = of_types_only(file)
    for node in ast.walk(tree(file)):
        if node in types_only or inside.startswith("agent/demo"):
            continue
        for module in imported(node):
            names = module.split(".")
            home = PROVIDER_LIBRARIES.get(".".join(names[:2]), PROVIDER_LIBRARIES.get(names[0]))
            assert home is None or (home and inside.startswith(home)), f"{where(file, node)}: {module}"


def test_everything_is_found_without_any_provider_library() -> None:
    blocked = "\n".join(f"sys.modules[{name!r}] = None" for name in PROVIDER_LIBRARIES)
    code = f"import sys\n{blocked}\nfrom agent.registry import discover\nprint(len(discover().streams))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(REGISTRY.streams)


def test_there_is_one_broad_except() -> None:
    def broad(handler: ast.ExceptHandler) -> bool:
        named = ast.walk(handler.type) if handler.type else ()
        return handler.type is None or any(
            isinstance(node, ast.Name) and node.id in ("Exception", "BaseException") for node in named
        )

    def passes_on(handler: ast.ExceptHandler) -> bool:
        last = handler.body[-1]
        return isinstance(last, ast.Raise) and last.exc is None

    found = [
        file.relative_to(ROOT).as_posix()
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler) and broad(node) and not passes_on(node)
    ]
    assert found == ["agent/guard.py"]


def test_checks_catch_nothing() -> None:
    found = [
        where(file, node)
        for file in FILES
        if file.is_relative_to(ROOT / "checks")
        for node in ast.walk(tree(file))
        if isinstance(node, (ast.Try, ast.TryStar)) or (isinstance(node, ast.Attribute) and node.attr == "suppress")
    ]
    assert not found


def clocks(file: Path) -> Iterator[str]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (owner, node.attr) in (
                ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
                ("time", "time"), ("time", "time_ns"), ("time", "gmtime"), ("time", "localtime"),
            ):  # fmt: skip
                yield where(file, node)


def test_one_file_reads_the_clock() -> None:
    found = [place for file in FILES for place in clocks(file) if file != ROOT / "agent" / "clock.py"]
    assert not found


def test_names_say_something() -> None:
    assert not [str(file) for file in FILES if NO_WORDS & set(file.relative_to(ROOT).with_suffix("").parts)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(file: Path) -> None:
    doc = ast.get_docstring(tree(file))
    assert doc, "no docstring"
    assert len(doc.partition("\n")[0]) < 121

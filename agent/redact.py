"""Secrets and unknown tag values leave the facts here, before anything is digested or stored.

A hit replaces the whole string; place, pattern and a keyed hash of the secret stay behind, so that
a check can fail on it and the same secret is recognised again without being known.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson

from agent.canonical import escape
from agent.model import Json

REDACTED = "[redacted]"
"""Stands where a string was that held a secret."""

_NAME = r"(?:password|passwd|secret|token(?!i[sz])|api[-_]?key|credential)"
_ABOUT = re.compile(
    r"(?:^|[-_.]|(?<=[a-z]))(?:id|ids|arn|name|names|type|url|uri|at|on|date|age|count|length|version|status|path|file"
    r"|location|used|changed|rotated|expires|expiry|updated|policy|provider|source|enabled)$",
    re.IGNORECASE,
)
"""A name that ends so says something about a secret and is not one: SecretArn, token_url."""

PATTERNS: Mapping[str, re.Pattern[str]] = {
    "aws-key-id": re.compile(r"(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    "aws-secret": re.compile(
        r"(?i:aws|secret|access)[\w .-]{0,30}[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    "private-key": re.compile(r"(-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*)", re.DOTALL),
    "gcp-sa-json": re.compile(r"(.*\"private_key_id\".*)", re.DOTALL),
    "google-api-key": re.compile(r"(?<![\w-])(AIza[\w-]{35})(?![\w-])", re.ASCII),
    "azure-storage-key": re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    "github-token": re.compile(r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36,})"),
    "gitlab-token": re.compile(r"(?<![A-Za-z0-9])(gl(?:pat|dt|rt|ptt)-[\w-]{20,})", re.ASCII),
    "slack-token": re.compile(r"(?<![A-Za-z0-9])(xox[a-z]-[A-Za-z0-9-]{10,})"),
    "hf-token": re.compile(r"(?<![A-Za-z0-9])(hf_[A-Za-z0-9]{30,})"),
    "model-api-key": re.compile(r"(?<![A-Za-z0-9])(sk-(?:proj|svcacct|admin|ant|or)-[\w-]{20,})", re.ASCII),
    "jwt": re.compile(r"(?<![\w-])(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,})", re.ASCII),
    "url-credentials": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@(?!sha\d+:)"),
    "named-secret": re.compile(
        rf"(?i:[\w.-]*{_NAME}[\w.-]*)(?:[\"']?\s*=\s*[\"']?|[\"']\s*:\s*[\"'])([^\s\"',;&|<>]{{8,}})"
    ),
}
"""Pattern id -> expression whose group 1 is the secret."""

_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}")
_AWS_NAME = re.compile(r"secret.?(?:access.?)?key|aws.{0,30}key", re.IGNORECASE)
_NAMED = re.compile(_NAME, re.IGNORECASE)
_KEY_ID_NAMES = frozenset({"AccessKeyId", "accessKeyId", "access_key_id"})
"""Where the provider itself names a key by its id; the id of a key in a setting is still a hit."""

_REFERENCE = re.compile(
    r"arn:[\w-]+:|projects/[^/]+/secrets/|@Microsoft\.KeyVault\(|.*\$\{[^}]*\}|.*\$\([^)]*\)|\{\{.*\}\}"
    r"|(?i:secretref)|(?:env|file|cred|vault|ssm|secret|secrets|dbfs|s3|gs):/?|\$[A-Za-z_]\w*$",
    re.DOTALL,
)
_PLACEHOLDER = re.compile(
    r"(?i:.*(?:\*{3}|x{4}|\.{3}|•{3}).*|<[^<>]*>|\[[A-Za-z _-]*\]|[-_#]+|(?:your|my|some|insert|enter)[-_ ].*"
    r"|.*(?:change[-_ ]?me|placeholder|redacted|masked|not[-_ ]?set|dummy)|.*example|(?:true|false|none|null|default))",
    re.DOTALL,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")
_POSSIBLE = re.compile(
    rb"AKIA|ASIA|-----BEGIN |private_key_id|AIza|AccountKey=|gh[pousr]_|gl(?:pat|dt|rt|ptt)-|xox[a-z]-|hf_|sk-|eyJ"
    rb"|://[^\s/@]*:[^\s/@]*@"
    rb"|(?i:passw|secret|token|api[-_]?key|credential)"
    rb"|(?i:(?:aws|access)[\w .-]{0,32}[\\\"']*\s*[:=]\s*[\\\"']*[a-z0-9/+]{40})"
)
"""Finds every facts that could hold a hit, and a few that do not: those are walked for nothing."""

_REMEMBERED = 200_000
"""Digests of facts without secrets that are kept, about 100 bytes each."""

_PAIR = (("Key", "Value"), ("Name", "Value"), ("key", "value"), ("name", "value"))
_POLICY_CONDITION = "Condition"
"""Below it the names are condition keys of a policy (`token.actions…:sub`), not names of settings."""


class Redactor:
    """Takes secrets and the values of unknown tags out of facts.

    `key` is the store's redaction key, `keep_tags` the tag names whose values are kept.
    """

    def __init__(self, key: bytes, keep_tags: Iterable[str]) -> None:
        self._key = key
        self._keep = frozenset(keep_tags)
        self._clean: set[bytes] = set()

    @cached_property
    def patterns_digest(self) -> str:
        """SHA-256 (hex) of what counts as a secret here: part of every receipt."""
        rules = [*PATTERNS.items(), ("name", _NAMED), ("about", _ABOUT), ("ref", _REFERENCE), ("word", _PLACEHOLDER)]
        text = "\n".join(f"{id} {pattern.pattern}" for id, pattern in rules)
        return hashlib.sha256(text.encode()).hexdigest()

    def redact(self, facts: Mapping[str, Json], tag_pointers: Sequence[str]) -> tuple[dict[str, Json], list[str]]:
        """Facts without secrets, and the sorted pointers of what was replaced or dropped.

        Takes facts in the evidence profile. Hits are listed under `secrets`, which is a reserved name;
        pointers of tag maps may have `*` for any one name or index.
        """
        hits: list[dict[str, str]] = []
        redacted: set[str] = set()
        if not self._is_clean(text := orjson.dumps(facts)):
            kept = self._walk(facts, "", "", False, hits, redacted)
        elif tag_pointers:
            kept = orjson.loads(text)
        else:
            return dict(facts), []
        for pointer in tag_pointers:
            for at, tags in _tag_maps(kept, pointer.split("/")[1:], ""):
                redacted.update(self._drop_tags(tags, at))
        if hits:
            kept["secrets"] = sorted(hits, key=lambda hit: (hit["at"], hit["pattern"], hit["hash"]))
        return kept, sorted(redacted)

    def scan(self, text: str, name: str = "") -> list[tuple[str, str]]:
        """Pattern id and keyed hash of each secret in a text; `name` is what the text is the value of."""
        return sorted({(pattern, self._hash(secret)) for pattern, secret in _secrets(text, name)})

    def _is_clean(self, text: bytes) -> bool:
        """Whether facts, as JSON, cannot hold a secret; what was found so is not searched again at the next poll."""
        name = hashlib.sha256(text).digest()
        if name in self._clean:
            return True
        clean = not _POSSIBLE.search(text)
        if clean:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add(name)
        return clean

    def _hash(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode(errors="replace"), hashlib.sha256).hexdigest()[:32]

    def _walk(
        self, value: Json, at: str, name: str, policy: bool, hits: list[dict[str, str]], redacted: set[str]
    ) -> Any:
        if isinstance(value, str):
            found = self.scan(value, "" if policy else name)
            if not found:
                return value
            hits.extend({"at": at, "hash": hash, "pattern": pattern} for pattern, hash in found)
            redacted.add(at)
            return REDACTED
        if isinstance(value, Mapping):
            names = {member: str(member) for member in value} | _told_name(value)
            return {
                member: self._walk(
                    inner,
                    f"{at}/{escape(member)}",
                    names[member],
                    policy or member == _POLICY_CONDITION,
                    hits,
                    redacted,
                )
                for member, inner in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._walk(inner, f"{at}/{n}", name, policy, hits, redacted) for n, inner in enumerate(value)]
        return value

    def _drop_tags(self, tags: dict[str, Json] | list[Json], at: str) -> Iterator[str]:
        if isinstance(tags, dict):
            for name in [name for name in tags if name not in self._keep]:
                del tags[name]
                yield f"{at}/{escape(name)}"
            return
        for number, tag in enumerate(tags):
            if isinstance(tag, dict):
                for member, told in _told_name(tag).items():
                    if told not in self._keep:
                        del tag[member]
                        yield f"{at}/{number}/{member}"


def _secrets(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Pattern id and secret of each hit in one string."""
    if len(text) < 8:
        return
    specific = False
    for id, pattern in PATTERNS.items():
        if id == "named-secret" and specific:
            return
        for match in pattern.finditer(text):
            secret = match[1]
            if id == "aws-key-id" and name in _KEY_ID_NAMES and secret == text:
                continue
            if id == "named-secret" and (_entropy(secret) < 3.5 or _is_about(match[0])):
                continue
            if not _harmless(secret):
                specific = True
                yield id, secret
    if specific or not name or _harmless(text):
        return
    if _AWS_NAME.search(name) and _AWS_SECRET.fullmatch(text):
        yield "aws-secret", text
    elif _NAMED.search(name) and not _ABOUT.search(name) and _entropy(text) >= 3.5 and " " not in text.strip():
        yield "named-secret", text


def _is_about(assignment: str) -> bool:
    """Whether the name in `name=value` only says something about a secret."""
    return bool(_ABOUT.search(re.split(r"[\"'\s=:]", assignment, maxsplit=1)[0]))


def _harmless(secret: str) -> bool:
    """References to a secret manager, masked values, placeholder words, times."""
    return bool(_REFERENCE.match(secret) or _PLACEHOLDER.fullmatch(secret) or _TIME.fullmatch(secret))


def _entropy(text: str) -> float:
    """Bits per character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def _told_name(value: Mapping[str, Json]) -> dict[str, str]:
    """Of an object like {"Name": "DB_PASSWORD", "Value": "…"}: the member that holds the value, and its name."""
    return {held: str(value[named]) for named, held in _PAIR if held in value and isinstance(value.get(named), str)}


def _tag_maps(value: Json, tokens: Sequence[str], at: str) -> Iterator[tuple[str, Any]]:
    """Each tag map (or list of pairs) that a pointer names, with its own pointer."""
    if not tokens:
        if isinstance(value, (dict, list)):
            yield at, value
        return
    token, *rest = tokens
    name = token.replace("~1", "/").replace("~0", "~")
    if isinstance(value, dict):
        for member in list(value) if token == "*" else [name] if name in value else []:
            yield from _tag_maps(value[member], rest, f"{at}/{escape(member)}")
    elif isinstance(value, list):
        for number in range(len(value)) if token == "*" else [int(token)] if token.isdigit() else []:
            if number < len(value):
                yield from _tag_maps(value[number], rest, f"{at}/{number}")

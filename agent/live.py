"""A check on facts as they are now, without a ledger: streams are polled when the check asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.canonical import parse
from agent.collect import collect
from agent.facts import Context, Facts, StreamView, Unseen
from agent.guard import attempt
from agent.model import Gap, PollStatus, Reason, Snapshot, Source, SourceError, Target, Verdict
from agent.redact import Redactor
from agent.registry import CheckSpec, Registry


class Live:
    """One judging scope, looked at now; nothing is stored, each stream is polled once at most."""

    def __init__(
        self,
        registry: Registry,
        source: Source,
        judging: str,
        redactor: Redactor,
        rules: Mapping[str, Any],
        now_ms: int,
    ) -> None:
        self._registry, self._source, self._judging = registry, source, judging
        self._redactor, self._rules, self._now_ms = redactor, rules, now_ms
        self._views: dict[str, StreamView | Gap] = {}

    def judge(self, spec: CheckSpec) -> Iterator[tuple[str, Verdict | Gap]]:
        """(record key, verdict) of a check over a collected stream; a `Gap` where something was not seen."""
        context = Context(self._now_ms, self._rules, self._view, self._view, self._registry.streams.__contains__)
        try:
            subjects = list(self._view(spec.stream))
        except Unseen as unseen:
            yield self._judging, unseen.gap
            return
        for subject in subjects:
            try:
                verdict, _ = attempt(lambda subject=subject: spec.judge(subject, context))  # type: ignore[misc]
            except Unseen as unseen:
                yield subject.key, unseen.gap
            else:
                yield subject.key, verdict or Gap(Reason.CRASHED)

    def _view(self, stream: str) -> StreamView:
        if stream not in self._views:
            self._views[stream] = self._look(stream)
        view = self._views[stream]
        if isinstance(view, Gap):
            raise Unseen(view, stream)
        return view

    def _look(self, stream: str) -> StreamView | Gap:
        spec = self._registry.streams.get(stream)
        if spec is None or spec.provider != self._source.name:
            return Gap(Reason.NOT_CONFIGURED, code="NoSuchSource")
        try:
            scopes = [scope for scope in self._source.scopes(spec.per) if scope.judging == self._judging]
        except SourceError as error:
            return error.gap
        polls = [
            collect(Target(stream, scope, spec.kind, spec.every_s, spec.collector), spec, self._source, self._redactor)
            for scope in scopes
        ]
        missing = next(
            (Gap(poll.why or Reason.PARTIAL) for poll in polls if poll.status is not PollStatus.COMPLETE), None
        )
        if missing and all(poll.status is PollStatus.FAILED for poll in polls):
            return next(iter(polls[0].unseen), missing)
        records = [facts for poll in polls for facts in _facts(poll)]
        return StreamView(lambda: iter(records), missing, stream)


def _facts(poll: Snapshot) -> Iterator[Facts]:
    for item in poll.items:
        yield Facts.of(
            parse(poll.documents[item.digest]), key=item.key, scope=poll.target.scope.name, observed_ms=poll.start_ms
        )

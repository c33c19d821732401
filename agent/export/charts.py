"""Where things lie in the report's drawings: calendars, life bars, shares. Numbers only; templates draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from agent.assess import Day, DayState, Span, State

STRIP_DAYS = 35
"""Periods up to this long are drawn as one row of tall days, longer ones as weeks."""
SIZES = {"w": (11, 11), "d": (14, 24), "b": (22, 26)}
"""Width and height of a day: in weeks, in a strip, in a short strip."""
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


@dataclass(frozen=True, slots=True)
class Cell:
    """One day that is drawn by itself, because it is not simply met."""

    x: int
    y: int
    w: int
    h: int
    state: State
    title: str
    also: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A label in a drawing."""

    x: float
    y: float
    text: str
    end: bool = False
    """Whether it ends at x instead of beginning there."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one control: met ones as a single path, the others each by itself."""

    width: int
    height: int
    met: str
    quiet: str
    """Path of the days on which nothing applied."""
    outside: str
    cells: tuple[Cell, ...]
    texts: tuple[Text, ...]
    summary: str


def short(day: date) -> str:
    """`2 Mar`."""
    return f"{day.day} {day:%b}"


def day_title(day: date, state: DayState) -> str:
    """What hovering over a day says."""
    parts = [f"{day:%a} {day.day} {day:%b %Y}: {state.state.value}"]
    if state.not_met:
        parts.append(f"{state.not_met} of {state.met + state.not_met} fail")
    if state.also:
        parts.append("also " + ", ".join(one.value for one in state.also))
    return "; ".join(parts)


def calendar(days: Sequence[Day], states: Sequence[DayState]) -> Calendar:
    """The drawing of a control's days."""
    strip = len(days) <= STRIP_DAYS
    w, h = SIZES[size_of(len(days))]
    places = [(number * (w + 2) + 1, 16) for number in range(len(days))] if strip else _weeks(days)
    paths: dict[State, list[str]] = {State.MET: [], State.NOT_APPLICABLE: [], State.OUTSIDE: []}
    cells = []
    for day, state, (x, y) in zip(days, states, places, strict=True):
        if state.state in paths and not state.also:
            if state.state is State.NOT_APPLICABLE:
                paths[state.state].append(f"M{x + w / 2 - 1.5:g} {y + h / 2:g}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0z")
            else:
                paths[state.state].append(f"M{x} {y}h{w}v{h}h-{w}z")
        else:
            cells.append(Cell(x, y, w, h, state.state, day_title(day.date, state), bool(state.also)))
    texts = _strip_texts(days, places, h) if strip else _week_texts(days, places)
    right = max(x for x, _ in places) + w
    return Calendar(
        right + 1, (16 + h + 14) if strip else 107, "".join(paths[State.MET]), "".join(paths[State.NOT_APPLICABLE]),
        "".join(paths[State.OUTSIDE]), tuple(cells), tuple(texts), day_summary(states),
    )  # fmt: skip


def size_of(days: int) -> str:
    """Which of the sizes a calendar of so many days has."""
    return "b" if days <= 16 else "d" if days <= STRIP_DAYS else "w"


def day_summary(states: Sequence[DayState]) -> str:
    """`met 177 days, partly met 2 days`."""
    counts = Counter(state.state for state in states)
    return ", ".join(f"{state.value} {plural(counts[state], 'day')}" for state in State if counts[state])


def stretches(days: Sequence[Day], states: Sequence[DayState]) -> list[tuple[date, date, State]]:
    """The days that were not simply met, as from-to: the calendar's twin."""
    found: list[tuple[date, date, State]] = []
    for day, state in zip(days, states, strict=True):
        if state.state is State.MET:
            continue
        if found and found[-1][2] is state.state and found[-1][1] == day.date - timedelta(1):
            found[-1] = (found[-1][0], day.date, state.state)
        else:
            found.append((day.date, day.date, state.state))
    return found


def _strip_texts(days: Sequence[Day], places: Sequence[tuple[int, int]], height: int) -> list[Text]:
    texts = []
    for number, (day, (x, y)) in enumerate(zip(days, places, strict=True)):
        if number == 0 or day.date.day == 1:
            texts.append(Text(x, 10, f"{day.date:%b}"))
        if day.date.weekday() == 0 or number == 0 or len(days) <= 16:
            texts.append(Text(x + 1, y + height + 11, str(day.date.day)))
    return texts


def _weeks(days: Sequence[Day]) -> list[tuple[int, int]]:
    monday = days[0].date - timedelta(days[0].date.weekday())
    return [(26 + (day.date - monday).days // 7 * 13, 16 + day.date.weekday() * 13) for day in days]


def _week_texts(days: Sequence[Day], places: Sequence[tuple[int, int]]) -> list[Text]:
    texts = [Text(0, 25 + number * 13, WEEKDAYS[number]) for number in (0, 2, 4)]
    last = -99
    for day, (x, _) in zip(days, places, strict=True):
        if (day.date.day == 1 or not texts[3:]) and x - last >= 26:
            texts.append(Text(x, 9, f"{day.date:%b}"))
            last = x
    return texts


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a drawing of lives."""

    x: float
    w: float
    open: bool
    event: bool
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of a drawing of lives."""

    y: int
    label: str
    href: str
    bars: tuple[Bar, ...]
    note: Text


@dataclass(frozen=True, slots=True)
class Lives:
    """Bars over the period, with a line for each month or week."""

    height: int
    grid: tuple[Text, ...]
    lanes: tuple[Lane, ...]


LEFT, RIGHT = 150.0, 770.0


def at(span: Span, ms: int) -> float:
    """Where a time lies in a drawing of lives, held inside it."""
    share = (min(max(ms, span.from_ms), span.until_ms) - span.from_ms) / max(1, span.until_ms - span.from_ms)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def grid(span: Span) -> tuple[Text, ...]:
    """Lines at the first of each month, or each Monday of a short period."""
    marks = [day for day in span.days if day.date.day == 1]
    if len(span.days) <= 70:
        marks = [day for day in span.days if day.date.weekday() == 0]
    return tuple(Text(at(span, day.from_ms), 12, short(day.date)) for day in marks)


def plural(count: int, word: str, many: str | None = None) -> str:
    """`1 day`, `2 days`; thousands with a comma."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"

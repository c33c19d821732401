"""From the ledger to facts per control: states day by day, deviations with both bounds, slots and gaps."""

from agent.assess.controls import Assessment, CheckFacts, ControlFacts, Standing, assess
from agent.assess.coverage import Sight, TargetCoverage, days_text, owed_slots
from agent.assess.days import DayState, State
from agent.assess.findings import Deviation, Piece, Subject
from agent.assess.reading import Reading, read
from agent.assess.span import Day, Span

__all__ = [
    "Assessment",
    "CheckFacts",
    "ControlFacts",
    "Day",
    "DayState",
    "Deviation",
    "Piece",
    "Reading",
    "Sight",
    "Span",
    "Standing",
    "State",
    "Subject",
    "TargetCoverage",
    "assess",
    "days_text",
    "owed_slots",
    "read",
]

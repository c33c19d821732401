"""The evidence ledger: append-only, hashed, signed, and verifiable by anybody (RFC 6962, C2SP)."""

from __future__ import annotations

from agent.ledger.append import SlotTaken
from agent.ledger.ledger import Ledger
from agent.ledger.read import Head, Judged, TargetRow
from agent.ledger.sign import sshsig

__all__ = ["Head", "Judged", "Ledger", "SlotTaken", "TargetRow", "sshsig"]

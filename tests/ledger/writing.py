"""A process that appends to a store until it is killed; run as `python writing.py FOLDER SEED STEPS SHARE`.

After each append it says on standard output how long the log is, so that the test knows what must be there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.ledger import Ledger
from tests.ledger.world import ALL, BUCKETS, MODELS, START, snapshot


def main(folder: Path, seed: int, steps: int) -> None:
    """Append polls of two targets and seal now and then."""
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", folder / "ledger.key", now_ms=START)
    ledger.declare(ALL, START + 1)
    for step in range(steps):
        at_ms = START + 1000 * (step + 1)
        of = (BUCKETS, MODELS)[(step + seed) % 2]
        records = {f"{seed}/{number}": {"step": step, "number": number} for number in range(step % 50)}
        idx = ledger.append_poll(snapshot(of, records, at_ms, req=f"{seed}-{step}"))
        said = f"{idx} {seed}-{step}"
        if step % 7 == 6:
            ledger.seal(at_ms)
        sys.stdout.write(said + "\n")
        sys.stdout.flush()
    ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""The normal form of a training job, the same for every platform (status words and required fields)."""

from __future__ import annotations

STATUSES = ("succeeded", "failed", "stopped", "running", "unknown")

_WORDS = {
    "succeeded": "completed succeeded finished job_state_succeeded pipeline_state_succeeded",
    "failed": "failed expired error timeout out_of_memory node_fail partially_succeeded job_state_failed "
    "job_state_expired job_state_partially_succeeded pipeline_state_failed",
    "stopped": "stopped cancelled canceled killed paused preempted job_state_cancelled job_state_paused "
    "pipeline_state_cancelled pipeline_state_paused",
    "running": "running inprogress in_progress stopping pending queued scheduled updating starting preparing "
    "provisioning finalizing cancelrequested cancelling notstarted job_state_running job_state_pending "
    "job_state_queued job_state_updating job_state_cancelling pipeline_state_running "
    "pipeline_state_pending pipeline_state_queued",
}
_NORMAL = {word: status for status, words in _WORDS.items() for word in words.split()}


def job_status(said: object) -> str:
    """One of `STATUSES` for what a platform says; `unknown` for a word that is not known.

    >>> job_status("FINISHED"), job_status("InProgress"), job_status("NotResponding")
    ('succeeded', 'running', 'unknown')
    """
    return _NORMAL.get(str(said).casefold(), "unknown")

"""The log in which the company's training cluster writes what it ran: one JSON object per line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from typing import Any

from agent.clock import iso, now_ms
from agent.demo.models import Trained

REGISTRY = "registry.example-models.internal"
CLUSTER = "gpu-cluster-1"


@dataclass(slots=True)
class Job:
    """A training job between its start and its end; `record` is its line."""

    record: dict[str, Any]


class JobLog:
    """A folder with a file per month; a job has a line when it starts and one when it ends."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._random = Random(seed)
        self._count = 0

    def start(
        self,
        model: str,
        by: str,
        *,
        environment: str = "production",
        pinned: bool = True,
        private: bool = True,
        encrypted: bool = True,
        variables: dict[str, str] | None = None,
        retry_of: str | None = None,
    ) -> Job:
        """Write that a job began: by whom, from which image, where and with which settings."""
        self._count += 1
        image = f"{REGISTRY}/train/{model}"
        uri = f"{image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}" if pinned else f"{image}:latest"
        at = iso(now_ms())
        job = Job(
            {
                "job_id": f"{model}-{self._count:04d}",
                "provider": "kubernetes",
                "scope": CLUSTER,
                "name": f"train {model}",
                "group": model,
                "environment": environment,
                "created_at": at,
                "started_at": at,
                "ended_at": None,
                "status": "running",
                "failure_reason": None,
                "started_by": {"principal": by, "source": "kubernetes audit log", "assurance": "system_recorded"},
                "role": "sagemaker-training",
                "image": {"uri": uri, "digest_pinned": pinned, "registry": REGISTRY},
                "algorithm_builtin": False,
                "encryption": {"volume": encrypted, "output": encrypted},
                "network": {"private": private, "isolated": private, "internode_encrypted": True, "interactive": False},
                "nodes": 1,
                "env": {"OMP_NUM_THREADS": "2", "MODEL": model, **(variables or {})},
                "retry_of": retry_of,
                "mlflow_run_id": None,
            }
        )
        self._write(job)
        return job

    def succeed(self, job: Job, trained: Trained) -> None:
        """Write that a job ended well, with the run that MLflow keeps of it."""
        job.record |= {
            "status": "succeeded",
            "ended_at": iso(now_ms()),
            "mlflow_run_id": trained.run_id,
            "code": {"repo": "example-models/training", "commit": trained.commit},
            "inputs": [self._input(job, trained)],
            "outputs": {"uri": trained.model_uri, "kms": None},
            "params": {name: str(value) for name, value in trained.params.items()},
        }
        self._write(job)

    def fail(self, job: Job, reason: str, run_id: str | None = None) -> None:
        """Write that a job failed, and why."""
        job.record |= {
            "status": "failed", "ended_at": iso(now_ms()), "failure_reason": reason, "mlflow_run_id": run_id
        }  # fmt: skip
        self._write(job)

    @staticmethod
    def _input(job: Job, trained: Trained) -> dict[str, str]:
        """What a job read; research works on a sample that holds nothing of a person."""
        uri, data_class = trained.recipe.data, "restricted"
        if job.record["environment"] != "production":
            uri, data_class = uri.replace("training-data", "sample-data"), "internal"
        return {"uri": uri, "version_or_digest": trained.digest, "data_class": data_class}

    def made_up_token(self) -> str:
        """Something of the shape of a model hub's access token, and the key to nothing."""
        return "hf_" + "".join(self._random.choices(ascii_letters + digits, k=34))

    def _write(self, job: Job) -> None:
        month = job.record["created_at"][:7]
        with (self._folder / f"{month}.jsonl").open("a") as file:
            file.write(json.dumps(job.record) + "\n")

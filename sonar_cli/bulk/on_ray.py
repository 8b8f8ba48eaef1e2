"""Make shards by Ray Data: a map over their numbers, with a pool of workers that hold the model.

A worker writes its shards itself, so the folder, the inputs and the model's files lie where every
machine of the cluster sees them. A worker that is lost is replaced, and its shard made again.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from sonar_cli.bulk.folder import Note
from sonar_cli.bulk.job import Job, RayOptions
from sonar_cli.bulk.making import Maker, Notify, Plan
from sonar_cli.cores import cores
from sonar_cli.errors import SonarError, UsageError

# Bytes of memory that the workers of one machine share: notes are small.
_SHARED = 100 << 20


def made(plan: Plan, numbers: Sequence[int], asked: RayOptions, notify: Notify) -> Iterator[Note]:
    """Make the shards of these numbers; yield the note of each, in the order of their making.

    Raises UsageError without Ray, SonarError for a cluster that cannot be reached, and what the
    first worker that fails raises.
    """
    ray = _ray()
    _begin(ray, plan.job, asked)
    try:
        share = _share(plan.job, asked, ray.cluster_resources(), len(ray.nodes()))
        runtime = replace(plan.job.runtime, threads=share.cpus, workers=1, device=share.device)
        plan = replace(plan, job=replace(plan.job, runtime=runtime))
        for row in _mapped(ray, plan, numbers, share).iter_rows():
            answer = json.loads(row["answer"])
            if "failed" in answer:
                raise (UsageError if answer["usage"] else SonarError)(answer["failed"])
            for line in answer["said"]:
                notify(line)
            yield Note(**answer["note"])
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Share:
    """How many workers there are, what each takes of the cluster, and on which device it works."""

    workers: int
    cpus: int
    gpus: int
    device: str


def _share(job: Job, asked: RayOptions, cluster: dict[str, float], machines: int) -> Share:
    """Return what each worker takes: a GPU, or without one a share of the cores.

    >>> from pathlib import Path
    >>> from sonar_cli.bulk.tasks import Encode
    >>> from sonar_cli.options import ModelRequest
    >>> job = Job(Encode(), ("a.jsonl",), Path("out"))
    >>> _share(job, RayOptions(), {"CPU": 16}, machines=2)
    Share(workers=16, cpus=1, gpus=0, device='cpu')
    >>> large = replace(job, request=ModelRequest("900m"))
    >>> _share(large, RayOptions(), {"CPU": 16}, machines=2)
    Share(workers=2, cpus=8, gpus=0, device='cpu')
    >>> _share(large, RayOptions(), {"CPU": 16, "GPU": 4}, machines=2)
    Share(workers=4, cpus=4, gpus=1, device='cuda')
    """
    cpus, gpus = int(cluster.get("CPU", 1)), int(cluster.get("GPU", 0))
    on_gpu = job.runtime.device != "cpu" and (gpus > 0 or job.runtime.device != "auto")
    threads = job.runtime.threads
    if job.request.embedded:
        # Its matrices are too small to be shared by threads.
        threads = threads or 1
    alone = cpus // threads if threads else machines
    workers = asked.workers or max(1, gpus if on_gpu else alone)
    threads = threads or max(1, cpus // max(workers, machines))
    if workers * threads > cpus or (on_gpu and workers > gpus):
        raise UsageError(
            f"{workers} workers need {workers * threads} cores"
            f"{f' and {workers} GPUs' if on_gpu else ''}, and Ray has {cpus} and {gpus}; "
            "give fewer --workers or --threads"
        )
    return Share(workers, threads, int(on_gpu), "cuda" if on_gpu else "cpu")


class Worker:
    """A worker: it loads the model once, and makes the shards that it is given, one at a time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.said: list[str] = []
        self.maker: Maker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Make a batch of one shard; answer with its note and notices, or what went wrong."""
        try:
            if self.maker is None:
                self.maker = Maker(self.plan, self.said.append)
            note = self.maker(int(batch["number"][0]))
        except Exception as error:
            # Ray would try again, and then wrap the error; here it is said in one line.
            known = isinstance(error, (SonarError, OSError))
            text = str(error) if known else f"{type(error).__name__}: {error}"
            failed = {"failed": text, "usage": isinstance(error, UsageError)}
            return {"answer": [json.dumps(failed)]}
        said, self.said[:] = list(self.said), []
        return {"answer": [json.dumps({"note": asdict(note), "said": said})]}


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what Ray has to say from the terminal: it is in the logs of its session as well.

    Ray's processes and libraries write to the files 1 and 2, and its threads to `sys.stdout`, which
    lead nowhere; `sys.stderr` leads where file 2 led. SONAR_LLM_DEBUG=1 lets them speak.
    """
    if os.environ.get("SONAR_LLM_DEBUG") == "1":
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    own = sys.stdout, sys.stderr
    before = os.dup(1), os.dup(2)
    with open(before[1], "w", buffering=1) as told, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        sys.stdout, sys.stderr = nowhere, told
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            sys.stdout, sys.stderr = own
            os.dup2(before[0], 1)
            os.dup2(before[1], 2)
            os.close(before[0])


def _ray() -> Any:
    # Its makers are told nothing of its use.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError("--ray needs Ray Data: pip install 'sonar-llm[ray]'") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _begin(ray: Any, job: Job, asked: RayOptions) -> None:
    """Connect to the cluster, or begin one on this machine."""
    settings: dict[str, Any] = {"address": asked.address or "local"}
    if asked.address is None:
        wanted = (asked.workers or 1) * (job.runtime.threads or 1)
        settings |= {"num_cpus": max(cores(), wanted), "object_store_memory": _SHARED}
        settings |= {"include_dashboard": False}
    try:
        ray.init(**settings, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise SonarError(f"Ray at {settings['address']} cannot be reached: {why}") from None


def _mapped(ray: Any, plan: Plan, numbers: Sequence[int], share: Share) -> Any:
    """Return the data set of the workers' answers."""
    items = ray.data.from_items(
        [{"number": each} for each in numbers], override_num_blocks=len(numbers)
    )
    # One shard at a time each, so that at the end none waits behind another.
    pool = ray.data.ActorPoolStrategy(size=share.workers, max_tasks_in_flight_per_actor=1)
    return items.map_batches(
        Worker, fn_constructor_args=(plan,), batch_size=1, compute=pool,
        num_cpus=share.cpus, num_gpus=share.gpus,
    )  # fmt: skip

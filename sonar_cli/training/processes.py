"""One process that trains, or several that share a batch: what they exchange, and who writes.

Several are started with `accelerate launch -m sonar_cli train ...`. Each computes the gradients of
its part of a batch. With DDP every process has all weights and the gradients are averaged; with
FSDP the weights, gradients and the optimizer's state are divided among them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.errors import UsageError

Optimizer = torch.optim.Optimizer
State = dict[str, Any]
Network = TypeVar("Network", bound=nn.Module)


class Processes(Protocol):
    """What the training loop needs to know of the processes that run it."""

    rank: int
    count: int
    sharded: bool

    def prepare(self, module: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return the module and its optimizer, ready to be trained by all processes."""

    def syncing(self, module: nn.Module, on: bool) -> AbstractContextManager[Any]:
        """While it is off, a backward pass adds up gradients without exchanging them."""

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sums of values over all processes."""

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Shorten the gradients to a norm; return the norm that they had."""

    def state(self, module: nn.Module, optimizer: Optimizer) -> State:
        """Return `modules` and `optimizer` by the parameters' names; the first gets them whole."""

    def load(self, module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""

    def whole(self, network: Network) -> Network:
        """Return the network; to the first process with all its weights."""

    def in_turn(self) -> AbstractContextManager[None]:
        """Let the first process through it before the others."""


class Alone:
    """The only process."""

    rank = 0
    count = 1
    sharded = False

    def prepare(self, module: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return both as they are."""
        return module, optimizer

    def syncing(self, module: nn.Module, on: bool) -> AbstractContextManager[Any]:
        """Do nothing."""
        return nullcontext()

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the values."""
        return list(values)

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Shorten the gradients to a norm; return the norm that they had."""
        return float(nn.utils.clip_grad_norm_(parameters, norm))

    def state(self, module: nn.Module, optimizer: Optimizer) -> State:
        """Return `modules` and `optimizer` by the parameters' names."""
        return {"modules": module.state_dict(), "optimizer": _by_name(module, optimizer)}

    def load(self, module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        module.load_state_dict(state["modules"])
        _load_by_name(module, optimizer, state["optimizer"])

    def whole(self, network: Network) -> Network:
        """Return the network."""
        return network

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Do nothing."""
        yield


class Launched(Alone):
    """One of the processes that Accelerate started. It finds out about the others by itself."""

    def __init__(self, device: str = "auto") -> None:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise UsageError(
                "several processes need Accelerate: pip install 'sonar-llm[train]'"
            ) from None
        self._accelerator = Accelerator(cpu=device == "cpu")
        self.rank = self._accelerator.process_index
        self.count = self._accelerator.num_processes
        self.sharded = "FSDP" in str(self._accelerator.distributed_type)

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        found: torch.device = self._accelerator.device
        return found

    def prepare(self, module: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return both wrapped as the launch asked for, DDP or FSDP."""
        found: tuple[nn.Module, Optimizer] = self._accelerator.prepare(module, optimizer)
        return found

    def syncing(self, module: nn.Module, on: bool) -> AbstractContextManager[Any]:
        """While it is off, a backward pass adds up gradients without exchanging them."""
        return nullcontext() if on else self._accelerator.no_sync(module)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sums of values over all processes."""
        mine = torch.tensor(values, dtype=torch.float64, device="cpu").to(self.device)
        total: Tensor = self._accelerator.reduce(mine, "sum")
        return total.tolist()

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Shorten the gradients to a norm; return the norm that they had."""
        found = self._accelerator.clip_grad_norm_(parameters, norm)
        return float(getattr(found, "full_tensor", lambda: found)())

    def state(self, module: nn.Module, optimizer: Optimizer) -> State:
        """Return `modules` and `optimizer`, gathered where they are divided."""
        if not self.sharded:
            return super().state(self._accelerator.unwrap_model(module), _inner(optimizer))
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        modules, states = get_state_dict(module, _inner(optimizer), options=options)
        return {"modules": modules, "optimizer": states.get("state", {})}

    def load(self, module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        if not self.sharded:
            super().load(self._accelerator.unwrap_model(module), _inner(optimizer), state)
            return
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            get_optimizer_state_dict,
            set_model_state_dict,
            set_optimizer_state_dict,
        )

        options = StateDictOptions(full_state_dict=True)
        inner = _inner(optimizer)
        set_model_state_dict(module, dict(state["modules"]), options=options)
        groups = get_optimizer_state_dict(module, inner, options=options)["param_groups"]
        made = {"state": dict(state["optimizer"]), "param_groups": groups}
        set_optimizer_state_dict(module, inner, made, options=options)

    def whole(self, network: Network) -> Network:
        """Return the network, or a copy of it with the gathered weights where they are divided."""
        if not self.sharded:
            return network
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(network, options=options)
        copy = type(network)(network.config)
        if self.rank == 0:
            copy.load_state_dict(weights)
        return copy.to(self.device).eval()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process through it before the others."""
        with self._accelerator.main_process_first():
            yield


def first_of_launch() -> bool:
    """Tell whether this process is the first, or the only one, of those that were started."""
    return int(os.environ.get("RANK", "0")) == 0


def find_processes(device: str = "auto") -> Processes:
    """Return the processes that this one was started with; itself alone outside of a launch.

    Raises UsageError where several were started and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Launched(device)
    return Alone()


def _inner(optimizer: Any) -> Optimizer:
    """Return torch's optimizer within Accelerate's."""
    found: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found


def _by_name(module: nn.Module, optimizer: Optimizer) -> State:
    """Return the optimizer's state by the names of the parameters."""
    return {
        name: deepcopy(optimizer.state[each])
        for name, each in module.named_parameters()
        if each in optimizer.state
    }


def _load_by_name(module: nn.Module, optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    made = optimizer.state_dict()
    names = {each: name for name, each in module.named_parameters()}
    order = [names[each] for group in optimizer.param_groups for each in group["params"]]
    made["state"] = {number: saved[name] for number, name in enumerate(order) if name in saved}
    optimizer.load_state_dict(made)

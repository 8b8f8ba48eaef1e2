"""One process that trains, or several that share a batch: what they exchange, and who writes.

Several are started with `accelerate launch -m sonar_cli train ...`. Each computes the gradients of
its part of a batch. With DDP every process has all weights and the gradients are averaged; with
FSDP (`--use_fsdp`) the weights, gradients and the optimizer's state are divided among them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sonar_cli.errors import UsageError

Optimizer = torch.optim.Optimizer
State = dict[str, Any]
Network = TypeVar("Network", bound=nn.Module)


class Processes:
    """The processes that run a training: this one alone.

    `rank` is this one's number, `count` how many there are; `sharded` tells that the weights are
    divided among them.
    """

    rank = 0
    count = 1
    sharded = False

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return the module, ready to be trained by all processes; its optimizer comes after."""
        return module

    def syncing(self, module: nn.Module, on: bool) -> AbstractContextManager[Any]:
        """While it is off, a backward pass adds up gradients without exchanging them."""
        return nullcontext()

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sums of values over all processes."""
        return list(values)

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Shorten the gradients to a norm; return the norm that they had."""
        return float(nn.utils.clip_grad_norm_(parameters, norm))

    def state(self, module: nn.Module, optimizer: Optimizer) -> State:
        """Return `modules` and `optimizer` by the parameters' names; the first gets them whole."""
        return {"modules": module.state_dict(), "optimizer": _by_name(module, optimizer)}

    def load(self, module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        module.load_state_dict(state["modules"])
        _load_by_name(module, optimizer, state["optimizer"])

    def whole(self, network: Network) -> Network:
        """Return the network with all its weights."""
        return network

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process through it before the others."""
        yield


class Launched(Processes):
    """One of the processes that Accelerate started. It finds out about the others by itself."""

    def __init__(self, device: str = "auto") -> None:
        try:
            from accelerate import PartialState
        except ImportError:
            raise UsageError(
                "several processes need Accelerate: pip install 'sonar-llm[train]'"
            ) from None
        self._launch = PartialState(cpu=device == "cpu")
        self.rank = self._launch.process_index
        self.count = self._launch.num_processes
        self.sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        found: torch.device = self._launch.device
        return found

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return the module wrapped for DDP, or with its parameters divided for FSDP."""
        if self.sharded:
            return _shard(module, self.device, self.count)
        own = None if self.device.type == "cpu" else [self.device]
        return DistributedDataParallel(module, own)

    def syncing(self, module: nn.Module, on: bool) -> AbstractContextManager[Any]:
        """While it is off, a backward pass adds up gradients without exchanging them."""
        if self.sharded:
            module.set_requires_gradient_sync(on)  # type: ignore[operator]
            return nullcontext()
        return nullcontext() if on else module.no_sync()  # type: ignore[operator]

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sums of values over all processes."""
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(mine)
        return mine.tolist()

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Shorten the gradients to a norm; return the norm that they had."""
        found: Any = nn.utils.clip_grad_norm_(parameters, norm)
        return float(found.full_tensor() if self.sharded else found)

    def state(self, module: nn.Module, optimizer: Optimizer) -> State:
        """Return `modules` and `optimizer`, gathered where they are divided."""
        if not self.sharded:
            return super().state(_inner(module), optimizer)
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        modules, states = get_state_dict(module, optimizer, options=options)
        return {"modules": modules, "optimizer": states.get("state", {})}

    def load(self, module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        if not self.sharded:
            super().load(_inner(module), optimizer, state)
            return
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            get_optimizer_state_dict,
            set_model_state_dict,
            set_optimizer_state_dict,
        )

        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(module, dict(state["modules"]), options=options)
        groups = get_optimizer_state_dict(module, optimizer, options=options)["param_groups"]
        made = {"state": dict(state["optimizer"]), "param_groups": groups}
        set_optimizer_state_dict(module, optimizer, made, options=options)

    def whole(self, network: Network) -> Network:
        """Return the network, or a copy of it with the gathered weights where they are divided."""
        if not self.sharded:
            return network
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True)
        weights = get_model_state_dict(network, options=options)
        copy = type(network)(network.config)
        copy.load_state_dict(weights)
        return copy.to(self.device).train(network.training)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process through it before the others."""
        with self._launch.main_process_first():
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
    return Processes()


def _shard(module: nn.Module, device: torch.device, count: int) -> nn.Module:
    """Divide a module's parameters, a layer at a time, so that one layer at a time is gathered."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (count,))
    stacks = (each for each in module.modules() if isinstance(each, nn.ModuleList))
    for layer in (layer for stack in stacks for layer in stack):
        if any(True for _ in layer.children()):  # a norm by itself is not worth it
            fully_shard(layer, mesh=mesh)
            if hasattr(layer, "forced"):
                register_fsdp_forward_method(layer, "forced")
    fully_shard(module, mesh=mesh)
    return module


def _inner(module: nn.Module) -> nn.Module:
    """Return the module that DDP wraps."""
    found: nn.Module = module.module  # type: ignore[assignment]
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

"""Which of its inputs a subject writes into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from oracle.probing.signal import once
from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.subject import Subject


class _Writes(TorchDispatchMode):
    """Notes in-place writes into copies of the given tensors (a subject is called with copies), also through views."""

    def __init__(self, given: dict[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.owners = {t.untyped_storage().data_ptr(): name for name, t in given.items()}
        self.copied: set[str] = set()
        self.alive: list[Any] = []
        self.written: dict[str, None] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for i, argument in enumerate(func._schema.arguments):
            target = kwargs.get(argument.name, args[i] if i < len(args) else None)
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(target, Tensor):
                owner = self.owners.get(target.untyped_storage().data_ptr())
                if owner is not None:
                    self.written[owner] = None
        out = func(*args, **kwargs)
        if func._schema.name == "aten::clone" and isinstance(out, Tensor):
            owner = self.owners.get(args[0].untyped_storage().data_ptr())
            # only the first copy is the subject's own argument; what the subject clones is its own to write into
            if owner is not None and owner not in self.copied:
                self.copied.add(owner)
                self.owners[out.untyped_storage().data_ptr()] = owner
            self.alive.append(out)  # an address must not be used again
        return out


def overwritten(subject: Subject, batch: Batch) -> tuple[str, ...]:
    """The parameters of reference, sampler and mask that one call writes into.

    The policy's log-probabilities are computed anew for each step and may be written into.
    """
    fresh = replace(
        batch, reference=batch.reference.clone(), sampler=batch.sampler.clone(), mask=batch.mask.clone(),
        advantages=batch.advantages.clone(),
    )  # fmt: skip
    tensors = {
        Role.REFERENCE: fresh.reference,
        Role.SAMPLER: fresh.sampler,
        Role.MASK: fresh.mask,
        Role.ADVANTAGES: fresh.advantages,
        Role.REWARDS: fresh.advantages,
    }
    given = {subject.binding.roles[r]: t for r, t in tensors.items() if r in subject.binding.roles}
    with _Writes(given) as writes:
        once(subject, subject.placements[0], fresh)
    return tuple(writes.written)

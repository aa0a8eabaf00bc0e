"""Adapters that misbehave, for the tests of the worker that runs them."""

import os
import sys
import time

import torch

from gpu_checks.backends.triton_adapter import Adapter, to_numpy
from gpu_checks.subject import Result


def _unwritten(modules, batch, settings):
    memory = torch.empty(3), torch.empty((3, 4), dtype=torch.bfloat16)
    return Result(*(to_numpy(tensor) for tensor in memory))


def _crash(modules, batch, settings):
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)


def _hang(modules, batch, settings):
    time.sleep(60)


def _fail(modules, batch, settings):
    raise KeyError("no such thing")


UNWRITTEN = Adapter((), _unwritten, {})
CRASH = Adapter((), _crash, {})
HANG = Adapter((), _hang, {})
FAIL = Adapter(("json.decoder", "json.encoder"), _fail, {"beta": 1.0})

"""Attempts end in time, nested or not, and where no clock can be set."""

import signal
import threading
import time

import pytest
import sympy as sp

from proofs.patience import Budget, TimeIsUp, at_most
from proofs.symbols import L


def work():
    while True:
        sp.expand((1 + L) ** 9 * (2 - L) ** 9)


def test_an_attempt_ends_and_the_clock_is_put_back():
    before = signal.getsignal(signal.SIGALRM)
    begun = time.monotonic()
    with pytest.raises(TimeIsUp), at_most(0.05):
        work()
    assert time.monotonic() - begun < 2
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    with at_most(5.0):
        assert sp.expand(L * (L + 1)) == L**2 + L
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_the_outer_limit_holds_inside():
    def attempts():
        while True:
            try:
                with at_most(60.0):
                    work()
            except TimeIsUp:
                sp.expand(L)

    begun = time.monotonic()
    with pytest.raises(TimeIsUp), at_most(0.1):
        attempts()
    assert time.monotonic() - begun < 5


def test_without_a_clock_no_attempt_that_may_never_end():
    outcomes = []

    def elsewhere():
        try:
            with at_most(1.0):
                outcomes.append("ran")
        except TimeIsUp:
            outcomes.append("refused")
        with at_most(1.0, untimed=True):
            outcomes.append("ran untimed")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert outcomes == ["refused", "ran untimed"]


def test_a_budget_is_shared():
    budget = Budget(0.1)
    assert budget.attempt(1.0, lambda: 3, None) == 3
    assert budget.attempt(1.0, work, "late") == "late"
    assert budget.attempt(1.0, lambda: 3, "spent") == "spent"

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
    before = signal.getsignal(signal.SIGPROF)
    begun = time.process_time()
    with pytest.raises(TimeIsUp), at_most(0.05):
        work()
    assert time.process_time() - begun < 2
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
    with at_most(5.0):
        assert sp.expand(L * (L + 1)) == L**2 + L
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_the_outer_limit_holds_inside():
    def attempts():
        while True:
            try:
                with at_most(60.0):
                    work()
            except TimeIsUp:
                sp.expand(L)

    begun = time.process_time()
    with pytest.raises(TimeIsUp), at_most(0.1):
        attempts()
    assert time.process_time() - begun < 5


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


def test_time_spent_waiting_does_not_count():
    with at_most(0.05):
        time.sleep(0.3)
        assert sp.expand(L * (L + 1)) == L**2 + L

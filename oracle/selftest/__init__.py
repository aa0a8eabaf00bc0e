"""The permanent catalogue: losses with one planted fault each, their correct twins, and losses without a fault.

``kl-oracle selftest`` judges it and prints the tool's error rates (``run``). One module a family in ``faults`` and in
``correct``; ``catalogue`` has it all. Expectations do not come from the tool: they are held against gradients taken
from the definitions (oracle/trust/definition.py).
"""

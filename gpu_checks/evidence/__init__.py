"""Evidence of a machine with a GPU: collected there, committed here as JSON, held against the oracle on any CPU.

    python -m gpu_checks.on_device                    # on a machine with a device: writes gpu_checks/evidence/*.json
    for path in evidence_files():
        evidence = read(path)
        print(evidence.device.name, stale(evidence), rederive(evidence).problems)

A file says which sources it is evidence of, by their hashes; `stale` names those that have changed since. Where there
is no file, nothing has run on a device, and `said` says NOT_RUN.
"""

from gpu_checks.evidence.collecting import Machine, collect, this_machine
from gpu_checks.evidence.reading import EvidenceError, evidence_files, read, said, stale, write
from gpu_checks.evidence.records import SCHEMA, Device, Evidence, Observation, Timing, UlpError
from gpu_checks.evidence.rederiving import Rederived, rederive

__all__ = [
    "SCHEMA",
    "Device",
    "Evidence",
    "EvidenceError",
    "Machine",
    "Observation",
    "Rederived",
    "Timing",
    "UlpError",
    "collect",
    "evidence_files",
    "read",
    "rederive",
    "said",
    "stale",
    "this_machine",
    "write",
]

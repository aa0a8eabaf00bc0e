"""The tests mirror the packages: tests/proofs, tests/oracle, tests/gpu_checks."""

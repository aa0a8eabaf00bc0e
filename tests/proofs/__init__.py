"""Tests of the package `proofs`."""

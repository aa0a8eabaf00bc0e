"""Losses with one planted fault each, and their correct twins: one module a family."""

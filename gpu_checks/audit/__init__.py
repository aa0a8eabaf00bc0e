"""Holds a kernel against derived bounds, and says what ran where."""

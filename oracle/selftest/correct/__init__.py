"""Losses and penalties without a fault, in the styles of different libraries and hands."""

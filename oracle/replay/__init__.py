"""Replay: the smallest case of each failure, saved, repeated bit for bit, and written as a script of its own."""

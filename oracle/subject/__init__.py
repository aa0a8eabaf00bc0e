"""Subjects: what a target names, how its parameters take roles, and how it is called."""

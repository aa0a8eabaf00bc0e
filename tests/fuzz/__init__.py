"""Fuzzing: what a user can type or write into a file never ends in a traceback. ``make fuzz`` draws 20,000 and more."""

"""Whole answers: two SymPy paths that share no code, one by reduction rules, one with every sum written out."""

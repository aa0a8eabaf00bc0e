"""Reading: the gradient of a torch loss as formulas, by mirroring every operator while the loss runs on numbers.

The mirror keeps a shadow of the memory: for each storage that holds something symbolic, one SymPy expression an
element. A tensor is a strided window on it, so views, aliases and in-place writes need no rule of their own; only
operators that compute new values do (``operators/``). What no rule covers is decomposed by torch's own decompositions,
or becomes an unknown that spreads to all that is computed from it and is reported by its first cause.
"""

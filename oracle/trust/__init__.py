"""Trust: the tool's own error rate, measured on random correct programs whose verdict is known.

``python -m oracle.trust`` writes programs from a grammar (estimator x placement x correction x aggregation x dtype x
coding style), judges each, and holds the verdict against two answers that do not come from the engine: the closed form
of ``proofs`` for the form that the grammar chose (``grammar``), and the gradients of the divergences by their
definitions, by automatic differentiation (``definition``).
"""

"""SMT solvers: a statement's negation as SMT-LIB text, which z3 and cvc5 both read.

Unsat proves. The texts of what is proved are committed under proofs/smt, for any solver to check. Nothing
is imported here: the processes that the solvers run in need no SymPy.
"""

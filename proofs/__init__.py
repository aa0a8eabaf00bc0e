"""What is true: the calculus of KL estimators, forms and objectives, in SymPy alone.

Read in this order: `symbols` (the alphabet), `estimators` and `forms` (what code may write),
`calculus` (what its gradient is), `master_lemma` (when two gradients are equal), `divergences`
(which objective has that gradient), `sequences` (the same over whole answers), `lowering`
(numeric code printed from the same formulas) and `derivation` (all of it for one estimator).

Importing this package imports nothing else; each module imports SymPy when it is needed.
"""

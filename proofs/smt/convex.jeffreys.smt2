; convex.jeffreys
; unsat means: the expression is positive there, and zero at the declared zeros alone (0 < u < oo)
(set-logic QF_NRA)
(declare-const u Real)
(assert (> u 0.0))
(assert (not (> (+ u 1.0) 0.0)))
(check-sat)

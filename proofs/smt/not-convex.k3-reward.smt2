; not-convex.k3-reward
; unsat means: the expression is positive there, and zero at the declared zeros alone (0 < u < 1)
(set-logic QF_NRA)
(declare-const u Real)
(assert (> u 0.0))
(assert (> (+ 1.0 (* u (- 1.0))) 0.0))
(assert (not (> (* (- 1.0) (+ u (- 1.0))) 0.0)))
(check-sat)

; stiffness.inverted-k3-loss
; unsat means: the derivative has that value there (L = 0)
(set-logic QF_NRA)
(assert (not (= 1.0 1.0)))
(check-sat)

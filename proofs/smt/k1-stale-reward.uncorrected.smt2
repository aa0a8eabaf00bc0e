; k1-stale-reward.uncorrected
; unsat means: on any two tokens the slopes of left and right differ by the same number (any vocabulary)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

; k2-reward.detached
; unsat means: on any two tokens the slopes of left and right differ by the same number (any vocabulary)
(set-logic QF_NRA)
(assert (not (= 1.0 1.0)))
(check-sat)

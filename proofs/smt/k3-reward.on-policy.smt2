; k3-reward.on-policy
; unsat means: on any two tokens the slopes of left and right differ by the same number (any vocabulary)
(set-logic QF_NRA)
(assert (not (= (- 2.0) (- 2.0))))
(check-sat)

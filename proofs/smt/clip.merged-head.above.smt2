; clip.merged-head.above
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

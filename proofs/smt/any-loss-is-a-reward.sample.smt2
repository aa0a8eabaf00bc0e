; any-loss-is-a-reward.sample
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const DK_of_0 Real)
(declare-const p Real)
(assert (> p 0.0))
(assert (not (= DK_of_0 DK_of_0)))
(check-sat)

; clip.separate-heads.above
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const p Real)
(assert (> p 0.0))
(assert (not (= (/ 13.0 25.0) (/ 13.0 25.0))))
(check-sat)

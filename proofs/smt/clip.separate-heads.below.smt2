; clip.separate-heads.below
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const p Real)
(assert (> p 0.0))
(assert (not (= (/ (- 7.0) 10.0) (/ (- 7.0) 10.0))))
(check-sat)

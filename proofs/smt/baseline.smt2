; baseline
; unsat means: on any two tokens the slopes of left and right differ by the same number (any vocabulary)
(set-logic QF_NRA)
(declare-const c Real)
(assert (not (= c c)))
(check-sat)

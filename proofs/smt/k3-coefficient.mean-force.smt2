; k3-coefficient.mean-force
; unsat means: the sides are equal for all values of the symbols (every real value)
(set-logic QF_NRA)
(declare-const p Real)
(assert (> p 0.0))
(declare-const q Real)
(assert (> q 0.0))
(assert (not (= (* p (+ p (* q (- 1.0)))) (* (+ p (* q (- 1.0))) p))))
(check-sat)

; k3-as-loss.sample
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const p Real)
(assert (> p 0.0))
(declare-const q Real)
(assert (> q 0.0))
(assert (not (= (+ p (* q (- 1.0))) (+ p (* q (- 1.0))))))
(check-sat)

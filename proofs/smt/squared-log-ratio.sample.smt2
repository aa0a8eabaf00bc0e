; squared-log-ratio.sample
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const log_p Real)
(declare-const log_q Real)
(declare-const p Real)
(assert (> p 0.0))
(assert (not (= (* 2.0 (+ log_p (* log_q (- 1.0)))) (+ (* 2.0 log_p) (* log_q (- 2.0))))))
(check-sat)

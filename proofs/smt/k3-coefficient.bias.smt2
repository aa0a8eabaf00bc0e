; k3-coefficient.bias
; unsat means: the sides are equal for all values of the symbols (every real value)
(set-logic QF_NRA)
(declare-const delta Real)
(assert (> delta 0.0))
(declare-const log_delta Real)
(assert (not (= (+ delta (- 1.0) (* (- 1.0) log_delta)) (+ delta (- 1.0) (* (- 1.0) log_delta)))))
(check-sat)

; sequence.length-normalised-k1
; unsat means: moving any node moves left and right alike (T = 2, V = 2 with an end token, any sampler)
(set-logic QF_NRA)
(assert (not (= (/ 1.0 2.0) (/ 1.0 2.0))))
(check-sat)
(reset)
(set-logic QF_NRA)
(assert (not (= 0.0 0.0)))
(check-sat)

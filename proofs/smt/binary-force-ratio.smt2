; binary-force-ratio
; unsat means: the sides are equal for all values of the symbols (every real value)
(set-logic QF_NRA)
(declare-const exp_z Real)
(assert (> exp_z 0.0))
(declare-const z Real)
(assert (distinct (+ (/ (- 1.0) 2.0) (* (* exp_z (/ 1.0 2.0)) exp_z)) 0.0))
(assert (not (= (* (* z exp_z (+ exp_z (* (/ (- 1.0) 2.0) (+ 1.0 exp_z)))) (+ 1.0 exp_z)) (* (* z exp_z (+ (+ 1.0 exp_z) (* exp_z (- 1.0)))) (+ (/ (- 1.0) 2.0) (* (* exp_z (/ 1.0 2.0)) exp_z))))))
(check-sat)

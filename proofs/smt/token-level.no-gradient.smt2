; token-level.no-gradient
; unsat means: the number is positive (this instance)
(set-logic QF_NRA)
(declare-const log_3 Real)
(assert (<= (/ 12532469231803095037980462765489761734688.0 11407545101281095805920660495758056640625.0) log_3))
(assert (<= log_3 (/ 145376643088916052036051172637031853441849.0 132327523174860711348679661750793457031250.0)))
(assert (not (> (* log_3 (/ 1.0 24.0)) 0.0)))
(check-sat)

(** Near the reference every penalty is its coefficient's slope times the Fisher matrix; fixed points with a reward. *)
From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Estimators Softmax.
Open Scope R_scope.

Section Jacobian.
Variable n : nat.
Variable theta : nat -> R.
Variable j : nat.
Hypothesis j_in : (j <= n)%nat.
Variable q : nat -> R.
Variables (c : R -> R) (slope t : R).
Hypothesis c_der : is_derive c 0 slope.
Let p := softmax n theta j.
Hypothesis at_reference : forall i, q i = p i t.
(** Coordinate k of the expected gradient, as logit j moves. *)
Let field_of k u := p k u * (c (log_ratio p q k u) - S n (fun i => p i u * c (log_ratio p q i u))).

(* kl-oracle: stiffness.is-fisher *)
Theorem stiffness_is_fisher k : is_derive (field_of k) t (slope * (p k t * (delta j k - p j t))).
Proof.
  assert (P : forall i u, 0 < p i u) by (intros; apply softmax_pos).
  assert (D : forall i u, is_derive (p i) u (dsoftmax n theta j i u)) by (intros; now apply softmax_derive).
  assert (Z : forall i, log_ratio p q i t = 0) by (intro i; unfold log_ratio; rewrite at_reference; ring).
  assert (C : forall i, is_derive (fun u => c (log_ratio p q i u)) t (slope * (delta j i - p j t))).
  { intro i. evar_last.
    - apply (is_derive_comp c (log_ratio p q i)).
      + rewrite Z. exact c_der.
      + apply (log_ratio_derive p (dsoftmax n theta j) q P D).
    - unfold scal; simpl; unfold mult; simpl. unfold p. rewrite softmax_score. ring. }
  assert (M : is_derive (fun u => S n (fun i => p i u * c (log_ratio p q i u))) t 0).
  { evar_last.
    - apply S_derive. intro i. apply (is_derive_mult (p i) (fun u => c (log_ratio p q i u))).
      apply D. apply C. intros; apply Rmult_comm.
    - unfold plus, mult; simpl.
      rewrite (S_ext _ _ (fun i => (c 0 + slope) * (delta j i * p i t) - ((c 0 + slope) * p j t) * p i t)).
      + rewrite S_minus, !S_scal, (S_delta n j j_in). unfold p at 3. rewrite softmax_sum. ring.
      + intro i. rewrite Z. unfold dsoftmax, p. ring. }
  evar_last.
  - unfold field_of. apply (is_derive_mult (p k)). apply D.
    + apply (is_derive_minus (fun u => c (log_ratio p q k u))). apply C. exact M.
    + intros; apply Rmult_comm.
  - unfold plus, mult, minus, opp; simpl. unfold plus; simpl. rewrite Z.
    rewrite (S_ext _ _ (fun i => c 0 * p i t)) by (intro i; rewrite Z; ring).
    rewrite S_scal. change (S n (fun i => p i t)) with (S n (fun i => softmax n theta j i t)).
    rewrite softmax_sum. ring.
Qed.
End Jacobian.

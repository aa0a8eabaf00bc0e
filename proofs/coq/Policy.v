(** One token: any differentiable full-support policy  t |-> p_i(t)  over any finite vocabulary.
    A real parameter t is one direction in the space of parameters. *)
From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums.
Open Scope R_scope.

Section AnyPolicy.
Variable n : nat.
Variables p dp : nat -> R -> R.
Variable q : nat -> R.
Hypothesis p_pos : forall i t, 0 < p i t.
Hypothesis p_sum : forall t, S n (fun i => p i t) = 1.
Hypothesis p_der : forall i t, is_derive (p i) t (dp i t).
Hypothesis q_pos : forall i, 0 < q i.

(** L = log(policy/reference), and the score. *)
Definition log_ratio i t := ln (p i t) - ln (q i).
Definition score i t := dp i t / p i t.

Lemma p_neq0 i t : p i t <> 0.
Proof. apply Rgt_not_eq, p_pos. Qed.
Lemma log_policy_derive i t : is_derive (fun u => ln (p i u)) t (score i t).
Proof.
  unfold score. evar_last.
  - apply (is_derive_comp ln (p i)). apply is_derive_ln, p_pos. apply p_der.
  - unfold scal; simpl; unfold mult; simpl. field. apply p_neq0.
Qed.
Lemma log_ratio_derive i t : is_derive (log_ratio i) t (score i t).
Proof.
  unfold log_ratio. evar_last.
  - apply (is_derive_minus (fun u => ln (p i u)) (fun _ => ln (q i))).
    apply log_policy_derive. apply is_derive_const.
  - unfold minus, plus, opp, zero; simpl. ring.
Qed.

(** ** The score identity, from normalisation alone *)
Lemma dp_sum t : S n (fun i => dp i t) = 0.
Proof.
  pose proof (S_derive n p t (fun i => dp i t) (fun i => p_der i t)) as H.
  apply is_derive_unique in H. rewrite <- H.
  rewrite (Derive_ext _ (fun _ => 1)); [apply Derive_const | exact p_sum].
Qed.
Theorem score_identity t : S n (fun i => p i t * score i t) = 0.
Proof. rewrite <- (dp_sum t). apply S_ext. intro i. unfold score. field. apply p_neq0. Qed.
Theorem baseline t b : S n (fun i => p i t * (b * score i t)) = 0.
Proof.
  rewrite (S_ext _ _ (fun i => b * (p i t * score i t))) by (intros; ring).
  rewrite S_scal, score_identity. ring.
Qed.

(** ** Placements and divergences; t0 is where the token was drawn, the detached side *)
Definition as_loss (f : R -> R) (t0 t : R) := S n (fun i => p i t0 * f (log_ratio i t)).
Definition in_reward (f : R -> R) (t0 t : R) := S n (fun i => p i t0 * (f (log_ratio i t0) * ln (p i t))).
Definition coefficient (c : R -> R) t := S n (fun i => p i t * (c (log_ratio i t) * score i t)).
Definition mean (f : R -> R) t := S n (fun i => p i t * f (log_ratio i t)).
Definition reverse_kl t := S n (fun i => p i t * log_ratio i t).
Definition forward_kl t := S n (fun i => q i * (ln (q i) - ln (p i t))).
Definition f_divergence (g : R -> R) t := S n (fun i => q i * g (p i t / q i)).

Theorem as_loss_gradient f df t :
  (forall x, is_derive f x (df x)) -> is_derive (as_loss f t) t (coefficient df t).
Proof.
  intro Hf. apply S_derive. intro i. evar_last.
  - apply (is_derive_scal (fun u => f (log_ratio i u))).
    apply (is_derive_comp f (log_ratio i)). apply Hf. apply log_ratio_derive.
  - unfold scal; simpl; unfold mult; simpl. ring.
Qed.
Theorem in_reward_gradient f t : is_derive (in_reward f t) t (coefficient f t).
Proof.
  apply S_derive. intro i.
  apply (is_derive_scal (fun u => f (log_ratio i t) * ln (p i u))).
  apply (is_derive_scal (fun u => ln (p i u))). apply log_policy_derive.
Qed.
Theorem mean_gradient f df t :
  (forall x, is_derive f x (df x)) -> is_derive (mean f) t (coefficient (fun x => f x + df x) t).
Proof.
  intro Hf. apply S_derive. intro i. evar_last.
  - apply (is_derive_mult (p i) (fun u => f (log_ratio i u))).
    + apply p_der.
    + apply (is_derive_comp f (log_ratio i)). apply Hf. apply log_ratio_derive.
    + intros; apply Rmult_comm.
  - unfold plus, mult, scal; simpl; unfold mult, score; simpl. field. apply p_neq0.
Qed.
Lemma coefficient_ext c c' t : (forall x, c x = c' x) -> coefficient c t = coefficient c' t.
Proof. intro H. apply S_ext. intro i. now rewrite H. Qed.
Theorem coefficient_baseline c b t : coefficient (fun x => c x + b) t = coefficient c t.
Proof.
  unfold coefficient.
  rewrite (S_ext _ _ (fun i => p i t * (c (log_ratio i t) * score i t) + p i t * (b * score i t))) by (intros; ring).
  rewrite S_plus, baseline. ring.
Qed.
Lemma coefficient_minus c c' t : coefficient (fun x => c x - c' x) t = coefficient c t - coefficient c' t.
Proof. unfold coefficient. rewrite <- S_minus. apply S_ext. intro i. ring. Qed.

(** ** The correspondence: coefficient c is the gradient of the f-divergence with g'(u) = c(log u) *)
Lemma log_quotient i t : ln (p i t / q i) = log_ratio i t.
Proof. unfold log_ratio, Rdiv. rewrite ln_mult, ln_Rinv; auto using Rinv_0_lt_compat. Qed.
Lemma quotient_pos i t : 0 < p i t / q i.
Proof. apply Rdiv_lt_0_compat; auto. Qed.
Theorem f_divergence_gradient g c t :
  (forall u, 0 < u -> is_derive g u (c (ln u))) -> is_derive (f_divergence g) t (coefficient c t).
Proof.
  intro Hg. apply S_derive. intro i. evar_last.
  - apply (is_derive_scal (fun u => g (p i u / q i))).
    apply (is_derive_comp g (fun u => p i u / q i)).
    + apply Hg, quotient_pos.
    + apply (is_derive_ext (fun u => / q i * p i u)). { intro; apply Rmult_comm. }
      apply (is_derive_scal (p i)). apply p_der.
  - rewrite log_quotient. unfold scal, score; simpl; unfold mult; simpl. field.
    split; apply Rgt_not_eq, Rlt_gt; auto.
Qed.

(** ** The two directions *)
Theorem reverse_kl_gradient t : is_derive reverse_kl t (coefficient (fun x => x) t).
Proof.
  rewrite <- (coefficient_baseline _ 1).
  apply (mean_gradient (fun x => x) (fun _ => 1)). intro x. apply @is_derive_id.
Qed.
Lemma exp_opp_log_ratio i t : exp (- log_ratio i t) = q i / p i t.
Proof.
  unfold log_ratio. replace (- (ln (p i t) - ln (q i))) with (ln (q i) + - ln (p i t)) by ring.
  rewrite exp_plus, exp_ln, exp_Ropp, exp_ln; auto.
Qed.
Theorem forward_kl_gradient t : is_derive forward_kl t (coefficient (fun x => 1 - exp (- x)) t).
Proof.
  evar_last.
  - apply S_derive. intro i. apply (is_derive_scal (fun u => ln (q i) - ln (p i u))).
    apply (is_derive_minus (fun _ => ln (q i)) (fun u => ln (p i u))).
    apply is_derive_const. apply log_policy_derive.
  - unfold minus, plus, opp, zero, coefficient; simpl.
    rewrite (S_ext _ (fun i => p i t * ((1 - exp (- log_ratio i t)) * score i t))
       (fun i => p i t * (1 * score i t) + q i * (0 + - score i t))).
    + rewrite S_plus, baseline. ring.
    + intro i. rewrite exp_opp_log_ratio. field. apply p_neq0.
Qed.
End AnyPolicy.

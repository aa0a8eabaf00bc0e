(** The softmax policy is an instance, and the master lemma in logit coordinates. *)
From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Estimators.
Open Scope R_scope.

(** Logit k moves, the others stay where theta puts them. *)
Section Softmax.
Variable n : nat.
Variable theta : nat -> R.
Variable k : nat.
Hypothesis k_in : (k <= n)%nat.
Definition logit t i := if Nat.eqb i k then t else theta i.
Definition delta i : R := if Nat.eqb i k then 1 else 0.
Definition partition t := S n (fun i => exp (logit t i)).
Definition softmax i t := exp (logit t i) / partition t.
Definition dsoftmax i t := softmax i t * (delta i - softmax k t).

Lemma partition_pos t : 0 < partition t.
Proof. apply S_positive. intro; apply exp_pos. Qed.
Lemma logit_derive i t : is_derive (fun u => logit u i) t (delta i).
Proof. unfold logit, delta. destruct (Nat.eqb i k). apply @is_derive_id. apply @is_derive_const. Qed.
Lemma numerator_derive i t : is_derive (fun u => exp (logit u i)) t (delta i * exp (logit t i)).
Proof. apply (is_derive_comp exp (fun u => logit u i)). apply is_derive_exp. apply logit_derive. Qed.
Lemma S_delta_upto m a : S m (fun i => delta i * a i) = if Nat.leb k m then a k else 0.
Proof.
  unfold delta. induction m as [|m IH].
  - rewrite S_0. destruct (Nat.eqb_spec 0 k), (Nat.leb_spec k 0); try lia; subst; simpl; ring.
  - rewrite S_next, IH.
    destruct (Nat.eqb_spec (Datatypes.S m) k), (Nat.leb_spec k m), (Nat.leb_spec k (Datatypes.S m));
      try lia; subst; simpl; try ring.
Qed.
Lemma S_delta a : S n (fun i => delta i * a i) = a k.
Proof. rewrite S_delta_upto. now rewrite (proj2 (Nat.leb_le k n) k_in). Qed.
Lemma partition_derive t : is_derive partition t (exp (logit t k)).
Proof.
  evar_last. { apply S_derive. intro i. apply numerator_derive. }
  apply (S_delta (fun i => exp (logit t i))).
Qed.
Lemma softmax_pos i t : 0 < softmax i t.
Proof. apply Rdiv_lt_0_compat. apply exp_pos. apply partition_pos. Qed.
Lemma softmax_sum t : S n (fun i => softmax i t) = 1.
Proof.
  unfold softmax. rewrite (S_ext _ _ (fun i => / partition t * exp (logit t i))) by (intros; unfold Rdiv; ring).
  rewrite S_scal. fold (partition t). field. apply Rgt_not_eq, partition_pos.
Qed.
(** d p_i / d theta_k = p_i (1[i=k] - p_k) *)
Theorem softmax_derive i t : is_derive (softmax i) t (dsoftmax i t).
Proof.
  evar_last.
  - apply (is_derive_div (fun u => exp (logit u i)) partition).
    apply numerator_derive. apply partition_derive. apply Rgt_not_eq, partition_pos.
  - unfold dsoftmax, softmax, delta, logit. simpl. field. apply Rgt_not_eq, partition_pos.
Qed.
Lemma softmax_score i t : score softmax dsoftmax i t = delta i - softmax k t.
Proof. unfold score, dsoftmax. field. apply Rgt_not_eq, softmax_pos. Qed.

(** ** The master lemma: E_policy[c s]_k = p_k (c_k - E_policy[c]) *)

(* kl-oracle: master-lemma *)
Theorem master_lemma (c : nat -> R) t :
  S n (fun i => softmax i t * (c i * score softmax dsoftmax i t)) =
  softmax k t * (c k - S n (fun i => softmax i t * c i)).
Proof.
  rewrite (S_ext _ _ (fun i => delta i * (softmax i t * c i) - softmax k t * (softmax i t * c i))).
  - rewrite S_minus, S_delta, (S_scal n (softmax k t)). ring.
  - intro i. rewrite softmax_score. ring.
Qed.

Variable q : nat -> R.
Hypothesis q_pos : forall i, 0 < q i.
Lemma coefficient_softmax c t :
  coefficient n softmax dsoftmax q c t =
  softmax k t * (c (log_ratio softmax q k t) - S n (fun i => softmax i t * c (log_ratio softmax q i t))).
Proof. exact (master_lemma (fun i => c (log_ratio softmax q i t)) t). Qed.

(** ** Closed forms of the divergences' gradients *)

(* kl-oracle: closed-form.reverse_kl *)
Theorem closed_form_reverse_kl t :
  is_derive (reverse_kl n softmax q) t (softmax k t * (log_ratio softmax q k t - reverse_kl n softmax q t)).
Proof.
  evar_last. { apply (reverse_kl_gradient n softmax dsoftmax q softmax_pos softmax_sum softmax_derive). }
  apply (coefficient_softmax (fun x => x)).
Qed.

(* kl-oracle: closed-form.forward_kl *)
Theorem closed_form_forward_kl t : S n q = 1 -> is_derive (forward_kl n softmax q) t (softmax k t - q k).
Proof.
  intro Hq. evar_last.
  { apply (forward_kl_gradient n softmax dsoftmax q softmax_pos softmax_sum softmax_derive q_pos). }
  rewrite (coefficient_softmax dk3).
  assert (E : forall i, softmax i t * dk3 (log_ratio softmax q i t) = softmax i t - q i).
  { intro i. unfold dk3. rewrite (exp_opp_log_ratio softmax q softmax_pos q_pos). field.
    apply Rgt_not_eq, softmax_pos. }
  rewrite (S_ext n (fun i => softmax i t * dk3 (log_ratio softmax q i t)) (fun i => softmax i t - q i)) by exact E.
  rewrite S_minus, Hq, softmax_sum, Rmult_minus_distr_l, E. ring.
Qed.

Definition chi2_half t := S n (fun i => (softmax i t - q i) * (softmax i t - q i) / q i) / 2.
(* kl-oracle: closed-form.chi2_half *)
Theorem closed_form_chi2_half t :
  is_derive chi2_half t
    (softmax k t * (softmax k t / q k - S n (fun i => softmax i t * (softmax i t / q i)))).
Proof.
  apply (is_derive_ext (f_divergence n softmax q (fun u => (u - 1) * (u - 1) / 2))).
  - intro u. unfold f_divergence, chi2_half.
    transitivity (/ 2 * S n (fun i => (softmax i u - q i) * (softmax i u - q i) / q i)); [|apply Rmult_comm].
    rewrite <- S_scal. apply S_ext. intro i. field. apply Rgt_not_eq, q_pos.
  - evar_last.
    + apply (f_divergence_gradient n softmax dsoftmax q softmax_pos softmax_derive q_pos _ (fun x => exp x - 1)).
      intros u Hu. rewrite exp_ln by exact Hu. auto_derive; [exact I | field].
    + rewrite (coefficient_baseline n softmax dsoftmax q softmax_pos softmax_sum softmax_derive exp (-1)).
      rewrite coefficient_softmax.
      assert (E : forall i, exp (log_ratio softmax q i t) = softmax i t / q i).
      { intro i. rewrite <- (log_quotient softmax q softmax_pos q_pos). apply exp_ln.
        apply quotient_pos; [apply softmax_pos | apply q_pos]. }
      rewrite E. f_equal. f_equal. apply S_ext. intro i. now rewrite E.
Qed.
End Softmax.

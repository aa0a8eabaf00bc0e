(** k3's coefficient 1 - exp(-L): bounds, its bias, its first orders, and which generators are convex. *)
From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Estimators.
Open Scope R_scope.

Theorem k3_nonnegative x : 0 <= k3 x.
Proof.
  unfold k3. destruct (Req_dec x 0) as [->|H]. rewrite Ropp_0, exp_0; lra.
  assert (N : - x <> 0) by (intro; apply H; lra). pose proof (exp_ineq1 (- x) N). lra.
Qed.
(** The bias of the coefficient against L is k3 itself. *)
Theorem k3_coefficient_bias x : x - dk3 x = k3 x.
Proof. unfold dk3, k3. ring. Qed.
Theorem k3_coefficient_le x : dk3 x <= x.
Proof. pose proof (k3_nonnegative x). unfold k3, dk3 in *. lra. Qed.
Theorem k3_coefficient_eq x : dk3 x = x <-> x = 0.
Proof.
  unfold dk3. split; intro H.
  - destruct (Req_dec x 0) as [|N]; auto.
    assert (N' : - x <> 0) by (intro; apply N; lra). pose proof (exp_ineq1 (- x) N'). lra.
  - subst. rewrite Ropp_0, exp_0. ring.
Qed.
Theorem k3_coefficient_bounded x : dk3 x < 1.
Proof. unfold dk3. pose proof (exp_pos (- x)). lra. Qed.
Theorem k3_coefficient_unbounded b : exists x, dk3 x < b.
Proof.
  unfold dk3. exists (- (1 + Rabs b)). rewrite Ropp_involutive. pose proof (Rabs_pos b).
  assert (N : 1 + Rabs b <> 0) by lra. pose proof (exp_ineq1 (1 + Rabs b) N).
  pose proof (Rle_abs (- b)). rewrite Rabs_Ropp in *. lra.
Qed.
Theorem k3_coefficient_asymmetric x : 0 < x -> dk3 x < x < - dk3 (- x).
Proof.
  intro H. unfold dk3. rewrite Ropp_involutive.
  assert (N : x <> 0) by lra. assert (N' : - x <> 0) by lra.
  pose proof (exp_ineq1 x N). pose proof (exp_ineq1 (- x) N'). lra.
Qed.

(** ** Second order: L - L^2/2 against the coefficient *)
Let gap x := dk3 x - x + x * x / 2.
Lemma gap_derive x : is_derive gap x (k3 x).
Proof. unfold gap, dk3, k3. auto_derive; [exact I | field]. Qed.
Lemma gap_mean_value x : exists c, gap x = k3 c * x.
Proof.
  destruct (MVT_gen gap 0 x k3) as [c [_ E]].
  - intros; apply gap_derive.
  - intros y _. apply continuity_pt_filterlim. apply (ex_derive_continuous (K := R_AbsRing) (V := R_NormedModule)).
    eexists; apply gap_derive.
  - exists c. assert (Z : gap 0 = 0) by (unfold gap, dk3; rewrite Ropp_0, exp_0; field). rewrite Z in E. lra.
Qed.
Theorem k3_coefficient_second_order_above x : 0 <= x -> x - x * x / 2 <= dk3 x <= x.
Proof.
  intro Hx. split; [|apply k3_coefficient_le].
  destruct (gap_mean_value x) as [c E]. pose proof (k3_nonnegative c). unfold gap in E. nra.
Qed.
Theorem k3_coefficient_second_order_below x : x <= 0 -> dk3 x <= x - x * x / 2.
Proof. intro Hx. destruct (gap_mean_value x) as [c E]. pose proof (k3_nonnegative c). unfold gap in E. nra. Qed.

(** ** Stiffness: the coefficient's slope where policy = reference *)
Theorem k3_coefficient_slope x : is_derive dk3 x (exp (- x)).
Proof. unfold dk3. auto_derive; [exact I | ring]. Qed.
Theorem stiff_k2_loss : is_derive (fun x => x) 0 1.
Proof. apply @is_derive_id. Qed.
Theorem stiff_k3_loss : is_derive dk3 0 1.
Proof. evar_last. apply k3_coefficient_slope. now rewrite Ropp_0, exp_0. Qed.
Theorem limp_k1_loss : is_derive (fun _ : R => 1) 0 0.
Proof. apply @is_derive_const. Qed.
Theorem limp_k2_reward : is_derive k2 0 0.
Proof. apply k2_derive. Qed.
Theorem limp_k3_reward : is_derive k3 0 0.
Proof. evar_last. apply k3_derive. unfold dk3. rewrite Ropp_0, exp_0. ring. Qed.

(** ** Generators: f'(u) = c(log u), so f''(u) = c'(log u)/u *)

(* kl-oracle: convexity.criterion *)
Theorem convexity_criterion g dg c dc u :
  (forall v, 0 < v -> is_derive g v (dg v)) -> (forall v, 0 < v -> dg v = c (ln v)) ->
  is_derive c (ln u) dc -> 0 < u ->
  is_derive (Derive g) u (dc / u) /\ (0 <= dc <-> 0 <= dc / u).
Proof.
  intros Hg Hc Hdc Hu. split.
  - apply (is_derive_ext_loc (fun v => c (ln v))).
    + exists (mkposreal u Hu). intros v Hv.
      assert (P : 0 < v).
      { unfold ball in Hv; simpl in Hv; unfold AbsRing_ball, abs, minus, plus, opp in Hv; simpl in Hv.
        apply Rabs_def2 in Hv. lra. }
      symmetry. rewrite (is_derive_unique g v (dg v)); auto.
    + evar_last. { apply (is_derive_comp c ln); [exact Hdc | now apply is_derive_ln]. }
      unfold scal; simpl; unfold mult; simpl. field. lra.
  - assert (I : 0 < / u) by now apply Rinv_0_lt_compat. unfold Rdiv. split; intro H; nra.
Qed.
(** The slopes of in-reward k2 and k3, and of E[k2], change their sign: these generators are not convex. *)
Theorem k2_reward_not_convex u : 0 < u < 1 -> ln u / u < 0.
Proof.
  intros [Hu H1]. pose proof (ln_increasing u 1 Hu H1) as H. rewrite ln_1 in H.
  assert (I : 0 < / u) by now apply Rinv_0_lt_compat. unfold Rdiv. nra.
Qed.
Theorem k3_reward_not_convex u : 0 < u < 1 -> (1 - / u) / u < 0.
Proof.
  intros [Hu H1]. assert (I : 0 < / u) by now apply Rinv_0_lt_compat.
  assert (1 < / u). { rewrite <- Rinv_1. apply Rinv_lt_contravar; lra. }
  unfold Rdiv. nra.
Qed.
Theorem mean_k2_not_convex u : 0 < u < exp (-1) -> (ln u + 1) / u < 0.
Proof.
  intros [Hu H1]. pose proof (ln_increasing u (exp (-1)) Hu H1) as H. rewrite ln_exp in H.
  assert (I : 0 < / u) by now apply Rinv_0_lt_compat. unfold Rdiv. nra.
Qed.

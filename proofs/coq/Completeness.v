(** Different coefficients, different gradients; and the estimators that are alone with their gradient. *)
From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Estimators Softmax.
Open Scope R_scope.

(** Every policy and reference of full support over three tokens, in every coordinate, gives c and d the
    same expected gradient. *)
Definition same_gradient (c d : R -> R) := forall theta q k t,
  (forall i, 0 < q i) -> S 2 q = 1 -> (k <= 2)%nat ->
  coefficient 2 (softmax 2 theta k) (dsoftmax 2 theta k) q c t =
  coefficient 2 (softmax 2 theta k) (dsoftmax 2 theta k) q d t.

(** Logits that are the logarithms of a distribution give it back. *)
Lemma softmax_of_logarithms p k : (forall i, 0 < p i) -> S 2 p = 1 ->
  forall i, softmax 2 (fun j => ln (p j)) k i (ln (p k)) = p i.
Proof.
  intros Hp Hs i.
  assert (L : forall j, exp (logit (fun j => ln (p j)) k (ln (p k)) j) = p j).
  { intro j. unfold logit. destruct (Nat.eqb_spec j k) as [->|_]; apply exp_ln, Hp. }
  unfold softmax. rewrite L.
  assert (Z : partition 2 (fun j => ln (p j)) k (ln (p k)) = 1).
  { unfold partition. rewrite (S_ext 2 _ p) by exact L. exact Hs. }
  rewrite Z. field.
Qed.

(** Any two numbers are the log ratios of two tokens out of three. *)
Definition three (a b c : R) (i : nat) := match i with 0%nat => a | 1%nat => b | _ => c end.
Lemma S_three a b c : S 2 (three a b c) = a + b + c.
Proof. rewrite !S_next, S_0. reflexivity. Qed.
Lemma three_pos a b c : 0 < a -> 0 < b -> 0 < c -> forall i, 0 < three a b c i.
Proof. intros ? ? ? [|[|i]]; assumption. Qed.

Lemma two_log_ratios x y : exists p q,
  (forall i, 0 < p i) /\ (forall i, 0 < q i) /\ S 2 p = 1 /\ S 2 q = 1 /\
  ln (p 0%nat) - ln (q 0%nat) = x /\ ln (p 1%nat) - ln (q 1%nat) = y.
Proof.
  pose proof (exp_pos x) as Px. pose proof (exp_pos y) as Py.
  set (e := / (2 + exp x + exp y)).
  assert (Pe : 0 < e) by (apply Rinv_0_lt_compat; lra).
  assert (E : e * (2 + exp x + exp y) = 1) by (unfold e; field; lra).
  exists (three (e * exp x) (e * exp y) (1 - e * exp x - e * exp y)), (three e e (1 - e - e)).
  assert (0 < e * exp x) by (apply Rmult_lt_0_compat; lra).
  assert (0 < e * exp y) by (apply Rmult_lt_0_compat; lra).
  split; [apply three_pos; nra|]. split; [apply three_pos; nra|].
  rewrite !S_three. repeat split; try ring; simpl; rewrite ln_mult, ln_exp by lra; ring.
Qed.

(* kl-oracle: completeness *)
Theorem completeness c d : same_gradient c d <-> exists b, forall x, c x = d x + b.
Proof.
  split.
  - intro H. exists (c 0 - d 0).
    assert (E : forall x y, c x - d x = c y - d y).
    { intros x y. destruct (two_log_ratios x y) as (p & q & Pp & Pq & Sp & Sq & Ex & Ey).
      set (force := fun k => (c (ln (p k) - ln (q k)) - d (ln (p k) - ln (q k)))).
      assert (A : forall k, (k <= 2)%nat -> force k = S 2 (fun i => p i * force i)).
      { intros k Hk. pose proof (H (fun j => ln (p j)) q k (ln (p k)) Pq Sq Hk) as G.
        apply Rminus_diag_eq in G. rewrite <- coefficient_minus in G.
        rewrite (coefficient_softmax 2 _ k Hk q) in G.
        unfold log_ratio in G. rewrite (softmax_of_logarithms p k Pp Sp) in G.
        rewrite (S_ext 2 _ (fun i => p i * force i)) in G.
        - apply Rmult_integral in G. pose proof (Pp k) as Pk. fold (force k) in G. destruct G; lra.
        - intro i. unfold force. now rewrite (softmax_of_logarithms p k Pp Sp). }
      pose proof (A 0%nat ltac:(lia)) as A0. pose proof (A 1%nat ltac:(lia)) as A1.
      unfold force at 1 in A0. unfold force at 1 in A1. rewrite Ex in A0. rewrite Ey in A1. lra. }
    intro x. pose proof (E x 0). lra.
  - intros [b H] theta q k t Pq Sq Hk.
    rewrite (coefficient_ext 2 _ _ q c (fun x => d x + b)) by exact H.
    apply coefficient_baseline; [apply softmax_pos | apply softmax_sum | now apply softmax_derive].
Qed.

Lemma constant_of_zero_derivative (f : R -> R) : (forall x, is_derive f x 0) -> forall x, f x = f 0.
Proof.
  intros H x. destruct (Rtotal_order x 0) as [L|[->|G]]; [|reflexivity|].
  - apply (eq_is_derive f x 0); [intros; apply H | exact L].
  - symmetry. apply (eq_is_derive f 0 x); [intros; apply H | exact G].
Qed.

(** *** k2, up to c L + d, is alone as a loss with the gradient of KL(policy||reference) *)
(* kl-oracle: unique.as-loss *)
Theorem unique_as_loss l dl : (forall x, is_derive l x (dl x)) ->
  ((forall theta q k t, (forall i, 0 < q i) -> S 2 q = 1 -> (k <= 2)%nat ->
     is_derive (as_loss 2 (softmax 2 theta k) q l t) t (Derive (reverse_kl 2 (softmax 2 theta k) q) t)) <->
   exists c d, forall x, l x = x * x / 2 + c * x + d).
Proof.
  intro Hl. split.
  - intro H.
    assert (G : same_gradient dl (fun x => x)).
    { intros theta q k t Pq Sq Hk. specialize (H theta q k t Pq Sq Hk).
      pose proof (softmax_pos 2 theta k) as P. pose proof (softmax_sum 2 theta k) as N.
      pose proof (softmax_derive 2 theta k Hk) as D.
      rewrite (Derive_RKL 2 _ _ q P N D) in H. apply is_derive_unique in H. rewrite <- H. symmetry.
      apply is_derive_unique. now apply (as_loss_gradient 2 _ _ q P D). }
    apply completeness in G. destruct G as [c Hc].
    exists c, (l 0). intro x.
    assert (K : (fun y => l y - (y * y / 2 + c * y)) x = (fun y => l y - (y * y / 2 + c * y)) 0).
    { refine (constant_of_zero_derivative (fun y => l y - (y * y / 2 + c * y)) _ x). intro y. evar_last.
      - apply (is_derive_minus l (fun y => y * y / 2 + c * y)). apply Hl.
        instantiate (1 := y + c). auto_derive; [exact I | field].
      - unfold minus, plus, opp; simpl. rewrite Hc. ring. }
    simpl in K. lra.
  - intros (c & d & E) theta q k t Pq Sq Hk.
    pose proof (softmax_pos 2 theta k) as P. pose proof (softmax_sum 2 theta k) as N.
    pose proof (softmax_derive 2 theta k Hk) as D.
    rewrite (Derive_RKL 2 _ _ q P N D), <- (coefficient_baseline 2 _ _ q P N D _ c).
    apply (as_loss_gradient 2 _ _ q P D). intro x.
    apply (is_derive_ext (fun x => x * x / 2 + c * x + d)). { intro; symmetry; apply E. }
    auto_derive; [exact I | field].
Qed.

(** *** The log ratio, up to scale and baseline, is alone in the reward with the gradient of its own mean *)
(* kl-oracle: unique.in-reward *)
Theorem unique_in_reward g dg : (forall u, 0 < u -> is_derive g u (dg u)) ->
  ((forall theta q k t, (forall i, 0 < q i) -> S 2 q = 1 -> (k <= 2)%nat ->
     is_derive (in_reward 2 (softmax 2 theta k) q (fun x => g (exp x)) t) t
       (Derive (mean 2 (softmax 2 theta k) q (fun x => g (exp x))) t)) <->
   exists a b, forall u, 0 < u -> g u = a * ln u + b).
Proof.
  intro Hg.
  assert (Hk : forall x, is_derive (fun x => g (exp x)) x (exp x * dg (exp x))).
  { intro x. apply (is_derive_comp g exp); [apply Hg, exp_pos | apply is_derive_exp]. }
  assert (Hm : forall theta q k t, (k <= 2)%nat ->
    Derive (mean 2 (softmax 2 theta k) q (fun x => g (exp x))) t =
    coefficient 2 (softmax 2 theta k) (dsoftmax 2 theta k) q (fun x => g (exp x) + exp x * dg (exp x)) t).
  { intros theta q k t K. apply is_derive_unique.
    apply (mean_gradient 2 _ _ q (softmax_pos 2 theta k) (softmax_derive 2 theta k K) _ _ t Hk). }
  assert (Hr : forall theta q k t, (k <= 2)%nat ->
    is_derive (in_reward 2 (softmax 2 theta k) q (fun x => g (exp x)) t) t
      (coefficient 2 (softmax 2 theta k) (dsoftmax 2 theta k) q (fun x => g (exp x)) t)).
  { intros theta q k t K.
    apply (in_reward_gradient 2 _ _ q (softmax_pos 2 theta k) (softmax_derive 2 theta k K)). }
  split.
  - intro H.
    assert (G : same_gradient (fun x => g (exp x) + exp x * dg (exp x)) (fun x => g (exp x))).
    { intros theta q k t Pq Sq K. specialize (H theta q k t Pq Sq K). rewrite (Hm theta q k t K) in H.
      apply is_derive_unique in H. rewrite <- H. apply is_derive_unique. now apply Hr. }
    apply completeness in G. destruct G as [a Ha]. exists a, (g (exp 0)). intros u Pu.
    assert (K : (fun x => g (exp x) - a * x) (ln u) = (fun x => g (exp x) - a * x) 0).
    { refine (constant_of_zero_derivative (fun x => g (exp x) - a * x) _ (ln u)). intro x. evar_last.
      - apply (is_derive_minus (fun x => g (exp x)) (fun x => a * x)). apply Hk.
        instantiate (1 := a). auto_derive; [exact I | ring].
      - unfold minus, plus, opp; simpl. specialize (Ha x). simpl in Ha. lra. }
    simpl in K. rewrite exp_ln in K by exact Pu. lra.
  - intros (a & b & E) theta q k t Pq Sq K. rewrite (Hm theta q k t K).
    assert (A : forall x, exp x * dg (exp x) = a).
    { intro x. rewrite <- (is_derive_unique _ _ _ (Hk x)).
      apply is_derive_unique. apply (is_derive_ext (fun x => a * x + b)).
      - intro y. rewrite E by apply exp_pos. now rewrite ln_exp.
      - auto_derive; [exact I | ring]. }
    rewrite (coefficient_ext 2 _ _ q _ (fun x => g (exp x) + a)) by (intro; now rewrite A).
    rewrite coefficient_baseline by (apply softmax_pos || apply softmax_sum || now apply softmax_derive).
    now apply Hr.
Qed.

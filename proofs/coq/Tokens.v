(** What generated statements on one token say, for any finite vocabulary {0, ..., n}, and what they come down to.

    The policy is any family of distributions t |-> p_i(t) of full support, differentiable in a real t: one
    direction in the space of parameters. What a surrogate differentiates is its argument `live`; the policy's
    probability under stop-gradient, and in weights, is the frozen number of t0. *)
From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums.
Open Scope R_scope.

Definition positive n (w : nat -> R) := forall i, (i <= n)%nat -> 0 < w i.
Definition distribution n (w : nat -> R) := positive n w /\ S n w = 1.
Definition policy n (p : nat -> R -> R) :=
  (forall t, distribution n (fun i => p i t)) /\ (forall i t, (i <= n)%nat -> ex_derive (p i) t).

(** Of p, q, m and the reward r of a token; a surrogate is of the live p first. *)
Definition weight := R -> R -> R -> R -> R.
Definition surrogate := R -> weight.
Definition domain := R -> R -> R -> R -> Prop.
Definition everywhere : domain := fun _ _ _ _ => True.

(** The sum over the vocabulary that is differentiated by t at t0. *)
Definition expected n (p : nat -> R -> R) (q m r : nat -> R) (w : weight) (f : surrogate) (t0 t : R) :=
  S n (fun i => w (p i t0) (q i) (m i) (r i) * f (p i t) (p i t0) (q i) (m i) (r i)).

Definition same_gradient (d : domain) (w : weight) (f : surrogate) (v : weight) (g : surrogate) :=
  forall n p q m r t0, policy n p -> distribution n q -> distribution n m ->
  (forall i, (i <= n)%nat -> d (p i t0) (q i) (m i) (r i)) ->
  exists slope, is_derive (expected n p q m r w f t0) t0 slope /\ is_derive (expected n p q m r v g t0) t0 slope.

(** On every single token the two surrogates have the same derivative. *)
Definition same_sample_gradient (d : domain) (f g : surrogate) :=
  forall p q m r, 0 < p -> 0 < q -> 0 < m -> d p q m r ->
  exists slope, is_derive (fun x => f x p q m r) p slope /\ is_derive (fun x => g x p q m r) p slope.

Lemma S_derive_le n (f : nat -> R -> R) x d :
  (forall i, (i <= n)%nat -> is_derive (f i) x (d i)) -> is_derive (fun t => S n (fun i => f i t)) x (S n d).
Proof. exact (is_derive_sum_n f n x d). Qed.

Lemma policy_slopes n p t : policy n p -> S n (fun i => Derive (p i) t) = 0.
Proof.
  intros [D P].
  assert (H : is_derive (fun u => S n (fun i => p i u)) t (S n (fun i => Derive (p i) t))).
  { apply S_derive_le. intros i Hi. apply Derive_correct. now apply P. }
  apply is_derive_unique in H. rewrite <- H.
  rewrite (Derive_ext _ (fun _ => 1)); [apply Derive_const | intro u; apply D].
Qed.

Lemma expected_derive n p q m r w f t0 a : policy n p ->
  (forall i, (i <= n)%nat -> is_derive (fun x => f x (p i t0) (q i) (m i) (r i)) (p i t0) (a i)) ->
  is_derive (expected n p q m r w f t0) t0
    (S n (fun i => w (p i t0) (q i) (m i) (r i) * (a i * Derive (p i) t0))).
Proof.
  intros [_ P] A. apply S_derive_le. intros i Hi.
  apply (is_derive_scal (fun t => f (p i t) (p i t0) (q i) (m i) (r i))). evar_last.
  - apply (is_derive_comp (fun x => f x (p i t0) (q i) (m i) (r i)) (p i)).
    + now apply A.
    + apply Derive_correct. now apply P.
  - unfold scal; simpl; unfold mult; simpl. ring.
Qed.

(** Two expected gradients are the same if, token by token, they differ by one constant times the score. *)
Theorem same_gradient_by c (d : domain) w f v g :
  (forall p q m r, 0 < p -> 0 < q -> 0 < m -> d p q m r -> exists a b,
     is_derive (fun x => f x p q m r) p a /\ is_derive (fun x => g x p q m r) p b /\
     w p q m r * a = v p q m r * b + c) ->
  same_gradient d w f v g.
Proof.
  intros H n p q m r t0 P Q M D.
  set (a := fun i => Derive (fun x => f x (p i t0) (q i) (m i) (r i)) (p i t0)).
  set (b := fun i => Derive (fun x => g x (p i t0) (q i) (m i) (r i)) (p i t0)).
  assert (T : forall i, (i <= n)%nat ->
    is_derive (fun x => f x (p i t0) (q i) (m i) (r i)) (p i t0) (a i) /\
    is_derive (fun x => g x (p i t0) (q i) (m i) (r i)) (p i t0) (b i) /\
    w (p i t0) (q i) (m i) (r i) * a i = v (p i t0) (q i) (m i) (r i) * b i + c).
  { intros i Hi.
    destruct (H (p i t0) (q i) (m i) (r i) (proj1 (proj1 P t0) i Hi) (proj1 Q i Hi) (proj1 M i Hi) (D i Hi))
      as (x & y & A & B & E).
    assert (Ea : a i = x) by (unfold a; now apply is_derive_unique).
    assert (Eb : b i = y) by (unfold b; now apply is_derive_unique).
    rewrite Ea, Eb. auto. }
  exists (S n (fun i => w (p i t0) (q i) (m i) (r i) * (a i * Derive (p i) t0))). split.
  - apply expected_derive; [exact P|]. intros; now apply T.
  - evar_last.
    + apply (expected_derive n p q m r v g t0 b); [exact P|]. intros; now apply T.
    + assert (Z : S n (fun i => c * Derive (p i) t0) = 0).
      { rewrite (S_scal n c), (policy_slopes n p t0 P). ring. }
      apply Rminus_diag_uniq_sym. rewrite <- S_minus, <- Z. apply S_ext_le. intros i Hi.
      destruct (T i Hi) as (_ & _ & E).
      replace (w (p i t0) (q i) (m i) (r i) * (a i * Derive (p i) t0))
        with (w (p i t0) (q i) (m i) (r i) * a i * Derive (p i) t0) by ring.
      rewrite E. ring.
Qed.

(** A fixed point of the expected ascent: wherever a policy is, on its way, the one put in, the ascent's
    coefficient, a function of p, q and r, times the score has mean zero, in every direction. *)
Definition fixed_point (chosen : R -> R -> R) (force : R -> R -> R -> R) :=
  forall n p q r t0, policy n p -> distribution n q ->
  (forall i, (i <= n)%nat -> p i t0 = chosen (q i) (r i)) ->
  is_derive (fun t => S n (fun i => p i t0 * (force (p i t0) (q i) (r i) * ln (p i t)))) t0 0.

Theorem fixed_point_by (c : R) chosen force :
  (forall q r, 0 < q -> 0 < chosen q r -> force (chosen q r) q r = c) -> fixed_point chosen force.
Proof.
  intros H n p q r t0 P Q C. evar_last.
  - apply S_derive_le. intros i Hi. apply (is_derive_scal (fun t => force (p i t0) (q i) (r i) * ln (p i t))).
    apply (is_derive_scal (fun t => ln (p i t))). apply (is_derive_comp ln (p i)).
    + apply is_derive_ln. now apply (proj1 P).
    + apply Derive_correct. now apply (proj2 P).
  - rewrite (S_ext_le n _ (fun i => c * Derive (p i) t0)).
    + rewrite (S_scal n c), (policy_slopes n p t0 P). ring.
    + intros i Hi. pose proof (C i Hi) as E. pose proof (proj1 (proj1 P t0) i Hi) as Pi. simpl in Pi.
      replace (force (p i t0) (q i) (r i)) with c.
      * unfold scal; simpl; unfold mult; simpl. field. lra.
      * rewrite E. symmetry. apply H; [now apply (proj1 Q) | now rewrite <- E].
Qed.

(** Policy, reference and sampler over whole answers, and the statements of the catalogue on them.

    p t h a is the probability of token a after the tokens h, at the real parameter t; q is the reference, m the
    sampler. (That they are positive is asked for all natural numbers a: those beyond n are in no sum.)
    A surrogate `fun t0 t y => ..` is of the frozen parameter t0, what stop-gradient and the draws see, and of the
    live one t. The symbols of the catalogue at position i of an answer, with h the tokens before it:

      L_i          L t h a            log(policy/reference)        rho_i   rho t h a    policy/sampler
      log p_i      log_policy t h a                                N       size y
      KL_i         KL t h             KL(policy||reference)        KLref_i KLref t h    KL(reference||policy)
      sum_i        total              over all positions           prod_i  product
      sum_{j<i}    total .. h         over those before a position; from it on: total .. y - total .. h *)
From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Tokens Tactics Estimators Answers.
Import ListNotations.
Open Scope R_scope.

(** ** Derivatives of surrogates, by their form *)
Lemma d_plus f g (x a b : R) : is_derive f x a -> is_derive g x b -> is_derive (fun u : R => f u + g u : R) x (a + b).
Proof. exact (is_derive_plus f g x a b). Qed.
Lemma d_minus f g (x a b : R) : is_derive f x a -> is_derive g x b -> is_derive (fun u : R => f u - g u : R) x (a - b).
Proof. exact (is_derive_minus f g x a b). Qed.
Lemma d_opp f (x a : R) : is_derive f x a -> is_derive (fun u : R => - f u : R) x (- a).
Proof. exact (is_derive_opp f x a). Qed.
Lemma d_mult f g (x a b : R) : is_derive f x a -> is_derive g x b ->
  is_derive (fun u : R => f u * g u : R) x (a * g x + f x * b).
Proof. intros A B. exact (is_derive_mult f g x a b A B Rmult_comm). Qed.
Lemma d_scal f (c x a : R) : is_derive f x a -> is_derive (fun u : R => c * f u : R) x (c * a).
Proof. exact (is_derive_scal f x c a). Qed.
Lemma d_over f (c x a : R) : is_derive f x a -> is_derive (fun u : R => f u / c : R) x (a / c).
Proof.
  intro A. apply (is_derive_ext (fun u => / c * f u)); [intro; apply Rmult_comm|].
  evar_last; [apply (is_derive_scal f), A | apply Rmult_comm].
Qed.
Lemma d_exp f (x a : R) : is_derive f x a -> is_derive (fun u : R => exp (f u) : R) x (a * exp (f x)).
Proof. intro A. apply (is_derive_comp exp f); [apply is_derive_exp | exact A]. Qed.
Lemma d_ln f (x a : R) : 0 < f x -> is_derive f x a -> is_derive (fun u : R => ln (f u) : R) x (a / f x).
Proof. intros P A. apply (is_derive_comp ln f); [now apply is_derive_ln | exact A]. Qed.
Lemma d_const (c x : R) : is_derive (fun _ : R => c : R) x 0.
Proof. exact (is_derive_const c x). Qed.

Section World.
Variable n : nat.
Variable ends : nat -> bool.
Variable T : nat.
Variable p : R -> prefix -> nat -> R.
Variables q m : prefix -> nat -> R.

Definition L t h a := ln (p t h a) - ln (q h a).
Definition rho t h a := p t h a / m h a.
Definition log_policy t h a := ln (p t h a).
Definition KL t h := S n (fun a => p t h a * L t h a).
Definition KLref t h := S n (fun a => q h a * (ln (q h a) - ln (p t h a))).

(** ** The statements *)
Definition from_policy (X : R -> R -> prefix -> R) t0 t := E n ends (p t0) T [] (X t0 t).
Definition from_sampler (X : R -> R -> prefix -> R) t0 t := E n ends m T [] (X t0 t).
(** E_policy[X], whose gradient sees the draws too. *)
Definition mean_of (X : R -> R -> prefix -> R) (t0 t : R) := E n ends (p t) T [] (X t t).
Definition equal_gradients (A B : R -> R -> R) :=
  forall t0, exists slope, is_derive (A t0) t0 slope /\ is_derive (B t0) t0 slope.
Definition equal_values (A B : R -> R -> R) := forall t, A t t = B t t.

(** ** One token after h *)
Definition score t h a := Derive (fun u => p u h a) t / p t h a.
Definition dKL t h := Derive (fun u => KL u h) t.
Definition dKLref t h := Derive (fun u => KLref u h) t.

Hypothesis p_pos : forall t h a, 0 < p t h a.
Hypothesis p_sum : forall t h, S n (p t h) = 1.
Hypothesis p_der : forall t h a, ex_derive (fun u => p u h a) t.
Hypothesis q_pos : forall h a, 0 < q h a.
Hypothesis q_sum : forall h, S n (q h) = 1.
Hypothesis m_pos : forall h a, 0 < m h a.
Hypothesis m_sum : forall h, S n (m h) = 1.

Lemma p_derive t h a : is_derive (fun u => p u h a) t (p t h a * score t h a).
Proof. evar_last; [apply Derive_correct, p_der | unfold score; simpl; field; apply Rgt_not_eq, p_pos]. Qed.
Lemma log_policy_derive t h a : is_derive (fun u => log_policy u h a) t (score t h a).
Proof.
  evar_last.
  - apply (is_derive_comp ln (fun u => p u h a)); [apply is_derive_ln, p_pos | apply p_derive].
  - unfold scal; simpl; unfold mult; simpl. field. apply Rgt_not_eq, p_pos.
Qed.
Lemma L_derive t h a : is_derive (fun u => L u h a) t (score t h a).
Proof.
  evar_last.
  - apply (is_derive_minus (fun u => log_policy u h a) (fun _ => ln (q h a)));
      [apply log_policy_derive | apply is_derive_const].
  - unfold minus, plus, opp, zero; simpl. ring.
Qed.
Lemma rho_derive t h a : is_derive (fun u => rho u h a) t (rho t h a * score t h a).
Proof.
  apply (is_derive_ext (fun u => / m h a * p u h a)); [intro; unfold rho; apply Rmult_comm|].
  evar_last; [apply (is_derive_scal (fun u => p u h a)), p_derive | unfold rho; simpl; field; apply Rgt_not_eq, m_pos].
Qed.
Lemma rho_pos t h a : 0 < rho t h a.
Proof. apply Rdiv_lt_0_compat; [apply p_pos | apply m_pos]. Qed.
Lemma KL_slope t h : is_derive (fun u => KL u h) t
  (S n (fun a => p t h a * score t h a * L t h a + p t h a * score t h a)).
Proof.
  apply S_derive. intro a. evar_last.
  - apply (is_derive_mult (fun u => p u h a) (fun u => L u h a));
      [apply p_derive | apply L_derive | intros; apply Rmult_comm].
  - reflexivity.
Qed.
Lemma KL_derive t h : is_derive (fun u => KL u h) t (dKL t h).
Proof. apply Derive_correct. eexists. apply KL_slope. Qed.
Lemma KLref_slope t h : is_derive (fun u => KLref u h) t (S n (fun a => q h a * (0 - score t h a))).
Proof.
  apply S_derive. intro a. apply (is_derive_scal (fun u => ln (q h a) - ln (p u h a))).
  apply (d_minus (fun _ => ln (q h a)) (fun u => ln (p u h a))); [apply d_const | apply log_policy_derive].
Qed.
Lemma KLref_derive t h : is_derive (fun u => KLref u h) t (dKLref t h).
Proof. apply Derive_correct. eexists. apply KLref_slope. Qed.

Lemma exp_opp_L t h a : exp (- L t h a) = q h a / p t h a.
Proof.
  unfold L. replace (- (ln (p t h a) - ln (q h a))) with (ln (q h a) + - ln (p t h a)) by ring.
  rewrite exp_plus, exp_Ropp, !exp_ln; auto.
Qed.

(** ** The six means over one token that everything comes down to *)
Lemma mean_p t h c : S n (fun a => c * p t h a) = c.
Proof. rewrite (S_scal n c), (p_sum t h). ring. Qed.
Lemma mean_q h c : S n (fun a => c * q h a) = c.
Proof. rewrite (S_scal n c), (q_sum h). ring. Qed.
Lemma mean_m h c : S n (fun a => c * m h a) = c.
Proof. rewrite (S_scal n c), (m_sum h). ring. Qed.
Lemma mean_ps t h : S n (fun a => p t h a * score t h a) = 0.
Proof.
  assert (D : is_derive (fun u => S n (p u h)) t (S n (fun a => p t h a * score t h a))).
  { apply (S_derive n (fun a u => p u h a)). intro. apply p_derive. }
  apply is_derive_unique in D. rewrite <- D.
  rewrite (Derive_ext _ (fun _ => 1)); [apply Derive_const | intro; apply p_sum].
Qed.
Lemma mean_pLs t h : S n (fun a => p t h a * L t h a * score t h a) = dKL t h.
Proof.
  transitivity (S n (fun a => p t h a * score t h a * L t h a + p t h a * score t h a));
    [|symmetry; apply is_derive_unique, KL_slope]. rewrite S_plus, mean_ps, Rplus_0_r.
  apply S_ext. intro. ring.
Qed.
Lemma mean_qs t h : S n (fun a => q h a * score t h a) = - dKLref t h.
Proof.
  transitivity (- S n (fun a => q h a * (0 - score t h a)));
    [|f_equal; symmetry; apply is_derive_unique, KLref_slope].
  rewrite (S_ext n (fun a => q h a * (0 - score t h a)) (fun a => (-1) * (q h a * score t h a))) by (intro; ring).
  rewrite (S_scal n (-1)). ring.
Qed.
Lemma mean_qL t h : S n (fun a => q h a * L t h a) = - KLref t h.
Proof.
  unfold KLref. rewrite (S_ext n (fun a => q h a * (ln (q h a) - ln (p t h a))) (fun a => (-1) * (q h a * L t h a))).
  - rewrite (S_scal n (-1)). ring.
  - intro. unfold L. ring.
Qed.
(** A mean over one token, as a combination. *)
Theorem combined t h f cp cq cm cps cpL cpLs cqs cqL :
  (forall a, f a = cp * p t h a + cq * q h a + cm * m h a + cps * (p t h a * score t h a)
     + cpL * (p t h a * L t h a) + cpLs * (p t h a * L t h a * score t h a)
     + cqs * (q h a * score t h a) + cqL * (q h a * L t h a)) ->
  S n f = cp + cq + cm + cpL * KL t h + cpLs * dKL t h - cqs * dKLref t h - cqL * KLref t h.
Proof.
  intro H. rewrite (S_ext n f _ H), !S_plus, mean_p, mean_q, mean_m.
  rewrite (S_scal n cps), (S_scal n cpL), (S_scal n cpLs), (S_scal n cqs), (S_scal n cqL).
  rewrite mean_ps, mean_pLs, mean_qs, mean_qL. unfold KL. ring.
Qed.

(** ** Gradients of the three kinds of sides *)
Lemma from_policy_derive X t0 dX : (forall y, is_derive (fun t => X t0 t y) t0 (dX y)) ->
  is_derive (from_policy X t0) t0 (E n ends (p t0) T [] dX).
Proof. apply (E_derive n ends (p t0) T [] (X t0)). Qed.
Lemma from_sampler_derive X t0 dX : (forall y, is_derive (fun t => X t0 t y) t0 (dX y)) ->
  is_derive (from_sampler X t0) t0 (E n ends m T [] dX).
Proof. apply (E_derive n ends m T [] (X t0)). Qed.
Lemma mean_of_derive X t0 dX : (forall y, is_derive (fun t => X t t y) t0 (dX y)) ->
  is_derive (mean_of X t0) t0 (E n ends (p t0) T [] (fun y => X t0 t0 y * total (fun h a => score t0 h a) y + dX y)).
Proof.
  intro H. evar_last.
  - apply (E_derive_draws n ends p (fun h a => score t0 h a) T [] (fun t => X t t)); [intros; apply p_derive | exact H].
  - apply E_ext. intro y. simpl. ring.
Qed.
(** The policy's mean as the sampler's, with the answer's ratio. *)
Lemma by_sampler t F : E n ends (p t) T [] F = E n ends m T [] (fun y => product (fun h a => rho t h a) y * F y).
Proof. symmetry. apply (E_weight n ends (p t) m). intros. apply Rgt_not_eq, m_pos. Qed.

Lemma product_rho_derive y t : is_derive (fun u => product (fun h a => rho u h a) y) t
  (product (fun h a => rho t h a) y * total (fun h a => score t h a) y).
Proof. apply (product_derive (fun u h a => rho u h a)). intros. apply rho_derive. Qed.
Lemma product_exp_L t y : product (fun h a => exp (- L t h a)) y = exp (- total (fun h a => L t h a) y).
Proof.
  induction y as [|a h IH]; cbn [product total]; [now rewrite Ropp_0, exp_0|].
  rewrite IH, <- exp_plus. f_equal. ring.
Qed.
(** The geometric mean of the ratios, and powers like it. *)
Lemma power_product_derive c y t : is_derive (fun u => product (fun h a => Rpower (rho u h a) c) y) t
  (product (fun h a => Rpower (rho t h a) c) y * (c * total (fun h a => score t h a) y)).
Proof.
  rewrite <- (total_scal c). apply (product_derive (fun u h a => Rpower (rho u h a) c)). intros h a. evar_last.
  - apply (d_exp (fun u => c * ln (rho u h a))), d_scal, d_ln; [apply rho_pos | apply rho_derive].
  - unfold Rpower. simpl. field. apply Rgt_not_eq, rho_pos.
Qed.
(** The live ratio of a prefix is 1 in value. *)
Lemma live_ratio_one t y : product (fun h a => exp (log_policy t h a - log_policy t h a)) y = 1.
Proof. induction y as [|a h IH]; cbn [product]; [reflexivity | rewrite IH, Rminus_eq_0, exp_0; ring]. Qed.
Lemma live_ratio_derive y t :
  is_derive (fun u => product (fun h a => exp (log_policy u h a - log_policy t h a)) y) t
    (total (fun h a => score t h a) y).
Proof.
  evar_last.
  - apply (product_derive (fun u h a => exp (log_policy u h a - log_policy t h a))). intros h a.
    evar_last.
    + apply (d_exp (fun u => log_policy u h a - log_policy t h a)), d_minus; [apply log_policy_derive | apply d_const].
    + instantiate (1 := fun h a => score t h a). simpl. ring.
  - simpl. rewrite live_ratio_one. ring.
Qed.
Lemma total_later c A f y :
  total (fun h a => (c - total A h) * f h a) y = c * total f y - total (fun h a => total A h * f h a) y.
Proof.
  rewrite <- (total_scal c f), <- total_minus. apply total_ext. intros. ring.
Qed.
Lemma total_after c A f y : total (fun h a => (c - total A (a :: h)) * f h a) y =
  c * total f y - total (fun h a => (total A h + A h a) * f h a) y.
Proof. rewrite <- (total_scal c f), <- total_minus. apply total_ext. intros. simpl. ring. Qed.
End World.

(** ** Scripts *)
Ltac derivative := cbv beta; lazymatch goal with
  | |- is_derive (fun _ => ?c) _ _ => apply d_const
  | |- is_derive (fun u => L _ _ u ?h ?a) _ _ => apply L_derive; assumption
  | |- is_derive (fun u => log_policy _ u ?h ?a) _ _ => apply log_policy_derive; assumption
  | |- is_derive (fun u => rho _ _ u ?h ?a) _ _ => apply rho_derive; assumption
  | |- is_derive (fun u => KL _ _ _ u ?h) _ _ => apply KL_derive; assumption
  | |- is_derive (fun u => KLref _ _ _ u ?h) _ _ => apply KLref_derive; assumption
  | |- is_derive (fun u => product (fun h a => rho _ _ u h a) ?y) _ _ => apply product_rho_derive; assumption
  | |- is_derive (fun u => total (@?f u) ?y) _ _ => eapply (total_derive f); intros ? ?; derivative
  | |- is_derive (fun u => @?f u + @?g u) _ _ => eapply (d_plus f g); derivative
  | |- is_derive (fun u => @?f u - @?g u) _ _ => eapply (d_minus f g); derivative
  | |- is_derive (fun u => - @?f u) _ _ => eapply (d_opp f); derivative
  | |- is_derive (fun u => product (fun h a => Rpower (rho _ _ u h a) ?c) ?y) _ _ =>
      apply power_product_derive; assumption
  | |- is_derive (fun u => product (fun h a => exp (log_policy _ u h a - log_policy _ ?t h a)) ?y) _ _ =>
      apply live_ratio_derive; assumption
  | |- is_derive (fun u => @?f u * @?g u) _ _ => lazymatch f with
      | fun _ => ?c => eapply (d_scal g c); derivative
      | _ => eapply (d_mult f g); derivative
      end
  | |- is_derive (fun u => @?f u / @?g u) _ _ => lazymatch g with
      fun _ => ?c => eapply (d_over f c); derivative end
  | |- is_derive (fun u => exp (@?f u)) _ _ => eapply (d_exp f); derivative
  | |- is_derive (fun u => ln (@?f u)) _ _ => eapply (d_ln f); [ first [ apply rho_pos; assumption ] | derivative ]
  | |- _ => first [ eassumption | idtac ]
  end.
Ltac side_derive := unfold k1, k2, k3; lazymatch goal with
  | |- is_derive (from_policy _ _ _ _ _ _) _ _ => eapply from_policy_derive; intro y; derivative
  | |- is_derive (from_sampler _ _ _ _ _ _) _ _ => eapply from_sampler_derive; intro y; derivative
  | |- is_derive (mean_of _ _ _ _ _ _) _ _ =>
      eapply mean_of_derive; [ assumption | assumption | intro y; derivative ]
  end.
(** Both sides differentiated: what is left is that two means over whole answers are equal. *)
Ltac gradients := intro t0; eexists; split; [ side_derive | evar_last; [ side_derive | symmetry; cbv beta ] ].
Ltac values := intro t0; unfold from_policy, from_sampler, k1, k2, k3.
Ltac pointwise := rewrite ?Ropp_plus_distr, ?exp_plus; rewrite ?exp_opp_L by assumption;
  unfold rho; field; repeat split; apply Rgt_not_eq, Rlt_gt; auto.
(** The difference is fair: its mean over one more token is what it was. The numbers say how it is combined from
    the means of p, q, m, p s, p L, p L s, q s and q L; they go with the difference so far times p, or m. *)
Ltac start := apply E_same;
  [ cbn [total product]; rewrite ?Ropp_0, ?exp_0; unfold Rdiv; ring | intro h; cbn [total product] ].
Definition no (_ : prefix) := 0.
Definition once (_ : prefix) := 1.
Ltac fair_in n p q m base_p base_m c1 c2 c3 c4 c5 c6 c7 c8 := start;
  lazymatch goal with now : R, past : list nat |- S _ _ = ?so_far =>
    etransitivity;
    [ apply (combined n p q m) with (t := now) (h := past) (cp := base_p * so_far + c1 past) (cq := c2 past)
        (cm := base_m * so_far + c3 past) (cps := c4 past) (cpL := c5 past) (cpLs := c6 past) (cqs := c7 past)
        (cqL := c8 past);
      try assumption; intro a; cbv beta delta [no once]; pointwise
    | cbv beta delta [no once]; unfold Rdiv; ring ] end.
(** The same function of the answer in another form, on both sides. *)
Ltac inside rewriting := etransitivity;
  [ apply E_ext; intro y; cbv beta; rewriting tt; reflexivity
  | symmetry; etransitivity;
    [ apply E_ext; intro y; cbv beta; rewriting tt; reflexivity | symmetry; cbv beta ] ].
(** reference/policy of a prefix as one exponential; the live ratio as 1. *)
Ltac one_exponential := repeat match goal with
  | |- context [product (fun h a => exp (- L ?p ?q ?t h a)) ?y] => rewrite (product_exp_L p q t y)
  end.
Ltac from_reference := inside ltac:(fun _ => first
  [ apply total_ext; intros; one_exponential; reflexivity | one_exponential ]).
Ltac ratio_is_one := inside ltac:(fun _ => first
  [ apply total_ext; intros ? ?; rewrite live_ratio_one; cbn [total]; reflexivity | idtac ]).
(** What is the same for all tokens of an answer, out of its sums. *)
Ltac returns := inside ltac:(fun _ => repeat match goal with
  | |- context [total (fun h a => (?c - total ?A h) * @?f h a) ?y] => rewrite (total_later c A f y); cbv beta
  | |- context [total (fun h a => (?c - total ?A (a :: h)) * @?f h a) ?y] => rewrite (total_after c A f y); cbv beta
  | |- context [total (fun h a => ?c * @?f h a) ?y] => rewrite (total_scal c f y); cbv beta
  end).
(** Both sides are the same on every answer. *)
Ltac by_sample := apply E_ext; intro y; cbv beta; unfold Rdiv; ring.
(** The policy's mean on the right as the sampler's. *)
Ltac sampled_in n q p m := etransitivity; [|symmetry; apply (by_sampler n) with (m := m); assumption].

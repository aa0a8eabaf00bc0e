(** How generated goals are decided. A tactic cannot make a false statement true: at worst it fails. *)
From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Tokens.
Open Scope R_scope.

(** ** Signs *)
Lemma opposite_quotient a b : 0 < - a -> 0 < b -> 0 < - (a / b).
Proof. intros A B. replace (- (a / b)) with (- a / b) by (unfold Rdiv; ring). now apply Rdiv_lt_0_compat. Qed.
Lemma opposite_product a b : 0 < - a -> 0 < b -> 0 < - (a * b).
Proof. nra. Qed.
Ltac pos :=
  first
  [ assumption
  | lra
  | lazymatch goal with
    | |- 0 < _ * _ => apply Rmult_lt_0_compat; pos
    | |- 0 < / _ => apply Rinv_0_lt_compat; pos
    | |- 0 < _ / _ => apply Rdiv_lt_0_compat; pos
    | |- 0 < _ + _ => apply Rplus_lt_0_compat; pos
    | |- 0 < _ ^ _ => apply pow_lt; pos
    | |- 0 < exp _ => apply exp_pos
    | |- 0 < Rpower _ _ => apply exp_pos
    | |- 0 < sqrt _ => apply sqrt_lt_R0; pos
    | |- 0 < Rmin _ _ => apply Rmin_pos; pos
    | |- 0 < - (_ / _) => apply opposite_quotient; pos
    | |- 0 < - (_ * _) => apply opposite_product; pos
    end
  | nra ].
Ltac nonzero :=
  first
  [ assumption
  | apply Rgt_not_eq; assumption
  | lra
  | lazymatch goal with
    | |- _ * _ <> 0 => apply Rmult_integral_contrapositive_currified; nonzero
    | |- / _ <> 0 => apply Rinv_neq_0_compat; nonzero
    | |- _ ^ _ <> 0 => apply pow_nonzero; nonzero
    | |- _ => first [ apply Rgt_not_eq; unfold Rgt; pos
                    | apply Rlt_not_eq, Ropp_lt_cancel; rewrite Ropp_0; pos
                    | intro; nra
                    | match goal with H : ?e <> 0 |- _ =>
                        intro; apply H; unfold Rdiv, Rminus; field_simplify_eq; [ lra | repeat split; nonzero ] end ]
    end ].
Ltac known_function := match goal with
  | H : forall _, _ -> is_derive ?k _ _ |- _ => eexists; apply H; pos
  | H : forall _, is_derive ?k _ _ |- _ => eexists; apply H
  end.
Ltac side := repeat split; cbv beta in *;
  lazymatch goal with
  | |- True => exact I
  | |- _ <> _ => nonzero
  | |- ex_derive _ _ => known_function
  | |- _ => pos
  end.

(** ** Logarithms of products, exponentials of sums, roots *)
Ltac function_slopes := repeat match goal with
  | H : forall _, is_derive ?k _ _ |- context [Derive (fun x => ?k x) ?y] =>
      change (Derive (fun x => k x) y) with (Derive k y); rewrite (is_derive_unique k y _ (H y))
  | H : forall _, _ -> is_derive ?k _ _ |- context [Derive (fun x => ?k x) ?y] =>
      change (Derive (fun x => k x) y) with (Derive k y); rewrite (is_derive_unique k y _ (H y ltac:(pos)))
  end.
Ltac logs := unfold sinh, cosh, Rdiv, Rminus; repeat match goal with
  | |- context [ln (?a * ?b)] => rewrite (ln_mult a b) by pos
  | |- context [ln (/ ?a)] => rewrite (ln_Rinv a) by pos
  | |- context [ln (exp ?a)] => rewrite (ln_exp a)
  | |- context [ln 1] => rewrite ln_1
  | |- context [exp (ln ?a)] => rewrite (exp_ln a) by pos
  | |- context [exp 0] => rewrite exp_0
  | |- context [exp (- 0)] => rewrite Ropp_0
  | |- context [exp (?a + ?b)] => rewrite (exp_plus a b)
  | |- context [exp (- ?a)] => rewrite (exp_Ropp a)
  end.
Ltac roots := repeat match goal with
  | P : 0 < ?x |- context [sqrt ?x] =>
      is_var x; let s := fresh "root" in let E := fresh in let Ps := fresh in
      pose proof (sqrt_lt_R0 x P) as Ps; pose proof (sqrt_sqrt x (Rlt_le 0 x P)) as E;
      set (s := sqrt x) in *; clearbody s; rewrite <- E in *; clear E
  end.
(** The signs that |.| and sign are taken of, where two positive numbers differ. *)
Ltac cases_of_signs := repeat match goal with
  | H : ?a + - ?b <> 0 |- _ =>
      let C := fresh in assert (C : a < b \/ b < a) by (destruct (Rtotal_order a b) as [?|[?|?]]; lra);
      clear H; destruct C
  end.
Ltac order_of_logs := repeat match goal with
  | A : 0 < ?a, H : ?a < ?b |- _ =>
      lazymatch goal with _ : ln a < ln b |- _ => fail | _ => pose proof (ln_increasing a b A H) end
  end.
Ltac signs := repeat match goal with
  | |- context [sign ?e] => first [ rewrite (sign_eq_1 e) by lra | rewrite (sign_eq_m1 e) by lra ]
  end.
Ltac switches := unfold Rmin, Rmax, Rabs;
  repeat match goal with
  | |- context [Rle_dec ?a ?b] => destruct (Rle_dec a b)
  | |- context [Rcase_abs ?a] => destruct (Rcase_abs a)
  end.
Lemma le_quotient a b c : 0 < c -> a <= b * / c -> a * c <= b.
Proof. intros Hc H. apply (Rmult_le_compat_r c) in H; [|lra]. rewrite Rmult_assoc, Rinv_l in H; lra. Qed.
Lemma not_le_quotient a b c : 0 < c -> ~ a <= b * / c -> b <= a * c.
Proof.
  intros Hc H. apply Rnot_le_lt, Rlt_le in H. apply (Rmult_le_compat_r c) in H; [|lra].
  rewrite Rmult_assoc, Rinv_l in H; lra.
Qed.
Ltac clear_quotients := unfold Rdiv in *; repeat match goal with
  | H : _ <= _ * / _ |- _ => apply le_quotient in H; [|pos]
  | H : ~ _ <= _ * / _ |- _ => apply not_le_quotient in H; [|pos]
  | H : ~ _ <= _ |- _ => apply Rnot_le_lt in H
  end.
Ltac boundary := match goal with
  | H : 0 <= ?e |- context [?e] => let E := fresh in assert (E : e = 0) by nra; rewrite E
  end.
Ltac equal := first [ field; side | clear_quotients; first [ exfalso; nra | boundary; field; side | nra ] ].
Ltac decide_equal := function_slopes; logs; signs; roots;
  first [ ring | field; side | switches; equal ].

(** ** The statements *)
Ltac derive := auto_derive; [ side | reflexivity ].
Ltac slopes := eexists; eexists; split; [ derive | split; [ derive | ] ].
Ltac on_token := cbv beta delta [everywhere] in *; cases_of_signs; order_of_logs.
(** The logarithm of a sum, with its argument as a quotient of products. *)
Ltac log_of a b := let E := fresh in assert (E : ln a = ln b) by (f_equal; field; side);
  unfold Rdiv, Rminus in *; rewrite ?E; clear E.
Ltac expected_gradient c := apply (same_gradient_by c); intros p q m r ? ? ? ?; on_token; slopes.
Ltac sample_gradient := intros p q m r ? ? ? ?; on_token; eexists; split; [ derive | evar_last; [ derive |] ].
Ltac identity := intros; unfold sinh, cosh in *; rewrite ?exp_Ropp in *; decide_equal.
Ltac slope_at := intros; evar_last; [ derive | decide_equal ].

(** ** Sums: each total is a combination of a few, token by token *)
Ltac summand := intros ? ?; cbv beta; repeat match goal with
  | P : positive ?n ?w, H : (?i <= ?n)%nat |- _ =>
      lazymatch goal with _ : 0 < w i |- _ => fail | _ => pose proof (P i H) end
  end; decide_equal.
Ltac combination := rewrite <- ?S_scal, <- ?S_plus; apply S_ext_le; summand.

Ltac totals := repeat match goal with H : S _ _ = _ |- _ => rewrite H in *; clear H end;
  first [ ring | field; side ].

(** ** A policy put in: its being positive keeps denominators away from zero *)
Ltac fixed c := intros; apply (fixed_point_by c); intros; cbv beta in *;
  repeat match goal with
  | H : 0 < ?a / ?b |- _ =>
      lazymatch goal with _ : b <> 0 |- _ => fail | _ =>
        assert (b <> 0) by (let E := fresh in intro E; rewrite E in H; unfold Rdiv in H;
                            rewrite Rinv_0, Rmult_0_r in H; lra) end
  end; decide_equal.

(** ** Where an expression is positive *)
Lemma rising (f df : R -> R) a x : a < x -> 0 <= f a ->
  (forall y, a <= y <= x -> is_derive f y (df y)) -> (forall y, a < y -> y < x -> 0 < df y) -> 0 < f x.
Proof.
  intros L Z D P. destruct (MVT_cor2 f df a x L) as (c & E & [I J]).
  - intros y I. apply is_derive_Reals. now apply D.
  - specialize (P c I J). nra.
Qed.
Lemma falling (f df : R -> R) a x : x < a -> 0 <= f a ->
  (forall y, x <= y <= a -> is_derive f y (df y)) -> (forall y, x < y -> y < a -> 0 < - df y) -> 0 < f x.
Proof.
  intros L Z D P. destruct (MVT_cor2 f df x a L) as (c & E & [I J]).
  - intros y I. apply is_derive_Reals. now apply D.
  - specialize (P c I J). nra.
Qed.
(** Tangents at 0 and 1, and monotonicity, for every exp and ln in sight. *)
Ltac note P := let T := type of P in lazymatch goal with _ : T |- _ => fail | _ => pose proof P end.
Ltac facts := repeat match goal with
  | |- context [exp ?x] => note (exp_pos x)
  | |- context [exp ?x] => note (exp_ineq1 x ltac:(lra))
  | H : ?x < 0 |- context [exp ?x] => note (exp_increasing x 0 H)
  | H : 0 < ?x |- context [exp ?x] => note (exp_increasing 0 x H)
  | H : ?x < ?b, P : 0 < ?x |- context [ln ?x] => note (ln_increasing x b P H)
  | H : ?b < ?x |- context [ln ?x] => note (ln_increasing b x ltac:(pos) H)
  end; rewrite ?exp_0, ?ln_1, ?ln_exp in *.
Ltac within := repeat match goal with
  | H : exp ?y < ?x |- _ => lazymatch goal with _ : 0 < x |- _ => fail | _ => pose proof (Rlt_trans _ _ _ (exp_pos y) H) end
  end.
Ltac factor_positive := within; facts; pos.
Ltac positive_as e := replace_goal e; factor_positive
with replace_goal e := match goal with |- 0 < ?f =>
  let E := fresh in assert (E : f = e) by first [ reflexivity | logs; field; side ]; try rewrite E; clear E end.
Ltac rise f df a y := restated f y; apply (rising f df a);
  [ lra | cbv beta; rewrite ?Ropp_0, ?exp_0, ?ln_1; lra | intros; derive_as | cbv beta ]
with fall f df a y := restated f y; apply (falling f df a);
  [ lra | cbv beta; rewrite ?Ropp_0, ?exp_0, ?ln_1; lra | intros; derive_as | cbv beta ]
with restated f y := first
  [ change (0 < f y)
  | match goal with |- 0 < ?e =>
      let E := fresh in assert (E : e = f y) by (cbv beta; first [ ring | logs; field; side ]); rewrite E; clear E end ]
with derive_as := evar_last; [ derive | cbv beta; decide_equal ].

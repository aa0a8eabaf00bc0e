(** Groups of independent draws: what centring a penalty in reward by the group's mean does to its gradient. *)
From Coq Require Import Reals Lra List.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Answers.
Import ListNotations.
Open Scope R_scope.

Section Groups.
Variable n : nat.
Variables p dp : nat -> R -> R.
Hypothesis p_pos : forall i t, 0 < p i t.
Hypothesis p_sum : forall t, S n (fun i => p i t) = 1.
Hypothesis p_der : forall i t, is_derive (p i) t (dp i t).

(** The mean of F over groups of `size` independent draws, one more draw at the head of the list. *)
Definition group_mean t size := E n (fun _ => false) (fun _ a => p a t) size.

Lemma group_mean_last t size h F :
  group_mean t (Datatypes.S size) h F = group_mean t size h (fun y => S n (fun a => p a t * F (a :: y))).
Proof.
  revert h. induction size as [|size IH]; intro h; [reflexivity|].
  change (S n (fun a => p a t * group_mean t (Datatypes.S size) (a :: h) F) =
    S n (fun a => p a t * group_mean t size (a :: h) (fun y => S n (fun b => p b t * F (b :: y))))).
  apply S_ext. intro a. now rewrite IH.
Qed.
Lemma group_mean_constant t size F v : (forall y, F y = v) -> group_mean t size [] F = v.
Proof.
  intro H. unfold group_mean. rewrite (E_fair n (fun _ => false) _ size [] F); [apply H|].
  intro h. rewrite H. rewrite (S_ext n _ (fun a => v * p a t)) by (intro a; rewrite H; ring).
  rewrite (S_scal n v), p_sum. ring.
Qed.

(** One sample's penalty c, and its score; the draws are alike, so any sample of the group is the one at the head. *)
Variable c : nat -> R.
Definition penalty_gradient t := S n (fun a => p a t * (c a * score p dp a t)).
Definition sum_of (y : prefix) := total (fun _ a => c a) y.
Definition centred (centre : prefix -> R) t (y : prefix) :=
  match y with [] => 0 | a :: _ => (c a - centre y) * score p dp a t end.

Lemma one_sample t scale shift :
  S n (fun a => p a t * ((c a * scale - shift) * score p dp a t)) = scale * penalty_gradient t.
Proof.
  rewrite (S_ext n _ (fun a => scale * (p a t * (c a * score p dp a t)) + p a t * ((- shift) * score p dp a t)))
    by (intro; ring).
  rewrite S_plus, (S_scal n scale), (baseline n p dp p_pos p_sum p_der). unfold penalty_gradient. ring.
Qed.

(* kl-oracle: group-centring.self-inclusive *)
Theorem self_inclusive t others :
  group_mean t (Datatypes.S others) [] (centred (fun y => sum_of y / INR (Datatypes.S others)) t) =
  (1 - 1 / INR (Datatypes.S others)) * penalty_gradient t.
Proof.
  rewrite group_mean_last. apply group_mean_constant. intro y.
  rewrite <- (one_sample t (1 - 1 / INR (Datatypes.S others)) (sum_of y / INR (Datatypes.S others))).
  apply S_ext. intro a. unfold centred, sum_of. cbn [total]. unfold Rdiv. ring.
Qed.

(* kl-oracle: group-centring.leave-one-out *)
Theorem leave_one_out t others :
  group_mean t (Datatypes.S others) [] (centred (fun y => sum_of (tl y) / INR others) t) = penalty_gradient t.
Proof.
  rewrite group_mean_last. apply group_mean_constant. intro y.
  rewrite <- (Rmult_1_l (penalty_gradient t)), <- (one_sample t 1 (sum_of y / INR others)).
  apply S_ext. intro a. unfold centred. cbn [tl]. ring.
Qed.
End Groups.

(** k1, k2, k3 as loss and in reward, and their values. *)
From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy.
Open Scope R_scope.

Definition k1 (x : R) : R := x.
Definition k2 (x : R) : R := x * x / 2.
Definition k3 (x : R) : R := exp (- x) - 1 + x.
(** k3's coefficient, its derivative. *)
Definition dk3 (x : R) : R := 1 - exp (- x).

Lemma k1_derive x : is_derive k1 x 1.
Proof. unfold k1. auto_derive; [exact I | reflexivity]. Qed.
Lemma k2_derive x : is_derive k2 x x.
Proof. unfold k2. auto_derive; [exact I | field]. Qed.
Lemma k3_derive x : is_derive k3 x (dk3 x).
Proof. unfold k3, dk3. auto_derive; [exact I | ring]. Qed.

Section Placed.
Variable n : nat.
Variables p dp : nat -> R -> R.
Variable q : nat -> R.
Hypothesis p_pos : forall i t, 0 < p i t.
Hypothesis p_sum : forall t, S n (fun i => p i t) = 1.
Hypothesis p_der : forall i t, is_derive (p i) t (dp i t).
Hypothesis q_pos : forall i, 0 < q i.
Let RKL := reverse_kl n p q.
Let FKL := forward_kl n p q.
Lemma Derive_RKL t : Derive RKL t = coefficient n p dp q (fun x => x) t.
Proof. apply is_derive_unique. apply reverse_kl_gradient; assumption. Qed.
Lemma Derive_FKL t : Derive FKL t = coefficient n p dp q dk3 t.
Proof. apply is_derive_unique. apply forward_kl_gradient; assumption. Qed.

Theorem k1_as_loss t : is_derive (as_loss n p q k1 t) t 0.
Proof.
  evar_last. { apply (as_loss_gradient n p dp q p_pos p_der k1 (fun _ => 1)), k1_derive. }
  apply baseline; assumption.
Qed.
Theorem k2_as_loss t : is_derive (as_loss n p q k2 t) t (Derive RKL t).
Proof. rewrite Derive_RKL. exact (as_loss_gradient n p dp q p_pos p_der k2 (fun x => x) t k2_derive). Qed.
Theorem k3_as_loss t : is_derive (as_loss n p q k3 t) t (Derive FKL t).
Proof. rewrite Derive_FKL. exact (as_loss_gradient n p dp q p_pos p_der k3 dk3 t k3_derive). Qed.
Theorem k1_in_reward t : is_derive (in_reward n p q k1 t) t (Derive RKL t).
Proof. rewrite Derive_RKL. exact (in_reward_gradient n p dp q p_pos p_der k1 t). Qed.
Theorem k3_in_reward t : is_derive (in_reward n p q k3 t) t (Derive RKL t - Derive FKL t).
Proof.
  rewrite Derive_RKL, Derive_FKL, <- coefficient_minus.
  evar_last. { apply (in_reward_gradient n p dp q p_pos p_der k3 t). }
  apply coefficient_ext. intro x. unfold k3, dk3. ring.
Qed.

(** ** Values: k1 and k3 are unbiased, k3 only as far as the reference's mass lies on the tokens summed over *)
Theorem k3_mean_of_mass t mass : S n q = mass -> mean n p q k3 t = RKL t - (1 - mass).
Proof.
  intro Hq. unfold mean, k3, RKL, reverse_kl.
  rewrite (S_ext _ _ (fun i => (q i - p i t) + p i t * log_ratio p q i t)).
  - rewrite S_plus, S_minus, Hq, p_sum. ring.
  - intro i. rewrite (exp_opp_log_ratio p q p_pos q_pos). field. apply (p_neq0 p p_pos).
Qed.
Theorem k3_mean t : S n q = 1 -> mean n p q k3 t = RKL t.
Proof. intro Hq. rewrite (k3_mean_of_mass t 1 Hq). ring. Qed.
End Placed.

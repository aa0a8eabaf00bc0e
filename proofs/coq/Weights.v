(** Tokens drawn from another policy m: no weight, the detached weight, and the weight differentiated. *)
From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Policy Estimators.
Open Scope R_scope.

Section OffPolicy.
Variable n : nat.
Variables p dp : nat -> R -> R.
Variables q m : nat -> R.
Hypothesis p_pos : forall i t, 0 < p i t.
Hypothesis p_sum : forall t, S n (fun i => p i t) = 1.
Hypothesis p_der : forall i t, is_derive (p i) t (dp i t).
Hypothesis q_pos : forall i, 0 < q i.
Hypothesis m_pos : forall i, 0 < m i.
Lemma m_neq0 i : m i <> 0.
Proof. apply Rgt_not_eq, m_pos. Qed.
Let L := log_ratio p q.
Let s := score p dp.

(** *** Without a weight: the bias in full *)
Definition unweighted (c : R -> R) t := S n (fun i => m i * (c (L i t) * s i t)).
Theorem unweighted_bias c t :
  unweighted c t - coefficient n p dp q c t = S n (fun i => (m i - p i t) * (c (L i t) * s i t)).
Proof. unfold unweighted, coefficient. rewrite <- S_minus. apply S_ext. intro; unfold L, s; ring. Qed.

(** *** rho detached: as on-policy *)
Definition detached_loss (f : R -> R) t0 t := S n (fun i => m i * (p i t0 / m i * f (L i t))).
Theorem detached_is_on_policy f t0 t : detached_loss f t0 t = as_loss n p q f t0 t.
Proof. apply S_ext. intro i. unfold L. field. apply m_neq0. Qed.

(** *** rho differentiated: the gradient of the mean, that is of E_policy[k] *)
Definition differentiated_loss (f : R -> R) t := S n (fun i => m i * (p i t / m i * f (L i t))).
Theorem differentiated_is_mean f t : differentiated_loss f t = mean n p q f t.
Proof. apply S_ext. intro i. unfold L. field. apply m_neq0. Qed.
Theorem differentiated_gradient f df t : (forall x, is_derive f x (df x)) ->
  is_derive (differentiated_loss f) t (coefficient n p dp q (fun x => f x + df x) t).
Proof.
  intro Hf. apply (is_derive_ext (mean n p q f)). { intro; symmetry; apply differentiated_is_mean. }
  now apply mean_gradient.
Qed.
Theorem differentiated_k1 t : is_derive (differentiated_loss k1) t (Derive (reverse_kl n p q) t).
Proof.
  rewrite (Derive_RKL n p dp q p_pos p_sum p_der), <- (coefficient_baseline n p dp q p_pos p_sum p_der _ 1).
  apply (differentiated_gradient k1 (fun _ => 1)), k1_derive.
Qed.
Theorem differentiated_k3 t : is_derive (differentiated_loss k3) t (Derive (reverse_kl n p q) t).
Proof.
  rewrite (Derive_RKL n p dp q p_pos p_sum p_der).
  evar_last. { apply (differentiated_gradient k3 dk3), k3_derive. }
  apply coefficient_ext. intro x. unfold k3, dk3. ring.
Qed.
(** k2 in it has the gradient of E_policy[k2], coefficient L^2/2 + L, and not that of KL(policy||reference). *)
Theorem differentiated_k2 t :
  is_derive (differentiated_loss k2) t (coefficient n p dp q (fun x => x * x / 2 + x) t).
Proof. apply (differentiated_gradient k2 (fun x => x)), k2_derive. Qed.
End OffPolicy.

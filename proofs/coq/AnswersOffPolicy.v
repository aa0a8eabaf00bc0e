(** Whole answers drawn from the sampler, at every horizon T: what each importance weight corrects. *)
From Coq Require Import Reals Lra List.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Tokens Tactics Estimators Answers World.
Import ListNotations.
Open Scope R_scope.

Section OffPolicy.
Variable n : nat.
Variable ends : nat -> bool.
Variable T : nat.
Variable p : R -> prefix -> nat -> R.
Variables q m : prefix -> nat -> R.
Hypothesis p_pos : forall t h a, 0 < p t h a.
Hypothesis p_sum : forall t h, S n (p t h) = 1.
Hypothesis p_der : forall t h a, ex_derive (fun u => p u h a) t.
Hypothesis q_pos : forall h a, 0 < q h a.
Hypothesis q_sum : forall h, S n (q h) = 1.
Hypothesis m_pos : forall h a, 0 < m h a.
Hypothesis m_sum : forall h, S n (m h) = 1.
Notation L := (L p q).
Notation rho := (rho p m).
Notation log_policy := (log_policy p).
Notation KL := (KL n p q).
Notation KLref := (KLref n p q).
Notation s := (score p).
Notation dKL := (dKL n p q).
Notation dKLref := (dKLref n p q).
Notation from_policy := (from_policy n ends T p).
Notation from_sampler := (from_sampler n ends T m).
Notation mean_of := (mean_of n ends T p).
Ltac sampled := sampled_in n q p m.
Ltac fair := fair_in n p q m 0 1.
Ltac fair_whole cp cq cps cpLs := fair_in n p q m 1 0 cp cq no cps no cpLs no no.

Notation A := (fun t h => total (fun h a => L t h a) h).
Notation Sc := (fun t h => total (fun h a => s t h a) h).
Notation B := (fun t h => total (fun h a => exp (- L t h a) - 1 + L t h a) h).
Notation W := (fun t h => product (fun h a => rho t h a) h).

(** ** Values *)

(* kl-oracle: off-policy.value.cumulative-k1 *)
Theorem cumulative_k1_value : equal_values
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t h a) (a :: h) * L t h a) y))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. sampled.
  fair (fun h => - (W t0 h * A t0 h)) no (fun h => W t0 h * A t0 h) no no no no no. Qed.

(* kl-oracle: off-policy.value.cumulative-k3 *)
Theorem cumulative_k3_value : equal_values
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t h a) (a :: h) * k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. sampled.
  fair (fun h => - W t0 h - W t0 h * A t0 h) (fun h => W t0 h) (fun h => W t0 h * A t0 h) no no no no no. Qed.

(* kl-oracle: off-policy.value.whole-k3 *)
Theorem whole_k3_value : equal_values
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * total (fun h a => k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. sampled.
  fair (fun h => W t0 h * (B t0 h - A t0 h) - W t0 h) (fun h => W t0 h) (fun h => - (W t0 h * (B t0 h - A t0 h))) no no no no no. Qed.

(* kl-oracle: off-policy.value.rao-blackwell *)
Theorem rao_blackwell_value : equal_values
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t h a) h * KL t h) y))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. sampled.
  fair (fun h => - (W t0 h * A t0 h)) no (fun h => W t0 h * KL t0 h + W t0 h * A t0 h) no (fun h => - W t0 h) no no no. Qed.

(* kl-oracle: off-policy.value.token-k3 *)
Theorem token_k3_value : equal_values
  (from_sampler (fun t0 t y => total (fun h a => rho t h a * k3 (L t h a)) y))
  (from_sampler (fun t0 t y => total (fun h a => KL t h) y)).
Proof. values.
  fair (fun _ : prefix => -1) once (fun h => - KL t0 h) no once no no no. Qed.

(** ** The weight of the token alone *)

(* kl-oracle: off-policy.token-weight.k3-live *)
Theorem token_weight_k3_live : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => rho t h a * k3 (L t h a)) y))
  (from_sampler (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients.
  fair no no (fun h => - dKL t0 h) no no once no no. Qed.

(* kl-oracle: off-policy.token-weight.k1-live *)
Theorem token_weight_k1_live : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => rho t h a * L t h a) y))
  (from_sampler (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients.
  fair no no (fun h => - dKL t0 h) once no once no no. Qed.

(* kl-oracle: off-policy.token-weight.k2-detached *)
Theorem token_weight_k2_detached : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => rho t0 h a * k2 (L t h a)) y))
  (from_sampler (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients.
  fair no no (fun h => - dKL t0 h) no no once no no. Qed.

(* kl-oracle: off-policy.token-weight.k3-detached *)
Theorem token_weight_k3_detached : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => rho t0 h a * k3 (L t h a)) y))
  (from_sampler (fun t0 t y => total (fun h a => KLref t h) y)).
Proof. gradients.
  fair no no (fun h => - dKLref t0 h) once no no (fun _ : prefix => -1) no. Qed.

(** ** Detached weights of the prefix and of the answer *)

(* kl-oracle: off-policy.cumulative-detached.k2 *)
Theorem cumulative_detached_k2 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t0 h a) (a :: h) * k2 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (total (fun h a => dKL t0 h) h + dKL t0 h))) no (fun h => W t0 h * total (fun h a => dKL t0 h) h) no no (fun h => W t0 h) no no. Qed.

(* kl-oracle: off-policy.cumulative-detached.k3 *)
Theorem cumulative_detached_k3 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t0 h a) (a :: h) * k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KLref t h) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (total (fun h a => dKLref t0 h) h + dKLref t0 h))) no (fun h => W t0 h * total (fun h a => dKLref t0 h) h) (fun h => W t0 h) no no (fun h => - W t0 h) no. Qed.

(* kl-oracle: off-policy.prefix-detached.k3 *)
Theorem prefix_detached_k3 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t0 h a) h * rho t h a * k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (total (fun h a => dKL t0 h) h + dKL t0 h))) no (fun h => W t0 h * total (fun h a => dKL t0 h) h) no no (fun h => W t0 h) no no. Qed.

(* kl-oracle: off-policy.whole-detached.k2 *)
Theorem whole_detached_k2 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t0 h a) y * total (fun h a => k2 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. sampled. fair_whole (fun h => - (W t0 h * dKL t0 h)) no no (fun h => W t0 h). Qed.

(* kl-oracle: off-policy.whole-detached.k1 *)
Theorem whole_detached_k1 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t0 h a) y * total (fun h a => L t h a) y))
  (from_policy (fun t0 t y => 0)).
Proof. gradients. sampled.
  fair (fun h => W t0 h * Sc t0 h) no (fun h => - (W t0 h * Sc t0 h)) (fun h => W t0 h) no no no no. Qed.

(* kl-oracle: off-policy.whole-detached.sequence-k2 *)
Theorem whole_detached_sequence_k2 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t0 h a) y * k2 (total (fun h a => L t h a) y)))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * Sc t0 h)) no (fun h => W t0 h * Sc t0 h) (fun h => - W t0 h) no no no no. Qed.

(* kl-oracle: off-policy.whole-detached.sequence-k3 *)
Theorem whole_detached_sequence_k3 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t0 h a) y * k3 (total (fun h a => L t h a) y)))
  (mean_of (fun t0 t y => - exp (- total (fun h a => L t h a) y) * total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => W t0 h * Sc t0 h) no (fun h => - (W t0 h * Sc t0 h)) (fun h => W t0 h) no no no no. Qed.

(** ** Weights differentiated *)

(* kl-oracle: off-policy.cumulative-live.k1 *)
Theorem cumulative_live_k1 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t h a) (a :: h) * L t h a) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (A t0 h + 1) * Sc t0 h)) no (fun h => W t0 h * (A t0 h + 1) * Sc t0 h) (fun h => - (W t0 h * A t0 h)) no no no no. Qed.

(* kl-oracle: off-policy.cumulative-live.k3 *)
Theorem cumulative_live_k3 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t h a) (a :: h) * k3 (L t h a)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (A t0 h + 2) * Sc t0 h)) (fun h => W t0 h * Sc t0 h) (fun h => W t0 h * (A t0 h + 1) * Sc t0 h) (fun h => - (W t0 h * (A t0 h + 1))) no no no no. Qed.

(* kl-oracle: off-policy.cumulative-live.k3-sample *)
Theorem cumulative_live_k3_sample : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t0 h a) (a :: h) *
    (L t0 h a * log_policy t h a + k3 (L t0 h a) * total (fun h a => log_policy t h a) h)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (A t0 h + 2) * Sc t0 h)) (fun h => W t0 h * Sc t0 h) (fun h => W t0 h * (A t0 h + 1) * Sc t0 h) (fun h => - (W t0 h * (A t0 h + 1))) no no no no. Qed.

(* kl-oracle: off-policy.cumulative-reward-to-go *)
Theorem cumulative_reward_to_go : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => (total (fun h a => product (fun h a => rho t0 h a) (a :: h) * L t0 h a) y
    - total (fun h a => product (fun h a => rho t0 h a) (a :: h) * L t0 h a) h) * log_policy t h a) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. returns. sampled.
  fair (fun h => - (W t0 h * (A t0 h + 1) * Sc t0 h)) no (fun h => W t0 h * (A t0 h + 1) * Sc t0 h) (fun h => - (W t0 h * (A t0 h + 1))) no no no no. Qed.

(* kl-oracle: off-policy.whole-live.k1 *)
Theorem whole_live_k1 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * total (fun h a => L t h a) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled. by_sample. Qed.

(* kl-oracle: off-policy.whole-live.k3 *)
Theorem whole_live_k3 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * total (fun h a => k3 (L t h a)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair_whole (fun h => - (W t0 h * Sc t0 h)) (fun h => W t0 h * Sc t0 h) (fun h => W t0 h * (B t0 h - A t0 h - 1)) no. Qed.

(* kl-oracle: off-policy.whole-live.sequence-k3 *)
Theorem whole_live_sequence_k3 : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * k3 (total (fun h a => L t h a) y)))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * Sc t0 h)) no (fun h => W t0 h * Sc t0 h) (fun h => - W t0 h) no no no no. Qed.

(* kl-oracle: off-policy.rao-blackwell *)
Theorem rao_blackwell : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => rho t0 h a) h * (KL t h + KL t0 h * total (fun h a => log_policy t h a) h)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. sampled.
  fair (fun h => - (W t0 h * (A t0 h + 1) * Sc t0 h)) no (fun h => W t0 h * (dKL t0 h + KL t0 h * Sc t0 h) + W t0 h * (A t0 h + 1) * Sc t0 h) (fun h => - (W t0 h * (A t0 h + 1))) (fun h => - (W t0 h * Sc t0 h)) (fun h => - W t0 h) no no. Qed.

(** ** Others *)

(* kl-oracle: off-policy.stale-reward *)
Theorem stale_reward : equal_gradients
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * total (fun h a => L t0 h a - ln (rho t0 h a)) y))
  (from_sampler (fun t0 t y => product (fun h a => rho t h a) y * total (fun h a => L t h a - ln (rho t h a)) y)).
Proof.
  gradients. apply E_ext. intro y.
  assert (Z : total (fun h a => s t0 h a - rho t0 h a * s t0 h a / rho t0 h a) y = 0).
  { induction y as [|a h IH]; cbn [total]; [reflexivity|]. rewrite IH. field. apply Rgt_not_eq, rho_pos; assumption. }
  rewrite Z. ring.
Qed.

(* kl-oracle: off-policy.sequence-weight.k3 *)
Theorem sequence_weight_k3 : equal_gradients
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => Rpower (rho t h a) (1 / size y)) y * k3 (L t h a)) y))
  (from_sampler (fun t0 t y => total (fun h a => product (fun h a => Rpower (rho t0 h a) (1 / size y)) y * k3 (L t h a)) y
    + product (fun h a => Rpower (rho t0 h a) (1 / size y)) y * total (fun h a => k3 (L t0 h a)) y
      * total (fun h a => log_policy t h a) y / size y)).
Proof.
  gradients. apply E_ext. intro y. rewrite total_plus.
  rewrite (total_scal (product (fun h a => Rpower (rho t0 h a) (1 / size y)) y *
    (1 / size y * total (fun h a => s t0 h a) y)) (fun h a => exp (- L t0 h a) - 1 + L t0 h a)).
  unfold Rdiv. ring.
Qed.
End OffPolicy.

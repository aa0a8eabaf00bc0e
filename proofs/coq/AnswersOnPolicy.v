(** Whole answers drawn from the policy, at every horizon T: values, losses, rewards and returns. *)
From Coq Require Import Reals Lra List.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Tokens Tactics Estimators Answers World.
Import ListNotations.
Open Scope R_scope.

Section OnPolicy.
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
Notation log_policy := (log_policy p).
Notation KL := (KL n p q).
Notation KLref := (KLref n p q).
Notation s := (score p).
Notation dKL := (dKL n p q).
Notation dKLref := (dKLref n p q).
Notation from_policy := (from_policy n ends T p).
Notation mean_of := (mean_of n ends T p).
Ltac fair cp cq cps cpL cpLs cqs cqL := fair_in n p q m 1 0 cp cq no cps cpL cpLs cqs cqL.

Notation A := (fun t h => total (fun h a => L t h a) h).
Notation Sc := (fun t h => total (fun h a => s t h a) h).

(** ** Values *)

(* kl-oracle: sequence.value.chain-rule *)
Theorem chain_rule : equal_values
  (from_policy (fun t0 t y => total (fun h a => L t h a) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. values. fair (fun h => - KL t0 h) no no once no no no. Qed.

(* kl-oracle: sequence.value.token-k3 *)
Theorem token_k3_value : equal_values
  (from_policy (fun t0 t y => total (fun h a => k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. fair (fun _ : prefix => -1) once no no no no no. Qed.

(* kl-oracle: sequence.value.sequence-k3 *)
Theorem sequence_k3_value : equal_values
  (from_policy (fun t0 t y => k3 (total (fun h a => L t h a) y)))
  (from_policy (fun t0 t y => total (fun h a => L t h a) y)).
Proof. values. fair (fun h => - exp (- A t0 h)) (fun h => exp (- A t0 h)) no no no no no. Qed.

(* kl-oracle: sequence.value.reference-chain-rule *)
Theorem reference_chain_rule : equal_values
  (from_policy (fun t0 t y => - exp (- total (fun h a => L t h a) y) * total (fun h a => L t h a) y))
  (from_policy (fun t0 t y => total (fun h a => product (fun h a => exp (- L t h a)) h * KLref t h) y)).
Proof. values. from_reference.
  fair (fun h => exp (- A t0 h) * A t0 h - exp (- A t0 h) * KLref t0 h) (fun h => - exp (- A t0 h) * A t0 h)
    no no no no (fun h => - exp (- A t0 h)). Qed.

(** ** The answer as one action *)

(* kl-oracle: sequence.k1-loss *)
Theorem k1_loss : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => L t h a) y))
  (from_policy (fun t0 t y => 0)).
Proof. gradients. fair no no once no no no no. Qed.

(* kl-oracle: sequence.k2-loss *)
Theorem k2_loss : equal_gradients
  (from_policy (fun t0 t y => k2 (total (fun h a => L t h a) y)))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. fair no no (fun _ : prefix => -1) no no no no. Qed.

(* kl-oracle: sequence.k3-loss *)
Theorem k3_loss : equal_gradients
  (from_policy (fun t0 t y => k3 (total (fun h a => L t h a) y)))
  (mean_of (fun t0 t y => - exp (- total (fun h a => L t h a) y) * total (fun h a => L t h a) y)).
Proof. gradients. fair no no once no no no no. Qed.

(* kl-oracle: sequence.forward-kl.scores *)
Theorem forward_kl_scores : equal_gradients
  (from_policy (fun t0 t y => - product (fun h a => exp (- L t0 h a)) y * total (fun h a => log_policy t h a) y))
  (mean_of (fun t0 t y => - exp (- total (fun h a => L t h a) y) * total (fun h a => L t h a) y)).
Proof. gradients. from_reference. fair no no no no no no no. Qed.

(* kl-oracle: sequence.forward-kl.reference-prefixes *)
Theorem forward_kl_reference_prefixes : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => product (fun h a => exp (- L t0 h a)) h * KLref t h) y))
  (mean_of (fun t0 t y => - exp (- total (fun h a => L t h a) y) * total (fun h a => L t h a) y)).
Proof. gradients. from_reference.
  fair (fun h => exp (- A t0 h) * dKLref t0 h - exp (- A t0 h) * Sc t0 h) (fun h => exp (- A t0 h) * Sc t0 h)
    no no no (fun h => exp (- A t0 h)) no. Qed.

(** ** Token by token *)

(* kl-oracle: sequence.token-k2-loss *)
Theorem token_k2_loss : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => k2 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. fair (fun h => - dKL t0 h) no no no once no no. Qed.

(* kl-oracle: sequence.token-k1-reward *)
Theorem token_k1_reward : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => L t0 h a * log_policy t h a) y))
  (from_policy (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. fair (fun h => - dKL t0 h) no no no once no no. Qed.

(* kl-oracle: sequence.token-k3-loss *)
Theorem token_k3_loss : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => KLref t h) y)).
Proof. gradients. fair (fun h => - dKLref t0 h) no once no no (fun _ : prefix => -1) no. Qed.

(* kl-oracle: sequence.token-k3-both *)
Theorem token_k3_both : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => k3 (L t0 h a) * log_policy t h a) y + total (fun h a => k3 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => k2 (L t h a)) y)).
Proof. gradients. fair no no no no no no no. Qed.

(** ** Returns *)

(* kl-oracle: sequence.k1-full-return *)
Theorem k1_full_return : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => total (fun h a => L t0 h a) y * log_policy t h a) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. returns. fair no no (fun _ : prefix => -1) no no no no. Qed.

(* kl-oracle: sequence.k1-reward-to-go *)
Theorem k1_reward_to_go : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => (total (fun h a => L t0 h a) y - total (fun h a => L t0 h a) h) * log_policy t h a) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. returns. fair no no (fun h => - (A t0 h + 1)) no no no no. Qed.

(* kl-oracle: sequence.k3-reward-to-go-and-loss *)
Theorem k3_reward_to_go_and_loss : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => (total (fun h a => k3 (L t0 h a)) y - total (fun h a => k3 (L t0 h a)) h) * log_policy t h a) y
    + total (fun h a => k3 (L t h a)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. returns. fair (fun h => - Sc t0 h) (fun h => Sc t0 h) (fun h => - (A t0 h + 1)) no no no no. Qed.

(* kl-oracle: sequence.past-terms-vanish *)
Theorem past_terms_vanish : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => total (fun h a => L t0 h a) h * log_policy t h a) y))
  (from_policy (fun t0 t y => 0)).
Proof. gradients. fair no no (fun h => A t0 h) no no no no. Qed.

(* kl-oracle: sequence.missing-term *)
Theorem missing_term : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => L t h a) y
    + total (fun h a => L t0 h a) y * total (fun h a => log_policy t h a) y - total (fun h a => k2 (L t h a)) y))
  (from_policy (fun t0 t y => total (fun h a => (total (fun h a => L t0 h a) y - total (fun h a => L t0 h a) (a :: h)) * log_policy t h a) y)).
Proof. gradients. returns. fair no no (fun h => A t0 h + 1) no no no no. Qed.

(* kl-oracle: sequence.missing-term.divergences *)
Theorem missing_term_divergences : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => (total (fun h a => L t0 h a) y - total (fun h a => L t0 h a) (a :: h)) * log_policy t h a) y))
  (from_policy (fun t0 t y => total (fun h a => (total (fun h a => KL t0 h) y - total (fun h a => KL t0 h) (a :: h)) * log_policy t h a) y)).
Proof. gradients. returns. fair (fun h => - (Sc t0 h * KL t0 h)) no no (fun h => Sc t0 h) no no no. Qed.

(* kl-oracle: sequence.exact-divergence-gradient *)
Theorem exact_divergence_gradient : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => KL t h) y
    + total (fun h a => (total (fun h a => KL t0 h) y - total (fun h a => KL t0 h) (a :: h)) * log_policy t h a) y))
  (mean_of (fun t0 t y => total (fun h a => KL t h) y)).
Proof. gradients. returns. fair no no (fun h => - (total (fun h a => KL t0 h) h + KL t0 h)) no no no no. Qed.

(* kl-oracle: sequence.rao-blackwell *)
Theorem rao_blackwell : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => KL t h + KL t0 h * total (fun h a => log_policy t h a) h) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. fair (fun h => dKL t0 h + KL t0 h * Sc t0 h) no (fun h => - (A t0 h + 1)) (fun h => - Sc t0 h)
    (fun _ : prefix => -1) no no. Qed.

(* kl-oracle: sequence.live-ratio *)
Theorem live_ratio : equal_gradients
  (from_policy (fun t0 t y => total (fun h a =>
    product (fun h a => exp (log_policy t h a - log_policy t0 h a)) (a :: h) * k3 (L t h a)) y))
  (mean_of (fun t0 t y => total (fun h a => L t h a) y)).
Proof. gradients. ratio_is_one. fair (fun h => - Sc t0 h) (fun h => Sc t0 h) (fun h => - (A t0 h + 1)) no no no no. Qed.

(** ** Lengths, with or without end tokens *)

(* kl-oracle: sequence.length-normalised-k1 *)
Theorem length_normalised_k1 : equal_gradients
  (from_policy (fun t0 t y => total (fun h a => L t h a) y / size y))
  (mean_of (fun t0 t y => 1 / size y)).
Proof. gradients. by_sample. Qed.

(* kl-oracle: sequence.length-normalised-k1-reward *)
Theorem length_normalised_k1_reward : equal_gradients
  (mean_of (fun t0 t y => total (fun h a => L t h a) y / size y))
  (from_policy (fun t0 t y => total (fun h a => total (fun h a => L t0 h a) y / size y * log_policy t h a) y
    + (1 / size y + 1 / size y * total (fun h a => log_policy t h a) y))).
Proof. gradients. returns. by_sample. Qed.

(* kl-oracle: sequence.constant-divisor *)
Theorem constant_divisor d : 0 < d ->  equal_gradients
  (from_policy (fun t0 t y => total (fun h a => L t h a) y / d))
  (from_policy (fun t0 t y => 0)).
Proof. intro Hd. gradients. fair no no (fun _ : prefix => / d) no no no no. Qed.
End OnPolicy.

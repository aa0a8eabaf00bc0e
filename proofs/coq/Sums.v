(** Finite sums over the vocabulary {0, ..., n}. *)
From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Definition S (n : nat) (a : nat -> R) : R := sum_n a n.

Lemma S_0 a : S 0 a = a 0%nat.
Proof. exact (sum_O a). Qed.
Lemma S_next n a : S (Datatypes.S n) a = S n a + a (Datatypes.S n).
Proof. exact (sum_Sn a n). Qed.
Lemma S_ext_le n a b : (forall i, (i <= n)%nat -> a i = b i) -> S n a = S n b.
Proof. exact (sum_n_ext_loc a b n). Qed.
Lemma S_ext n a b : (forall i, a i = b i) -> S n a = S n b.
Proof. intro H. apply S_ext_le. intros i _. apply H. Qed.
Lemma S_plus n a b : S n (fun i => a i + b i) = S n a + S n b.
Proof. exact (sum_n_plus a b n). Qed.
Lemma S_scal n c a : S n (fun i => c * a i) = c * S n a.
Proof. exact (sum_n_mult_l (K := R_Ring) c a n). Qed.
Lemma S_minus n a b : S n (fun i => a i - b i) = S n a - S n b.
Proof.
  replace (S n a - S n b) with (S n a + (-1) * S n b) by ring.
  rewrite <- (S_scal n (-1) b), <- (S_plus n a). apply S_ext. intros; ring.
Qed.
Lemma S_zero n : S n (fun _ => 0) = 0.
Proof.
  rewrite (S_ext n _ (fun _ => 0 * 1)) by (intros; ring).
  rewrite (S_scal n 0 (fun _ => 1)). ring.
Qed.
Lemma S_derive n (f : nat -> R -> R) x d :
  (forall i, is_derive (f i) x (d i)) -> is_derive (fun t => S n (fun i => f i t)) x (S n d).
Proof. intro H. apply (is_derive_sum_n f n x d). intros i _. apply H. Qed.
Lemma S_positive n a : (forall i, 0 < a i) -> 0 < S n a.
Proof.
  intro H. induction n as [|n IH].
  - rewrite S_0. apply H.
  - rewrite S_next. specialize (H (Datatypes.S n)). lra.
Qed.
Lemma S_le n a b : (forall i, a i <= b i) -> S n a <= S n b.
Proof.
  intro H. induction n as [|n IH].
  - rewrite !S_0. apply H.
  - rewrite !S_next. specialize (H (Datatypes.S n)). lra.
Qed.

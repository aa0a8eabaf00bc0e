(** Whole answers: any finite vocabulary {0, ..., n}, any horizon T, any prefix-dependent policy.

    An answer is the list of its tokens, the last one first, so that what is left of it after its head is the prefix
    that the head was drawn after. `ends a` says that token a ends an answer: with `fun _ => false` all answers have T
    tokens; otherwise an answer stops at its first end token, or after T tokens. *)
From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From KLOracle Require Import Sums Tokens.
Import ListNotations.
Open Scope R_scope.

Definition prefix := list nat.

(** The sum over the tokens a of an answer of f (the tokens before a) a, and the product. *)
Fixpoint total (f : prefix -> nat -> R) (y : prefix) : R :=
  match y with [] => 0 | a :: h => total f h + f h a end.
Fixpoint product (f : prefix -> nat -> R) (y : prefix) : R :=
  match y with [] => 1 | a :: h => product f h * f h a end.
(** The number of tokens. *)
Definition size (y : prefix) : R := total (fun _ _ => 1) y.

Section Expectation.
Variable n : nat.
Variable ends : nat -> bool.

(** The mean of F over the answers that go on after h for at most T tokens, each drawn from w. *)
Fixpoint E (w : prefix -> nat -> R) (T : nat) (h : prefix) (F : prefix -> R) : R :=
  match T with
  | O => F h
  | Datatypes.S T => S n (fun a => w h a * if ends a then F (a :: h) else E w T (a :: h) F)
  end.

Lemma E_ext w T h F G : (forall y, F y = G y) -> E w T h F = E w T h G.
Proof.
  intro H. revert h. induction T as [|T IH]; intro h; simpl; [apply H|].
  apply S_ext. intro a. destruct (ends a); [now rewrite H | now rewrite IH].
Qed.
Lemma E_plus w T h F G : E w T h (fun y => F y + G y) = E w T h F + E w T h G.
Proof.
  revert h. induction T as [|T IH]; intro h; simpl; [reflexivity|].
  rewrite <- S_plus. apply S_ext. intro a. destruct (ends a); [ring | rewrite IH; ring].
Qed.
Lemma E_scal w T h c F : E w T h (fun y => c * F y) = c * E w T h F.
Proof.
  revert h. induction T as [|T IH]; intro h; simpl; [reflexivity|].
  rewrite <- (S_scal n c). apply S_ext. intro a. destruct (ends a); [ring | rewrite IH; ring].
Qed.
Lemma E_minus w T h F G : E w T h (fun y => F y - G y) = E w T h F - E w T h G.
Proof.
  rewrite (E_ext w T h (fun y => F y - G y) (fun y => F y + (-1) * G y)) by (intro; ring).
  rewrite E_plus, E_scal. ring.
Qed.

(** What keeps its mean from one token to the next keeps it over whole answers. *)
Theorem E_fair w T h D :
  (forall h, S n (fun a => w h a * D (a :: h)) = D h) -> E w T h D = D h.
Proof.
  intro H. revert h. induction T as [|T IH]; intro h; simpl; [reflexivity|].
  rewrite <- (H h). apply S_ext. intro a. destruct (ends a); [reflexivity | now rewrite IH].
Qed.
(** Two functions of the answer have one mean if their difference is fair and starts from 0. *)
Theorem E_same w T F G : F [] = G [] ->
  (forall h, S n (fun a => w h a * (F (a :: h) - G (a :: h))) = F h - G h) -> E w T [] F = E w T [] G.
Proof.
  intros Z H. apply Rminus_diag_uniq. rewrite <- E_minus.
  etransitivity; [exact (E_fair w T [] (fun y => F y - G y) H) | simpl; lra].
Qed.

(** Importance weights: the mean under m of (the product of p/m) F is the mean of F under p. *)
Lemma E_weight_from w m T h F : (forall h a, m h a <> 0) ->
  E m T h (fun y => product (fun h a => w h a / m h a) y * F y) =
  product (fun h a => w h a / m h a) h * E w T h F.
Proof.
  intro M. revert h. induction T as [|T IH]; intro h; simpl; [reflexivity|].
  rewrite <- S_scal. apply S_ext. intro a. destruct (ends a); [|rewrite IH]; simpl; field; apply M.
Qed.
Theorem E_weight w m T F : (forall h a, m h a <> 0) ->
  E m T [] (fun y => product (fun h a => w h a / m h a) y * F y) = E w T [] F.
Proof. intro M. rewrite (E_weight_from w m T [] F M). simpl. ring. Qed.

(** ** Derivatives *)
Lemma total_derive f y t df : (forall h a, is_derive (fun u => f u h a) t (df h a)) ->
  is_derive (fun u => total (f u) y) t (total df y).
Proof.
  intro H. induction y as [|a h IH]; simpl.
  - apply @is_derive_const.
  - apply @is_derive_plus; [exact IH | apply H].
Qed.
Lemma product_derive f y t s : (forall h a, is_derive (fun u => f u h a) t (f t h a * s h a)) ->
  is_derive (fun u => product (f u) y) t (product (f t) y * total s y).
Proof.
  intro H. induction y as [|a h IH]; simpl.
  - evar_last; [apply @is_derive_const | simpl; unfold zero; simpl; ring].
  - evar_last.
    + apply (is_derive_mult (fun u => product (f u) h) (fun u => f u h a)); [exact IH | apply H | intros; apply Rmult_comm].
    + unfold plus, mult; simpl. ring.
Qed.
(** The draws held fixed. *)
Lemma E_derive w T h F t dF : (forall y, is_derive (fun u => F u y) t (dF y)) ->
  is_derive (fun u => E w T h (F u)) t (E w T h dF).
Proof.
  intro H. revert h. induction T as [|T IH]; intro h; simpl; [apply H|].
  apply S_derive. intro a. apply (is_derive_scal (fun u => if ends a then F u (a :: h) else E w T (a :: h) (F u))).
  destruct (ends a); [apply H | apply IH].
Qed.
(** The draws differentiated too: the log-derivative rule over whole answers, s being the score of one token. *)
Lemma E_derive_draws w s T h F t dF :
  (forall h a, is_derive (fun u => w u h a) t (w t h a * s h a)) ->
  (forall y, is_derive (fun u => F u y) t (dF y)) ->
  is_derive (fun u => E (w u) T h (F u)) t
    (E (w t) T h (fun y => F t y * (total s y - total s h) + dF y)).
Proof.
  intros W H. revert h. induction T as [|T IH]; intro h; simpl.
  - assert (Z : F t h * (total s h - total s h) + dF h = dF h) by ring.
    exact (eq_ind_r (fun d : R => is_derive (fun u => F u h) t d) (H h) Z).
  - apply S_derive. intro a. evar_last.
    + apply (is_derive_mult (fun u => w u h a) (fun u => if ends a then F u (a :: h) else E (w u) T (a :: h) (F u))).
      * apply W.
      * instantiate (1 := if ends a then dF (a :: h)
          else E (w t) T (a :: h) (fun y => F t y * (total s y - total s (a :: h)) + dF y)).
        destruct (ends a); [apply H | apply IH].
      * intros; apply Rmult_comm.
    + unfold plus, mult; simpl. destruct (ends a); simpl; [ring|].
      rewrite (E_ext (w t) T (a :: h) (fun y => F t y * (total s y - total s h) + dF y)
        (fun y => (F t y * (total s y - (total s h + s h a)) + dF y) + s h a * F t y)) by (intro; ring).
      rewrite (E_plus (w t) T (a :: h) (fun y => F t y * (total s y - (total s h + s h a)) + dF y)),
        (E_scal (w t) T (a :: h) (s h a) (F t)). ring.
Qed.
End Expectation.

(** ** Totals as linear maps *)
Lemma total_ext f g y : (forall h a, f h a = g h a) -> total f y = total g y.
Proof. intro H. induction y as [|a h IH]; simpl; [reflexivity | now rewrite IH, H]. Qed.
Lemma product_ext f g y : (forall h a, f h a = g h a) -> product f y = product g y.
Proof. intro H. induction y as [|a h IH]; simpl; [reflexivity | now rewrite IH, H]. Qed.
Lemma total_plus f g y : total (fun h a => f h a + g h a) y = total f y + total g y.
Proof. induction y as [|a h IH]; simpl; [ring | rewrite IH; ring]. Qed.
Lemma total_minus f g y : total (fun h a => f h a - g h a) y = total f y - total g y.
Proof. induction y as [|a h IH]; simpl; [ring | rewrite IH; ring]. Qed.
Lemma total_scal c f y : total (fun h a => c * f h a) y = c * total f y.
Proof. induction y as [|a h IH]; simpl; [ring | rewrite IH; ring]. Qed.
Lemma product_pos f y : (forall h a, 0 < f h a) -> 0 < product f y.
Proof. intro H. induction y as [|a h IH]; simpl; [lra | now apply Rmult_lt_0_compat]. Qed.

"""Facts and lemmas about sums over all tokens, by induction on the vocabulary's size V.

A sum is a function of how many tokens it has taken: S(0) = 0, S(n + 1) = S(n) + s(n). A fact about
sums is proved by its base, at 0, and its step, from n to n + 1, each a script whose `unsat` is the
obligation discharged. p, q, c, L are functions of the token; k is any token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_HEAD = "(set-logic ALL)\n(declare-const n Int)\n(declare-const k Int)\n(declare-const V Int)\n"
_FUNCTIONS = ("p", "q", "c", "l", "d", "a")
_SUMS = ("A", "B", "SP", "SQ", "SD")


def _script(comment: str, assumptions: Sequence[str], claim: str) -> str:
    text = " ".join((*assumptions, claim)).replace("(", " ( ").replace(")", " ) ").split()
    declared = [f"(declare-fun {name} (Int) Real)" for name in (*_FUNCTIONS, *_SUMS) if name in text]
    declared += [f"(declare-const {name} Real)" for name in ("x", "y") if name in text]
    lines = [*declared, *(f"(assert {line})" for line in assumptions), f"(assert (not {claim}))", "(check-sat)"]
    return f"; {comment}\n{_HEAD}" + "\n".join(lines) + "\n"


def _claim_at(claim: str, at: str) -> str:
    return claim.replace("@", at)


def _induction(what: str, summands: Mapping[str, str], claim: str, given: Sequence[str] = ()) -> list[str]:
    """Base and step. `claim` has @ for how many tokens were summed; `summands` have @ for the token."""
    base = [f"(= ({name} 0) 0.0)" for name in summands]
    step = [f"(= ({name} (+ n 1)) (+ ({name} n) {body.replace('@', 'n')}))" for name, body in summands.items()]
    known = ["(>= n 0)", *(line.replace("@", "n") for line in given), _claim_at(claim, "n")]
    return [
        _script(f"{what}: base", base, _claim_at(claim, "0")),
        _script(f"{what}: step", [*known, *step], _claim_at(claim, "(+ n 1)")),
    ]


_OWN = "(ite (= @ k) 1.0 0.0)"
"""delta_ik"""
_TAKEN = "(and (<= 0 k) (< k @))"
"""Token k is among those summed."""


def _indexed(coefficient: str) -> dict[str, str]:
    """A: the k-th component of sum_i p_i c_i s_i, with s_ik = delta_ik - p_k."""
    return {"A": f"(* (p @) {coefficient} (- {_OWN} (p k)))"}


_MASTER = _induction(
    "sum_i p_i c_i (delta_ik - p_k) = p_k c_k - p_k sum_i p_i c_i, whatever c",
    {**_indexed("(c @)"), "B": "(* (p @) (c @))"},
    f"(= (A @) (- (ite {_TAKEN} (* (p k) (c k)) 0.0) (* (p k) (B @))))",
)

_REVERSE = [
    *_induction(
        "sum_i p_i (L_i + 1) (delta_ik - p_k), with B the sum of p L and SP that of p",
        {**_indexed("(+ (l @) 1.0)"), "B": "(* (p @) (l @))", "SP": "(p @)"},
        f"(= (A @) (- (ite {_TAKEN} (* (p k) (+ (l k) 1.0)) 0.0) (* (p k) (+ (B @) (SP @)))))",
    ),
    _script(
        "with sum p = 1 this is p_k (L_k - sum p L)",
        ["(= (SP V) 1.0)", "(= (A V) (- (* (p k) (+ (l k) 1.0)) (* (p k) (+ (B V) (SP V)))))"],
        "(= (A V) (* (p k) (- (l k) (B V))))",
    ),
]
_FORWARD = [
    *_induction(
        "sum_i -q_i (delta_ik - p_k), with SQ the sum of q",
        {"A": f"(* (- (q @)) (- {_OWN} (p k)))", "SQ": "(q @)"},
        f"(= (A @) (- (* (p k) (SQ @)) (ite {_TAKEN} (q k) 0.0)))",
    ),
    _script(
        "with sum q = 1 this is p_k - q_k",
        ["(= (SQ V) 1.0)", "(= (A V) (- (* (p k) (SQ V)) (q k)))"],
        "(= (A V) (- (p k) (q k)))",
    ),
]
_CHI2 = [
    *_induction(
        "sum_i p_i (u_i - 1) (delta_ik - p_k), u_i = p_i/q_i written c, with B the sum of p u and SP that of p",
        {**_indexed("(- (c @) 1.0)"), "B": "(* (p @) (c @))", "SP": "(p @)"},
        f"(= (A @) (- (ite {_TAKEN} (* (p k) (- (c k) 1.0)) 0.0) (* (p k) (- (B @) (SP @)))))",
    ),
    _script(
        "with sum p = 1 this is p_k (u_k - sum p u)",
        ["(= (SP V) 1.0)", "(= (A V) (- (* (p k) (- (c k) 1.0)) (* (p k) (- (B V) (SP V)))))"],
        "(= (A V) (* (p k) (- (c k) (B V))))",
    ),
]

FACTS: Mapping[str, str] = dict(
    zip(
        ("constant-coefficient.base", "constant-coefficient.step", "constant-coefficient.zero", "converse"),
        (
            *_induction(
                "a coefficient x that is the same on all tokens: sum a_i dp_i = x sum dp_i",
                {"A": "(* (a @) (d @))", "SD": "(d @)"},
                "(= (A @) (* x (SD @)))",
                ["(= (a @) x)"],
            ),
            _script(
                "and the dp_i sum to 0, as the p_i sum to 1",
                ["(= (SD V) 0.0)", "(= (A V) (* x (SD V)))"],
                "(= (A V) 0.0)",
            ),
            _script(
                "conversely coefficients x, y of two tokens, moved by 1 and -1, give a sum that is zero only if x = y",
                ["(= (+ (* x 1.0) (* y (- 1.0))) 0.0)"],
                "(= x y)",
            ),
        ),
        strict=True,
    )
)
"""What ties an expected gradient to single tokens."""

_LEMMAS: Mapping[str, tuple[list[str], str]] = {
    "master-lemma": (_MASTER, "any vocabulary, from d log p_i / d x_k = delta_ik - p_k"),
    "closed-form.reverse_kl": (_REVERSE, "any vocabulary, from the coefficient L + 1"),
    "closed-form.forward_kl": (_FORWARD, "any vocabulary, from the coefficient -q/p"),
    "closed-form.chi2_half": (_CHI2, "any vocabulary, from the coefficient u - 1"),
}
"""Lemmas by their ids: the obligations and what they cover."""

LEMMAS = tuple(_LEMMAS)


def lemma_scripts(name: str) -> list[str]:
    """Return the obligations of the lemma of this name; empty if there is no proof of it here."""
    return _LEMMAS[name][0] if name in _LEMMAS else []


def scope_of(name: str) -> str:
    """Return what the lemma's obligations cover."""
    return _LEMMAS[name][1]

"""The preamble of every report: what the signs mean."""

from __future__ import annotations

from proofs.report.content import Facts, Formula, Inline, Section


def _row(latex: str, text: str, meaning: str) -> tuple[str, tuple[Inline, ...]]:
    return meaning, (Formula(latex, text),)


_SIGNS = Facts(
    (
        _row(r"\pi,\ \pi_{\mathrm{ref}},\ \mu", "p, q, m", "policy (trained), reference (frozen), sampler (frozen)"),
        _row(
            r"L = \log\frac{\pi}{\pi_{\mathrm{ref}}},\quad u = \mathrm{e}^{L}",
            "L = log(p/q), u = exp(L)",
            "log ratio of policy and reference at a token",
        ),
        _row(r"\rho = \frac{\pi}{\mu}", "rho = p/m", "importance ratio, policy/sampler"),
        _row(
            r"s = \nabla \log \pi",
            "s = grad log p",
            "score of the drawn token; the gradient is by the policy's parameters",
        ),
        _row(r"\operatorname{sg}(x)", "sg(x)", "x detached: its value, a number to the gradient"),
        _row(
            r"k(L),\ k'(L)", "k(L), k'(L)", "an arbitrary differentiable estimator of the log ratio, and its derivative"
        ),
        _row(
            r"k_1 = L,\quad k_2 = \frac{L^2}{2},\quad k_3 = \frac{\pi_{\mathrm{ref}}}{\pi} - 1 + L",
            "k1 = L, k2 = L^2/2, k3 = q/p - 1 + L",
            "the estimators of Schulman 2020",
        ),
        _row(
            r"\mathbb{E}_{a \sim \mu}[\nabla x]",
            "E_sampler[grad(x)]",
            "the expected gradient of the surrogate x; the drawing is not differentiated",
        ),
        _row(r"\sum_a F", "sum_a(F)", "a sum over the vocabulary; the argument a of the probabilities is left out"),
        _row(
            r"\mathrm{KL}(\pi\|\pi_{\mathrm{ref}}) = \sum_a \pi \log\frac{\pi}{\pi_{\mathrm{ref}}}",
            "KL(policy||reference) = sum_a(p*log(p/q))",
            "the direction is always spelled with both distributions",
        ),
        _row(
            r"L_t,\ \rho_t,\ s_t,\quad c_t = \rho_0 \cdots \rho_t,\quad N",
            "L_t, rho_t, s_t, c_t = rho_0 ... rho_t, N",
            "in whole answers y: the same for the token at position t = 0, 1, ..., the product of the ratios up to it, "
            "and the length of the answer",
        ),
        _row(
            r"\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})_t,\ \mathrm{KL}(\pi_{\mathrm{ref}}\|\pi)_t",
            "KL(policy||reference)_t, KL(reference||policy)_t",
            "divergences of the next token at position t: functions of the tokens before it",
        ),
        _row(
            r"0 < \varepsilon < 1,\quad \beta > 0",
            "0 < varepsilon < 1, beta > 0",
            "clip range, coefficient of the penalty",
        ),
    )
)

CONVENTIONS = Section("Conventions", "conventions", (_SIGNS,))

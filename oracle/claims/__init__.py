"""Claims: what a caller says a subject is, in the language of forms or of objectives (``language`` has both).

Forms are held sample by sample: ``k3 as loss``, ``k1 in reward``, ``k2 as loss, weight detached, seq-mean-token-mean``,
``exp(-L) - 1 + L as loss``, ``k3 as loss, weight sequence differentiated``, ``k2 as loss, weight truncated at 2``.
Objectives are held in expectation: ``reverse_kl``, ``reverse_kl/token off-policy``, ``2 x total_variation``, ``zero``.
"""

from __future__ import annotations

from oracle.claims.claim import Claim
from oracle.claims.implication import consistent, distinct, hold_all
from oracle.claims.language import parse_claim

__all__ = ["Claim", "consistent", "distinct", "hold_all", "parse_claim"]

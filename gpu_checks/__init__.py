"""The same verdicts at the vocabulary of a real model, on the device: see README.md.

Nothing of it is built yet; `kl-oracle audit` says so.
"""

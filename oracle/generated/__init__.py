"""Code that `python -m proofs.lowering.regenerate` writes; not to be edited."""

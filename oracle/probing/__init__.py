"""Probing: exact expected gradients of a subject as it runs, and what they are the gradient of.

A sampler whose probabilities are n_i/N, and a batch that repeats each sequence as often as it is drawn on average, make
one plain batch mean the exact expectation, for any code that works on whole batches. There is no sampling error.
"""

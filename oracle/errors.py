"""Errors a user can mend: each says what happened, where, and what to do, in one or two lines."""

from __future__ import annotations


class OracleError(Exception):
    """A subject, target or option that cannot be judged as given (exit status 2)."""


class TargetError(OracleError):
    """The target names no file, module or function."""


class RoleError(OracleError):
    """A parameter cannot be bound to a role, or a role is missing."""


class SubjectError(OracleError):
    """The subject ran and raised, or returned something that is neither a penalty nor a loss."""


class ClaimError(OracleError):
    """A claim that cannot be parsed."""

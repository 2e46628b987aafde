"""What a worker says of an error: what was foreseen in its own words, what was not with its type and its traceback."""

from __future__ import annotations

from macfleet.core.errors import MacfleetError


def described(error: Exception) -> str:
    """`KeyError: 2`, because `2` says nothing."""
    if isinstance(error, MacfleetError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def unexpected(error: Exception) -> Exception | None:
    """For `exc_info`: a traceback only of what nobody expected."""
    return None if isinstance(error, MacfleetError) else error

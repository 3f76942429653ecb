# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""JMESPath over a module's result."""

from __future__ import annotations

import sys
import typing as t

from ._errors import CertfleetError


def compiled(expression: str) -> t.Callable[[t.Any], t.Any]:
    """What the expression makes of data. Raises CertfleetError, now where it is no expression, later where it fails.

    jmespath is not with the other libraries: only those need it who ask.
    """
    try:
        import jmespath
    except ImportError as error:
        raise CertfleetError(
            "query needs the Python library jmespath, which is not installed",
            stage="plan",
            remedy=f"Install it for {sys.executable} (pip install jmespath), or do without query.",
        ) from error

    def failure(error: Exception) -> CertfleetError:
        text = " ".join(str(error).split())
        return CertfleetError(f"the JMESPath expression {expression!r} fails: {text}", stage="plan")

    try:
        program = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise failure(error) from error

    def search(data: t.Any) -> t.Any:
        try:
            return program.search(data)
        except jmespath.exceptions.JMESPathError as error:
            raise failure(error) from error

    return search


__all__ = ("compiled",)

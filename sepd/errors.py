"""Errors, named by the reaction they call for.

SepdError
├── ConfigError          exit 78, no restart: a person must change something
├── InputError           refuse this input, name its place, go on with the rest
├── TransientError       retry with back-off
│   └── NotSent          the request never left: safe to repeat
├── OutcomeUnknown       never repeat: look at the broker's transactions first
├── BrokerRejected       record, never retry
└── InvariantViolated    stop: going on could cost money
"""

from __future__ import annotations


class SepdError(Exception):
    """Base of every error that sepd raises; the message is a sentence for the operator."""


class ConfigError(SepdError):
    """A setting, credential or environment that a person must change; the process exits 78."""


class InputError(SepdError, ValueError):
    """Input that is refused; the message names its place and the legal range."""


class TransientError(SepdError):
    """A fault that may pass: retry with back-off."""


class NotSent(TransientError):
    """The request certainly did not reach the other side, so repeating it is safe."""


class OutcomeUnknown(SepdError):
    """The request may or may not have been applied; only the broker's record can tell."""


class BrokerRejected(SepdError):
    """The broker understood and refused.

    Args:
        reason: the broker's reason code, `INSUFFICIENT_MARGIN` for instance.
        message: the sentence for the operator.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvariantViolated(SepdError):
    """Something that must hold does not; the daemon halts entries and stops."""

"""What can be wrong at the edge itself, before a service is asked; imports nothing.

The same form as the errors of geo and registry: the docstring is the message, the fields given at
raising are put into it. Which HTTP status each one has is said in errors.py, in one table.
"""


class EdgeError(Exception):
    """The request could not be answered."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(message.format(**fields))


class SignInNeeded(EdgeError):
    """Sign in first, or send an API key as `Authorization: Bearer KEY`."""


class BadCursor(EdgeError):
    """`after` is not a text that this list gave as `next`: {after}."""


class BodyTooLarge(EdgeError):
    """The request is larger than {limit_text}. Send a smaller file."""


class FormExpired(EdgeError):
    """The form is no longer valid: its visit ended. Open the page again and resend."""


class WrongOrigin(EdgeError):
    """The form was sent from another site, so it was not carried out."""


class FileUnreadable(EdgeError):
    """The upload {name} is {problem}. {fix}."""


class NotReady(EdgeError):
    """The registry cannot answer now: {reason}."""


class NotConfirmed(EdgeError):
    """Tick the box: {what} cannot be undone."""

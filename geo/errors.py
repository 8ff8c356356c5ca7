"""What can be wrong with land, pixels and plots; imports nothing.

A class's docstring is its message: the fields given at raising are put into it and stay on
the error as attributes. `BadInput` is the user's to mend (the command line ends with 2).
"""


class GeoError(Exception):
    """Something went wrong while measuring."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(message.format(**fields))

    def __getattr__(self, name: str) -> object:
        """Give each field of the message as an attribute."""
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(name)


class BadInput(GeoError):
    """{what}: {problem}. {fix}"""


class SourceUnavailable(GeoError):
    """{path} did not answer ({reason}). Nothing was decided from its absence: run again."""


class GridMismatch(GeoError):
    """{left} and {right} do not share one grid: {detail}. Bring both to one GeoBox first."""

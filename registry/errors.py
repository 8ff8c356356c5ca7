"""What can be wrong in the registry; imports nothing.

A class's docstring is its message: the fields given at raising are put into it and stay on
the error as attributes. Nothing here knows of HTTP or of the command line.
"""


class RegistryError(Exception):
    """Something went wrong in the registry."""

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

"""What can be wrong with managed fields or a manifest.

::

    FieldsError
    ├── UnreadableFields   managed fields, or a path of them, that nobody can read
    ├── NoSuchPath         a path that an object does not have
    ├── InvalidManifest    a manifest that cannot be sent
    └── NotBooked          the server's answer does not book what was sent
"""

from guard import errors


class FieldsError(errors.HoldfastError):
    """Managed fields or a manifest that cannot be read. Its text never holds a field's value."""


class UnreadableFields(FieldsError):
    """A managed-fields entry, or a step of one, that is not in the form of fieldsV1."""


class NoSuchPath(FieldsError):
    """A path was to be resolved in an object that does not have it."""


class InvalidManifest(FieldsError):
    """A manifest that cannot be sent to an API server. The sentence names the object."""


class NotBooked(FieldsError):
    """The API server's answer to an apply does not book a path that was sent."""

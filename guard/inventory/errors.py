"""What can be wrong with a stored inventory.

::

    InventoryError
    ├── UnreadableInventory   a blob that is damaged, or no inventory at all
    ├── NewerInventory        a blob that a newer Holdfast has written
    └── OversizedInventory    entries that do not fit into what may be stored
"""

from guard import errors


class InventoryError(errors.HoldfastError):
    """A stored inventory that cannot be read or written."""


class UnreadableInventory(InventoryError):
    """A blob that is damaged, or no inventory at all."""


class NewerInventory(InventoryError):
    """A blob in a format that a newer Holdfast has written."""


class OversizedInventory(InventoryError):
    """Entries that do not fit into what may be stored."""

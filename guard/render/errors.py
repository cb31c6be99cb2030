"""What can be wrong with a file of the source.

The tree::

    HoldfastError
    └── RenderError           one fault in one file; rendering collects them and goes on
        ├── UnreadableFile    no YAML or JSON, or none that Kubernetes reads in one way only
        ├── InvalidDocument   a document that is no Kubernetes object
        ├── DuplicateObject   two documents declare one object
        └── UnsupportedFile   a link, submodule, LFS pointer, kustomization or chart

No sentence repeats what stands in the file: the line may be one of a Secret. Names of objects are
the only exception, since they are shown everywhere else too.
"""

from guard import errors


class RenderError(errors.HoldfastError):
    """One fault: ``file`` relative to the repository's root, ``line`` from 1, 0 for all of it."""

    def __init__(self, file: str, line: int, sentence: str) -> None:
        super().__init__(file, line, sentence)
        self.file = file
        self.line = line
        self.sentence = sentence

    @property
    def place(self) -> str:
        """Where it is: ``apps/web.yaml:12``, or the bare file where no line is to blame."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class UnreadableFile(RenderError):
    """The text cannot be read, or could be read in two ways."""


class InvalidDocument(RenderError):
    """The text can be read, but it is no Kubernetes object."""


class DuplicateObject(RenderError):
    """Another document declares the same object."""


class UnsupportedFile(RenderError):
    """A file that Holdfast refuses by name rather than read by half."""

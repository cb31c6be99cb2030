"""The words of Holdfast: custom resources, keys of objects, verdicts. No I/O."""

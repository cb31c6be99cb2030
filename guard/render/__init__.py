"""From the files of a revision to the objects that they declare."""

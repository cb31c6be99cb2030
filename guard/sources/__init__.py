"""Where desired state lives, and how one immutable revision of it is read."""

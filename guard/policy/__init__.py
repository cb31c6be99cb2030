"""The rules: who is calling, what may not be shown, what is decided. Pure."""

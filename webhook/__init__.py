"""The admission server: a gate in front of guarded objects."""

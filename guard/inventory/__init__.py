"""What Holdfast keeps in a cluster about guarded objects: the mark on each, and the inventory."""

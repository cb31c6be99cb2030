"""One definition of drift, for the webhook and the loop: paths, managed fields, changes. No I/O."""

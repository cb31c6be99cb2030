"""The certificate authority of the webhook and the bundle that names it."""

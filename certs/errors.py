"""What can go wrong with certificates.

::

    CertificateError
    ├── BadCertificate         PEM text that cannot be read, or a pair that does not belong together
    ├── CertificateMissing     the Secret that others should fill is not there, or not filled
    ├── UnusableSecret         a Secret holds certificates that are not ours to replace, and no good
    ├── ConfigurationMissing   the webhook configuration to be filled is not there
    └── Contended              others kept changing the object that we were changing

Errors of the API server come as ``guard.cluster.errors``. No text quotes a key or a certificate.
"""

from guard import errors


class CertificateError(errors.HoldfastError):
    """Certificates cannot be made, read or put where they belong."""


class BadCertificate(CertificateError):
    """A certificate or key cannot be used; the text says why."""


class CertificateMissing(CertificateError):
    """Certificates that others make are not there yet."""

    def __init__(self, namespace: str, name: str, what: str) -> None:
        super().__init__(
            f"Secret {namespace}/{name} has no {what}. It is to be filled by whoever makes the "
            "webhook's certificate: a person, or cert-manager."
        )


class UnusableSecret(CertificateError):
    """A Secret holds certificates that do not work and that Holdfast must not overwrite."""

    def __init__(self, namespace: str, name: str, why: str) -> None:
        super().__init__(
            f"The certificates in Secret {namespace}/{name} cannot be used. {why} "
            "Correct the Secret, or delete it to have its content made anew."
        )


class ConfigurationMissing(CertificateError):
    """The webhook configuration is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no ValidatingWebhookConfiguration {name} to write the CA into.")


class Contended(CertificateError):
    """Others kept changing the same object."""

    def __init__(self, title: str) -> None:
        super().__init__(f"{title} was changed by others again and again while it was written.")

"""What can be wrong with a request to the admission server.

The tree::

    HoldfastError
    └── WebhookError
        ├── ReviewError        a body that is no AdmissionReview (400)
        ├── CertificateAbsent  the serving certificate did not appear in time
        └── MaskKeyUnreadable  the Secret with the masking key holds no key
"""

from guard import errors


class WebhookError(errors.HoldfastError):
    """The root of this package's errors."""


class ReviewError(WebhookError):
    """A body is no AdmissionReview. The text quotes nothing of the body."""


class CertificateAbsent(WebhookError):
    """There is no usable serving certificate."""


class MaskKeyUnreadable(WebhookError):
    """The Secret that should hold the masking key holds none."""

"""The root of every error that Holdfast raises on purpose.

Each package draws its own tree below this root in its ``errors.py``::

    HoldfastError
    ├── guard.api.errors.ApiError              a custom resource says something impossible
    ├── guard.fields.errors.FieldsError        managed fields or a manifest cannot be read
    ├── guard.inventory.errors.InventoryError  a stored inventory cannot be read
    ├── guard.cluster.errors.ClusterError      talking to an API server
    ├── guard.sources.errors.SourceError       fetching a revision
    ├── guard.render.errors.RenderError        turning a tree into objects
    ├── guard.audit.errors.AuditError          writing or reading records
    ├── guard.loop.errors.LoopError            what a loop refuses to do
    ├── guard.cli.errors.CliError              what a command cannot do
    ├── certs.errors.CertificateError          making or reading certificates
    └── webhook.errors.ReviewError             a body that is no AdmissionReview
"""


class HoldfastError(Exception):
    """An error whose ``str()`` is a sentence for a person, with no secret in it."""

"""Requests of the harness itself: raw JSON over one TLS connection each, as an administrator.

It uses the standard library alone, so that what it finds does not rest on the code under test.
"""

import dataclasses
import http.client
import json
import ssl
import urllib.parse
from typing import Any

from controlplane import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Api:
    """An API server at ``server`` (``https://host:port``) and the credentials to ask it with."""

    server: str
    tls: ssl.SSLContext

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Send a request and give the parsed answer; text that is no JSON is given as it is.

        Raises ApiError for an error status and OSError when there is no answer.
        """
        address = urllib.parse.urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=timeout_seconds, context=self.tls
        )
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except http.client.HTTPException as error:
            message = f"{method} {path}: the API server broke off its answer"
            raise ConnectionError(message) from error
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            message = f"{method} {path} was answered with {answer.status}: {text[:500]}"
            raise errors.ApiError(message, status=answer.status)
        is_json = answer.headers.get_content_type() == "application/json"
        return json.loads(text) if is_json else text

    def ensure(self, collection: str, obj: dict[str, Any]) -> None:
        """Create an object unless one of its name exists."""
        try:
            self.request("POST", collection, obj)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.CONFLICT:
                raise

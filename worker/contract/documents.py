"""The files of the published contract, as text: the same from run to run."""

import json
from collections.abc import Mapping

from worker.contract.asyncapi import asyncapi_document
from worker.contract.schemas import schema_documents

ASYNCAPI = "asyncapi.json"


def documents() -> Mapping[str, str]:
    """Return every file by its path: the AsyncAPI document first, then the JSON Schemas."""
    whole = {ASYNCAPI: asyncapi_document(), **dict(schema_documents())}
    return {path: json.dumps(document, indent=2) + "\n" for path, document in whole.items()}

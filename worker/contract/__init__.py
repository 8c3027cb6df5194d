"""The contract with producers and subscribers, as models, and the documents written from them."""

from worker.contract.documents import ASYNCAPI, documents

__all__ = ["ASYNCAPI", "documents"]

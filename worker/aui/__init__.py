"""AUI's Messaging API v1: the only package that imports websockets and httpx."""

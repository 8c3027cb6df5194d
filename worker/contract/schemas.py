"""JSON Schemas of the parts of each message, each document whole in itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from worker.contract.examples import examples_of
from worker.contract.shapes import SHAPES, Shape
from worker.core.reply import SCHEMA

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTS = ("body", "headers", "properties")


class Untitled(GenerateJsonSchema):
    """Writes schemas without titles of fields, which only say their names again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Tell whether a field gets a title: none does."""
        return False


def schema_documents() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each schema with its path."""
    for shape in SHAPES:
        for part in PARTS:
            written = TypeAdapter(getattr(shape, part)).json_schema(
                schema_generator=Untitled, union_format="primitive_type_array"
            )
            yield (
                f"schemas/{shape.name}/{part}.json",
                {
                    "$schema": DIALECT,
                    "$id": f"urn:aui-worker:contract:{SCHEMA}:{shape.group}:{shape.word}:{part}",
                    **written,
                    "examples": [getattr(example, part) for example in examples_of(shape)],
                },
            )


def components(shapes: Sequence[Shape]) -> tuple[Mapping[tuple[str, str], Any], dict[str, Any]]:
    """Return the schema of each part by (name, part), and the components that they refer to."""
    parts, hoisted = TypeAdapter.json_schemas(
        [
            ((shape.name, part), "validation", TypeAdapter(getattr(shape, part)))
            for shape in shapes
            for part in PARTS
        ],
        schema_generator=Untitled,
        union_format="primitive_type_array",
        ref_template="#/components/schemas/{model}",
    )
    return {key: schema for (key, _), schema in parts.items()}, hoisted.get("$defs", {})

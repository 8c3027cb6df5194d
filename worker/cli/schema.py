"""``aui-worker schema``: the contract as AsyncAPI and JSON Schemas, for any language."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

FAILED = 1


def schema(
    out: Annotated[Path | None, typer.Option(help="Write the documents into a folder.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell which of those in the folder are not these.")
    ] = False,
) -> None:
    """Print the contract's AsyncAPI document, or write it with a JSON Schema of every part."""
    # Only here: its models take a tenth of a second, which no other command should wait for.
    from worker.contract import ASYNCAPI, documents

    written = documents()
    if out is None:
        if check:
            raise typer.BadParameter("name the folder to look into", param_hint="--out")
        print(written[ASYNCAPI], end="")
    elif check:
        differing = list(_differing(out, written))
        for line in differing:
            print(f"{out}: {line}; run: aui-worker schema --out {out}", file=sys.stderr)
        if differing:
            raise typer.Exit(FAILED)
    else:
        _write(out, written)


def _write(out: Path, written: Mapping[str, str]) -> None:
    for path, text in written.items():
        file = out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _differing(out: Path, written: Mapping[str, str]) -> Iterator[str]:
    """Say what is not as it would be written; other files of the folder are not looked at."""
    for path, text in written.items():
        file = out / path
        if not file.is_file():
            yield f"{path} is missing"
        elif file.read_text(encoding="utf-8") != text:
            yield f"{path} differs"
    for file in sorted((out / "schemas").rglob("*.json")):
        path = file.relative_to(out).as_posix()
        if path not in written:
            yield f"{path} is not of the contract any more, remove it"

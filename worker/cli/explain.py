"""``aui-worker explain``: what an ending means."""

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

from worker.core.verdict import TABLE, Kind, Row, Source, row_for

_STYLES = {
    Kind.COMPLETED: "green",
    Kind.REJECTED: "red",
    Kind.INTERRUPTED: "yellow",
    Kind.POSTPONED: "blue",
}
_THEN = {
    Kind.COMPLETED: "final, ack",
    Kind.REJECTED: "dead letter, failed, ack",
    Kind.INTERRUPTED: "retrying, tried again",
    Kind.POSTPONED: "back to its queue",
}


def explain(
    evidence: Annotated[
        str | None, typer.Argument(help="A close code, an HTTP status, or a reason word.")
    ] = None,
) -> None:
    """Print the verdict table: what each ending means and what the worker then does."""
    rows = list(TABLE) if evidence is None else _matching(evidence)
    if not rows:
        raise typer.BadParameter(f"nothing is known of {evidence!r}: a code or a reason word")
    table = Table(
        "evidence",
        "codes",
        Column("verdict", no_wrap=True),
        Column("reason", no_wrap=True),
        "then",
        "note",
        box=box.SIMPLE,
    )
    for row in rows:
        table.add_row(
            str(row.source),
            _codes(row),
            f"[{_STYLES[row.kind]}]{row.kind}[/]",
            row.reason,
            _THEN[row.kind],
            row.note,
        )
    Console().print(table)


def _matching(evidence: str) -> list[Row]:
    if not evidence.isascii() or not evidence.isdigit():
        return [row for row in TABLE if evidence in (row.reason, str(row.source), str(row.kind))]
    code = int(evidence)
    if 1000 <= code < 5000:
        rows = [row_for(source, code) for source in (Source.SERVER_CLOSE, Source.LOCAL_CLOSE)]
        return [row for row in rows if row.codes or row.source is Source.SERVER_CLOSE]
    return [row_for(Source.STATUS, code)] if 100 <= code < 600 else []


def _codes(row: Row) -> str:
    if not row.codes:
        return "any other" if row.source in (Source.STATUS, Source.SERVER_CLOSE) else ""
    return ", ".join(
        str(codes.start) if len(codes) == 1 else f"{codes.start}-{codes.stop - 1}"
        for codes in row.codes
    )

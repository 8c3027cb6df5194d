"""Reads which metrics and labels a PromQL query names; what is PromQL is promtool's to say."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\$?[A-Za-z_:][\w:]*|\d[\w.]*|\S')
_NAME = re.compile(r"[A-Za-z_:][\w:]*")
_OPERATORS = {"and", "or", "unless", "bool", "offset"}
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_REPLACED = re.compile(r'"(\w+)",\s*"[^"]*",\s*"\w+",\s*"[^"]*"\)')
"""The end of a label_replace: the label it makes, the replacement, the source, the expression."""


@dataclass
class Query:
    """What a query names.

    Attributes:
        metrics: each metric, with the labels it is selected by.
        lists: the labels in ``by``, ``on`` and their like.
        made: the labels that ``label_replace`` adds.
    """

    metrics: dict[str, set[str]] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)


def read(expression: str) -> Query:
    """Read a query."""
    query = Query(made=set(_REPLACED.findall(expression)))
    tokens = _TOKEN.findall(expression)
    while tokens:
        token = tokens.pop(0)
        after = tokens[0] if tokens else ""
        if token in _LISTS:
            if after == "(":
                query.lists |= _names_until(")", tokens)
        elif _NAME.fullmatch(token) and token not in _OPERATORS and after not in ("(", "by"):
            labels = query.metrics.setdefault(token, set())
            if after == "{":
                labels |= _names_until("}", tokens)
    return query


def _names_until(end: str, tokens: list[str]) -> set[str]:
    inside = tokens[: tokens.index(end)]
    del tokens[: len(inside) + 1]
    return {token for token in inside if _NAME.fullmatch(token)}

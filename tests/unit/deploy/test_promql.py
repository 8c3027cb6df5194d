"""The reader of PromQL finds the names, all of them, and nothing else."""

import pytest

from tests.unit.deploy.promql import Query, read


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up == 0", Query({"up": set()})),
        ('up{job="a b", x!~"y=\\"z\\""}', Query({"up": {"job", "x"}})),
        ("sum(rate(a_total[5m]))", Query({"a_total": set()})),
        ('rate(a_total{n=~"$network"}[$__rate_interval])', Query({"a_total": {"n"}})),
        ("(a unless a offset 10m) or increase(a[10m])", Query({"a": set()})),
        (
            "histogram_quantile(0.95, sum by (n, le) (rate(b_bucket[1m]))) > 1e3",
            Query({"b_bucket": set()}, {"n", "le"}),
        ),
        (
            "q:a:max / on (n) group_left () q:b:max > bool 0.5",
            Query({"q:a:max": set(), "q:b:max": set()}, {"n"}),
        ),
        (
            'label_replace(max by (q) (a), "n", "$1", "q", "x\\\\.([^.]+)")',
            Query({"a": set()}, {"q"}, {"n"}),
        ),
        ("absent(a == 1) unless on () (max(b) == 1)", Query({"a": set(), "b": set()})),
    ],
)
def test_names(expression: str, expected: Query) -> None:
    assert read(expression) == expected

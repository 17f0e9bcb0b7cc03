"""The slugs of articles, saved by hand: a page with one statement, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from benchmarks.maintenance import COLUMNS
from benchmarks.models import Article

TABLE = "benchmarks_article"
Row = tuple[Any, ...]


def save(article: Article) -> None:
    """Give an article its slug and save it."""
    article.slug = _slug(article)
    article.save(update_fields=["slug"])


def write(page: Sequence[Article]) -> None:
    """Give articles their slugs, if nobody else has changed what was loaded."""
    rows = []
    for article in page:
        old = (article.title, article.slug, article.body, article.views)
        article.slug = _slug(article)
        if article.slug != old[1]:
            rows.append((article.pk, article.slug, *old))
    if STATEMENTS[connection.vendor](rows) != len(rows):
        raise RuntimeError("Somebody else changed a row.")


def _slug(article: Article) -> str:
    return article.title.lower().replace(" ", "-")


def on_postgresql(rows: Sequence[Row]) -> int:
    """Write rows with `unnest`."""
    guards = " AND ".join(f"t.{each} IS NOT DISTINCT FROM v.{each}" for each in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE} t SET slug = v.new FROM unnest(%s::bigint[], %s::text[],"
            " %s::text[], %s::text[], %s::text[], %s::integer[])"
            f" v(id, new, {', '.join(COLUMNS)}) WHERE t.id = v.id AND {guards}",
            [list(column) for column in zip(*rows, strict=True)],
        )
        matched: int = cursor.rowcount
        return matched


def on_mysql(rows: Sequence[Row]) -> int:
    """Write rows with a derived table."""
    guards = " AND ".join(f"BINARY t.{each} <=> BINARY v.{each}" for each in COLUMNS)
    listed = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE (SELECT id, slug AS new, {', '.join(COLUMNS)} FROM {TABLE}"
            f" WHERE 0 UNION ALL VALUES {listed}) v STRAIGHT_JOIN {TABLE} t"
            f" ON t.id = v.id SET t.slug = v.new WHERE {guards}",
            [value for row in rows for value in row],
        )
        matched: int = cursor.rowcount
        return matched


def on_sqlite(rows: Sequence[Row]) -> int:
    """Write rows one after the other, all in one call."""
    guards = " AND ".join(f"{each} IS %s" for each in COLUMNS)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {TABLE} SET slug = %s WHERE id = %s AND {guards}",
            [(new, pk, *old) for pk, new, *old in rows],
        )
        matched: int = cursor.rowcount
        return matched


STATEMENTS: dict[str, Callable[[Sequence[Row]], int]] = {
    "postgresql": on_postgresql,
    "mysql": on_mysql,
    "sqlite": on_sqlite,
}

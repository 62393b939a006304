"""Everything that a database's schema is made of, as lines that can be compared."""

from __future__ import annotations

from tests.migrations.raw import Raw

COLUMNS = """
    SELECT format('column %s.%s %s %s null=%s default=%s identity=%s collation=%s', c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
      a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attcollation::regcollation)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"""
RELATIONS = """
    SELECT format('relation %s %s %s options=%s rows=%s %s', relkind, relname, relpersistence, reloptions, relrowsecurity, relforcerowsecurity) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"""
CONSTRAINTS = """
    SELECT format('constraint %s on %s: %s valid=%s', conname, conrelid::regclass, pg_get_constraintdef(oid), convalidated) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace"""
INDEXES = """
    SELECT format('index %s valid=%s', pg_get_indexdef(i.indexrelid), i.indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace"""
TRIGGERS = """
    SELECT format('trigger %s enabled=%s', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace"""
POLICIES = """
    SELECT format('policy %s on %s for %s to %s using %s check %s', policyname, tablename, cmd, roles, qual, with_check) FROM pg_policies
    WHERE schemaname = 'public'"""
FUNCTIONS = "SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
TYPES = "SELECT format('type %s', typname) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype <> 'c' AND typcategory <> 'A'"


def catalog(raw: Raw) -> list[str]:
    """The whole schema but for Alembic's own table."""
    if raw.on_sqlite:
        rows = raw.run("SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_master")
    else:
        rows = [row for query in (COLUMNS, RELATIONS, CONSTRAINTS, INDEXES, TRIGGERS, POLICIES, FUNCTIONS, TYPES) for row in raw.run(query)]
    lines = (" ".join(line.split()) for (line,) in rows)
    return sorted(line for line in lines if "alembic_version" not in line and "sqlite_sequence" not in line)


def revision(raw: Raw) -> str | None:
    """At which revision the database stands."""
    there = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'" if raw.on_sqlite else "SELECT to_regclass('alembic_version')"
    if raw.run(there) in ([], [(None,)]):
        return None
    rows = raw.run("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


def tables(raw: Raw) -> list[str]:
    if raw.on_sqlite:
        rows = raw.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    else:
        rows = raw.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return sorted(name for (name,) in rows if name != "alembic_version")


def dump(raw: Raw) -> dict[str, list[str]]:
    """Every row of every table."""
    return {table: sorted(map(str, raw.run(f"SELECT * FROM {table}"))) for table in tables(raw)}

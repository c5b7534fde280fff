"""Prints a hash of every view of a warehouse, opened directly and attached: `sums.py WAREHOUSE`."""

import hashlib
import sys

import duckdb


def sums(connection):
    rows = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "AND database_name = current_database() ORDER BY view_name"
    ).fetchall()
    for (name,) in rows:
        columns = [
            row[0]
            for row in connection.execute(f'DESCRIBE "{name}"').fetchall()
            # The one that tells how late it is.
            if row[0] != "seconds_since_newest"
        ]
        listed = ", ".join(f'"{column}"' for column in columns)
        found = connection.execute(f'SELECT {listed} FROM "{name}"').fetchall()
        text = "\n".join(sorted(repr([str(cell) for cell in row]) for row in found))
        print(name, len(found), hashlib.sha256(text.encode()).hexdigest())


path = sys.argv[1]
direct = duckdb.connect(path, read_only=True)
sums(direct)
direct.close()
print("attached")
attached = duckdb.connect()
attached.execute(f"ATTACH '{path}' AS w (READ_ONLY)")
attached.execute("USE w")
sums(attached)

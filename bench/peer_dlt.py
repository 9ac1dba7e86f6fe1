"""The peer: the same table brought over by dlt, as its documents recommend for speed. Run by a Python that has dlt, not by the hub's.

    python -m venv /somewhere/dlt
    /somewhere/dlt/bin/pip install 'dlt[postgres,sql_database]' 'sqlalchemy<2.1' psycopg2-binary pyarrow pandas
    HUB_BENCH_DLT=/somewhere/dlt/bin/python python -m bench.sync

Reads orders as lines of JSON, {"case": …, "write": "replace" or "merge"}, and answers with seconds. dlt copies: it checks nothing,
protects nothing, and keeps no history.
"""

import json
import os
import sys
import tempfile
import time


def main() -> None:
    """Follow orders until standard input closes."""
    about = json.loads(sys.stdin.readline())
    os.environ |= {
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
        "HOME": tempfile.mkdtemp(prefix="dlt-"),
    }
    import dlt  # type: ignore[import-not-found]  # noqa: PLC0415 (its settings come first)
    from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found]  # noqa: PLC0415

    pipeline = dlt.pipeline("peer", destination=dlt.destinations.postgres(about["target"]), dataset_name="peer")
    for line in sys.stdin:
        order = json.loads(line)
        table = sql_table(about["source"], table="people", backend="pyarrow", chunk_size=100_000)
        table.apply_hints(primary_key="record_no", write_disposition=order["write"])
        began = time.perf_counter()
        pipeline.run(table)
        print(json.dumps({"seconds": round(time.perf_counter() - began, 2)}), flush=True)


if __name__ == "__main__":
    main()

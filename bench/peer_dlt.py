"""dlt as its documentation starts: the REST source, its default settings, a DuckDB file."""

import os
import sys
import tempfile

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Load every page of the vendor on this port and count the rows."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    source = rest_api_source(
        {
            "client": {
                "base_url": f"http://127.0.0.1:{sys.argv[1]}/",
                "paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"},
            },
            "resources": [{"name": "requests", "primary_key": "id", "endpoint": {"path": "rows", "data_selector": "items"}}],
        }
    )
    pipeline = dlt.pipeline("bench", destination="duckdb", dataset_name="vendor", pipelines_dir=folder)
    pipeline.run(source, write_disposition="replace")
    with pipeline.sql_client() as client, client.execute_query("SELECT count(*) FROM requests") as cursor:
        print(cursor.fetchall()[0][0])


if __name__ == "__main__":
    main()

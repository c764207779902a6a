"""The city's own copy: write-once encrypted snapshots, and the sessions that query them."""

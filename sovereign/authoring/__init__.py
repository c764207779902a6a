"""What a connector's author is given: a package to start from, laws as a report, dry runs that record scrubbed fixtures."""

"""Pulls: one run from end to end, its verdict, its guards, its record, its schedule, its replay."""

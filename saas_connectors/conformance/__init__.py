"""What every connector must keep: laws that run against any of them (`suite`), through a driver that is a function."""

"""Backups of a site and their restore: data and keys apart, proved equal; see docs/backup.md."""

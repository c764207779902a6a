"""Correspondence: MaarchCourrier."""

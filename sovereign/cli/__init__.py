"""The command line: one module a noun, one function a verb, over `sovereign.site.Site` and nothing below it."""

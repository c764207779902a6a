"""People and their accounts: what a directory in the cloud holds, and how an account is closed."""

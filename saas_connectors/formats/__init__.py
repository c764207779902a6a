"""File formats that vendors send, read without trusting them."""

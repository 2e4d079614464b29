"""Fetching pictures by URL: each distinct URL once, politely, safely, and with every failure named."""

"""One file per corpus command: its options, what it asks for, and how it comes to three splits of text."""

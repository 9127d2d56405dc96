"""Where a teacher's distribution comes from."""

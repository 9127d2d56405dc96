"""A folder of `result.json` files to `report.md` and one self-contained `report.html`."""

"""The figures the product is to reach, measured on this machine: `python -m bench`."""
